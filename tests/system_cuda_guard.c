/* Hides the machine's CUDA toolkit from the programs of a build, and writes down who looked for it.
 *
 * Preloaded into every child of a test. A call whose path lies below a root of SYSTEM_CUDA_GUARD_ROOTS (colon-separated
 * absolute paths; a root also covers its versioned twins, "/usr/local/cuda" covers "/usr/local/cuda-13.0") fails with
 * ENOENT and is appended to SYSTEM_CUDA_GUARD_LOG as "PROGRAM: CALL PATH". Libraries that the loader mapped from below
 * a root are written down when the program ends. Statically linked programs are not seen; a build starts none. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int below_root(const char *path) {
    const char *roots = getenv("SYSTEM_CUDA_GUARD_ROOTS");
    while (path && roots && *roots) {
        const size_t length = strcspn(roots, ":");
        if (length && strncmp(path, roots, length) == 0 && strchr("/-", path[length])) return 1; /* or its end */
        roots += length + (roots[length] == ':');
    }
    return 0;
}

static void write_down(const char *call, const char *path) {
    const char *log = getenv("SYSTEM_CUDA_GUARD_LOG");
    char line[4096];
    if (!log) return;
    const int length = snprintf(line, sizeof line, "%s: %s %s\n", program_invocation_short_name, call, path);
    int (*real_open)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
    const int file = real_open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0) abort(); /* an attempt that cannot be recorded must not pass unseen */
    if (write(file, line, (size_t)length) != length) abort();
    close(file);
}

static int refused(const char *call, const char *path) {
    if (!below_root(path)) return 0;
    write_down(call, path);
    errno = ENOENT;
    return 1;
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

#define GUARD_OPEN(name)                                                         \
    int name(const char *path, int flags, ...) {                                 \
        va_list rest;                                                            \
        va_start(rest, flags);                                                   \
        const mode_t mode = va_arg(rest, mode_t); /* ignored where not passed */ \
        va_end(rest);                                                            \
        if (refused("open", path)) return -1;                                    \
        return REAL(int, #name, const char *, int, ...)(path, flags, mode);      \
    }
GUARD_OPEN(open)
GUARD_OPEN(open64)

#define GUARD_OPENAT(name)                                                                \
    int name(int folder, const char *path, int flags, ...) {                              \
        va_list rest;                                                                     \
        va_start(rest, flags);                                                            \
        const mode_t mode = va_arg(rest, mode_t);                                         \
        va_end(rest);                                                                     \
        if (refused("open", path)) return -1;                                             \
        return REAL(int, #name, int, const char *, int, ...)(folder, path, flags, mode);  \
    }
GUARD_OPENAT(openat)
GUARD_OPENAT(openat64)

#define GUARD_FOPEN(name)                                                       \
    FILE *name(const char *path, const char *mode) {                            \
        if (refused("open", path)) return NULL;                                 \
        return REAL(FILE *, #name, const char *, const char *)(path, mode);     \
    }
GUARD_FOPEN(fopen)
GUARD_FOPEN(fopen64)

DIR *opendir(const char *path) {
    return refused("list", path) ? NULL : REAL(DIR *, "opendir", const char *)(path);
}

int access(const char *path, int mode) {
    return refused("look", path) ? -1 : REAL(int, "access", const char *, int)(path, mode);
}

int faccessat(int folder, const char *path, int mode, int flags) {
    return refused("look", path) ? -1 : REAL(int, "faccessat", int, const char *, int, int)(folder, path, mode, flags);
}

#define GUARD_STAT(name)                                                                  \
    int name(const char *path, struct stat *out) {                                        \
        return refused("look", path) ? -1 : REAL(int, #name, const char *, struct stat *)(path, out); \
    }
#define GUARD_STAT64(name)                                                                \
    int name(const char *path, struct stat64 *out) {                                      \
        return refused("look", path) ? -1 : REAL(int, #name, const char *, struct stat64 *)(path, out); \
    }
GUARD_STAT(stat)
GUARD_STAT(lstat)
GUARD_STAT64(stat64)
GUARD_STAT64(lstat64)

int fstatat(int folder, const char *path, struct stat *out, int flags) {
    if (refused("look", path)) return -1;
    return REAL(int, "fstatat", int, const char *, struct stat *, int)(folder, path, out, flags);
}

int fstatat64(int folder, const char *path, struct stat64 *out, int flags) {
    if (refused("look", path)) return -1;
    return REAL(int, "fstatat64", int, const char *, struct stat64 *, int)(folder, path, out, flags);
}

int statx(int folder, const char *path, int flags, unsigned mask, struct statx *out) {
    if (refused("look", path)) return -1;
    return REAL(int, "statx", int, const char *, int, unsigned, struct statx *)(folder, path, flags, mask, out);
}

int execv(const char *path, char *const argv[]) {
    return refused("run", path) ? -1 : REAL(int, "execv", const char *, char *const[])(path, argv);
}

int execve(const char *path, char *const argv[], char *const environ[]) {
    if (refused("run", path)) return -1;
    return REAL(int, "execve", const char *, char *const[], char *const[])(path, argv, environ);
}

int execvp(const char *path, char *const argv[]) {
    return refused("run", path) ? -1 : REAL(int, "execvp", const char *, char *const[])(path, argv);
}

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr,
                char *const argv[], char *const environ[]) {
    if (refused("run", path)) return ENOENT;
    return REAL(int, "posix_spawn", pid_t *, const char *, const posix_spawn_file_actions_t *,
                const posix_spawnattr_t *, char *const[], char *const[])(pid, path, actions, attr, argv, environ);
}

static int mapped(struct dl_phdr_info *object, size_t size, void *data) {
    (void)size, (void)data;
    if (below_root(object->dlpi_name)) write_down("load", object->dlpi_name);
    return 0;
}

__attribute__((destructor)) static void at_exit(void) {
    dl_iterate_phdr(mapped, NULL);
}
