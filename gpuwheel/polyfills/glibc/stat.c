/* glibc 2.33: before, <sys/stat.h> held inline wrappers of functions that take the version of `struct stat`.
   The structure is the same on 64-bit machines, with and without large files. */
#include "../polyfill.h"

#if defined(__x86_64__)
#define STAT_VERSION 1 /* _STAT_VER of sysdeps/unix/sysv/linux/x86/bits/stat.h in glibc 2.32 */
#else
#define STAT_VERSION 0
#endif
#define MKNOD_VERSION 0

extern int __xstat(int version, const char* path, void* status);
extern int __fxstat(int version, int fd, void* status);
extern int __lxstat(int version, const char* path, void* status);
extern int __fxstatat(int version, int folder, const char* path, void* status, int flags);
extern int __xmknod(int version, const char* path, unsigned mode, unsigned long* device);
extern int __xmknodat(int version, int folder, const char* path, unsigned mode, unsigned long* device);

POLYFILL int stat(const char* path, void* status) { return __xstat(STAT_VERSION, path, status); }
POLYFILL int stat64(const char* path, void* status) { return __xstat(STAT_VERSION, path, status); }
POLYFILL int fstat(int fd, void* status) { return __fxstat(STAT_VERSION, fd, status); }
POLYFILL int fstat64(int fd, void* status) { return __fxstat(STAT_VERSION, fd, status); }
POLYFILL int lstat(const char* path, void* status) { return __lxstat(STAT_VERSION, path, status); }
POLYFILL int lstat64(const char* path, void* status) { return __lxstat(STAT_VERSION, path, status); }
POLYFILL int fstatat(int folder, const char* path, void* status, int flags) {
  return __fxstatat(STAT_VERSION, folder, path, status, flags);
}
POLYFILL int fstatat64(int folder, const char* path, void* status, int flags) {
  return __fxstatat(STAT_VERSION, folder, path, status, flags);
}
POLYFILL int mknod(const char* path, unsigned mode, unsigned long device) {
  return __xmknod(MKNOD_VERSION, path, mode, &device);
}
POLYFILL int mknodat(int folder, const char* path, unsigned mode, unsigned long device) {
  return __xmknodat(MKNOD_VERSION, folder, path, mode, &device);
}
