/* Thin wrappers of system calls. On a kernel without the call they fail with ENOSYS, as glibc's own do. */
#include <stddef.h>
#include <sys/syscall.h>

#include "../polyfill.h"

extern long syscall(long number, ...);

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* glibc 2.25 */
POLYFILL long getrandom(void* buffer, size_t count, unsigned flags) {
  return syscall(SYS_getrandom, buffer, count, flags);
}
/* glibc 2.27 */
POLYFILL long copy_file_range(int in, long* in_at, int out, long* out_at, size_t count, unsigned flags) {
  return syscall(SYS_copy_file_range, in, in_at, out, out_at, count, flags);
}
POLYFILL int memfd_create(const char* name, unsigned flags) { return (int)syscall(SYS_memfd_create, name, flags); }
/* glibc 2.28 */
POLYFILL int statx(int folder, const char* path, int flags, unsigned mask, void* status) {
  return (int)syscall(SYS_statx, folder, path, flags, mask, status);
}
POLYFILL int renameat2(int old_folder, const char* old_path, int folder, const char* path, unsigned flags) {
  return (int)syscall(SYS_renameat2, old_folder, old_path, folder, path, flags);
}
/* glibc 2.30 */
POLYFILL int gettid(void) { return (int)syscall(SYS_gettid); }
POLYFILL int tgkill(int group, int thread, int signal) { return (int)syscall(SYS_tgkill, group, thread, signal); }
/* glibc 2.34 */
POLYFILL int close_range(unsigned first, unsigned last, int flags) {
  return (int)syscall(SYS_close_range, first, last, flags);
}
