/* Random bytes of the kernel: getrandom(2), or /dev/urandom where the kernel is older than 3.17. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* 0, or -1 with errno. */
static inline int random_bytes(void* buffer, size_t count) {
  unsigned char* at = buffer;
  int fd = -1;
  while (count) {
    const long got = fd < 0 ? syscall(SYS_getrandom, at, count, 0) : read(fd, at, count);
    if (got > 0) {
      at += got;
      count -= (size_t)got;
    } else if (fd < 0 && errno == ENOSYS) {
      fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
      if (fd < 0) return -1;
    } else if (got == 0 || errno != EINTR) {
      if (fd >= 0) close(fd);
      return -1;
    }
  }
  if (fd >= 0) close(fd);
  return 0;
}
