// Each function that an old glibc lacks, called by its symbol; `check_NAME` gives 0 or the line that failed.

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cwchar>
#include <ostream>
#include <stdexcept>
#include <string>

#define CHECK(condition) \
  if (!(condition)) return __LINE__
#define TEST(name) extern "C" __attribute__((visibility("default"))) int check_##name()

// Declared here, by their symbols, since the headers of the system that compiles may not know them yet.
extern "C" {
extern char single_threaded asm("__libc_single_threaded");
int new_stat(const char*, struct stat*) asm("stat");
int new_stat64(const char*, struct stat*) asm("stat64");
int new_fstat(int, struct stat*) asm("fstat");
int new_fstat64(int, struct stat*) asm("fstat64");
int new_lstat(const char*, struct stat*) asm("lstat");
int new_lstat64(const char*, struct stat*) asm("lstat64");
int new_fstatat(int, const char*, struct stat*, int) asm("fstatat");
int new_fstatat64(int, const char*, struct stat*, int) asm("fstatat64");
int new_mknod(const char*, mode_t, dev_t) asm("mknod");
int new_mknodat(int, const char*, mode_t, dev_t) asm("mknodat");
long new_strtol(const char*, char**, int) asm("__isoc23_strtol");
unsigned long new_strtoul(const char*, char**, int) asm("__isoc23_strtoul");
long long new_strtoll(const char*, char**, int) asm("__isoc23_strtoll");
unsigned long long new_strtoull(const char*, char**, int) asm("__isoc23_strtoull");
intmax_t new_strtoimax(const char*, char**, int) asm("__isoc23_strtoimax");
uintmax_t new_strtoumax(const char*, char**, int) asm("__isoc23_strtoumax");
unsigned long long new_strtoull_l(const char*, char**, int, locale_t) asm("__isoc23_strtoull_l");
long new_wcstol(const wchar_t*, wchar_t**, int) asm("__isoc23_wcstol");
uintmax_t new_wcstoumax(const wchar_t*, wchar_t**, int) asm("__isoc23_wcstoumax");
int new_sscanf(const char*, const char*, ...) asm("__isoc23_sscanf");
int new_vsscanf(const char*, const char*, va_list) asm("__isoc23_vsscanf");
int new_fscanf(FILE*, const char*, ...) asm("__isoc23_fscanf");
int new_swscanf(const wchar_t*, const wchar_t*, ...) asm("__isoc23_swscanf");
int new_cond_clockwait(pthread_cond_t*, pthread_mutex_t*, clockid_t, const timespec*) asm("pthread_cond_clockwait");
int new_mutex_clocklock(pthread_mutex_t*, clockid_t, const timespec*) asm("pthread_mutex_clocklock");
int new_rwlock_clockrdlock(pthread_rwlock_t*, clockid_t, const timespec*) asm("pthread_rwlock_clockrdlock");
int new_rwlock_clockwrlock(pthread_rwlock_t*, clockid_t, const timespec*) asm("pthread_rwlock_clockwrlock");
int new_sem_clockwait(sem_t*, clockid_t, const timespec*) asm("sem_clockwait");
uint32_t new_arc4random() asm("arc4random");
uint32_t new_arc4random_uniform(uint32_t) asm("arc4random_uniform");
void new_arc4random_buf(void*, size_t) asm("arc4random_buf");
int new_getentropy(void*, size_t) asm("getentropy");
ssize_t new_getrandom(void*, size_t, unsigned) asm("getrandom");
ssize_t new_copy_file_range(int, off_t*, int, off_t*, size_t, unsigned) asm("copy_file_range");
int new_memfd_create(const char*, unsigned) asm("memfd_create");
int new_statx(int, const char*, int, unsigned, void*) asm("statx");
int new_renameat2(int, const char*, int, const char*, unsigned) asm("renameat2");
pid_t new_gettid() asm("gettid");
int new_tgkill(pid_t, pid_t, int) asm("tgkill");
int new_close_range(unsigned, unsigned, int) asm("close_range");
int new_fcntl64(int, int, ...) asm("fcntl64");
size_t new_strlcpy(char*, const char*, size_t) asm("strlcpy");
size_t new_strlcat(char*, const char*, size_t) asm("strlcat");
size_t new_strlcpy_chk(char*, const char*, size_t, size_t) asm("__strlcpy_chk");
size_t new_strlcat_chk(char*, const char*, size_t, size_t) asm("__strlcat_chk");
void new_explicit_bzero(void*, size_t) asm("explicit_bzero");
void new_explicit_bzero_chk(void*, size_t, size_t) asm("__explicit_bzero_chk");
void* new_reallocarray(void*, size_t, size_t) asm("reallocarray");
int new_thread_atexit(void (*)(void*), void*, void*) asm("__cxa_thread_atexit_impl");
#if defined(__x86_64__)
typedef __float128 Float128;
#else
typedef long double Float128;
#endif
Float128 new_strtof128(const char*, char**) asm("strtof128");
int new_strfromf128(char*, size_t, const char*, Float128) asm("strfromf128");
struct Found {
  unsigned long long flags;
  void *start, *end, *link_map, *eh_frame;
  unsigned long long reserved[7];
};
int new_dl_find_object(void*, Found*) asm("_dl_find_object");
}

static timespec in(clockid_t clock, long milliseconds) {
  timespec time;
  clock_gettime(clock, &time);
  const long nanoseconds = time.tv_nsec + milliseconds % 1000 * 1000000L;
  time.tv_sec += milliseconds / 1000 + nanoseconds / 1000000000L;
  time.tv_nsec = nanoseconds % 1000000000L;
  return time;
}

static long since(const timespec& start) {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000;
}

static timespec now() { return in(CLOCK_MONOTONIC, 0); }

TEST(libc_single_threaded) { return single_threaded ? __LINE__ : 0; }

TEST(stat) {
  char folder[] = "/tmp/gpuwheel-XXXXXX";
  CHECK(mkdtemp(folder));
  const std::string file = std::string(folder) + "/file", link = std::string(folder) + "/link";
  const int fd = open(file.c_str(), O_RDWR | O_CREAT, 0640);
  CHECK(fd >= 0 && write(fd, folder, 20) == 20 && symlink("file", link.c_str()) == 0);
  struct stat by_path, by_fd;
  memset(&by_path, 0, sizeof by_path);
  memset(&by_fd, 0, sizeof by_fd);
  CHECK(new_stat(link.c_str(), &by_path) == 0 && new_fstat(fd, &by_fd) == 0);
  CHECK(by_path.st_ino == by_fd.st_ino && by_path.st_size == 20 && by_fd.st_size == 20 && by_fd.st_nlink == 1);
  CHECK(S_ISREG(by_path.st_mode) && (by_path.st_mode & 0777) == (by_fd.st_mode & 0777));
  CHECK(by_path.st_mtim.tv_sec > 1600000000 && by_path.st_mtim.tv_sec == by_fd.st_mtim.tv_sec);
  CHECK(new_stat64(link.c_str(), &by_path) == 0 && by_path.st_ino == by_fd.st_ino);
  CHECK(new_fstat64(fd, &by_path) == 0 && by_path.st_ino == by_fd.st_ino);
  CHECK(new_lstat(link.c_str(), &by_path) == 0 && S_ISLNK(by_path.st_mode) && by_path.st_size == 4);
  CHECK(new_lstat64(link.c_str(), &by_path) == 0 && S_ISLNK(by_path.st_mode));
  CHECK(new_fstatat(AT_FDCWD, link.c_str(), &by_path, 0) == 0 && by_path.st_ino == by_fd.st_ino);
  CHECK(new_fstatat64(AT_FDCWD, link.c_str(), &by_path, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(by_path.st_mode));
  CHECK(close(fd) == 0 && unlink(file.c_str()) == 0 && unlink(link.c_str()) == 0 && rmdir(folder) == 0);
  errno = 0;
  CHECK(new_stat("/nowhere", &by_path) == -1 && errno == ENOENT);
  errno = 0;
  CHECK(new_fstat(-1, &by_fd) == -1 && errno == EBADF);
  return 0;
}

TEST(mknod) {
  char folder[] = "/tmp/gpuwheel-XXXXXX";
  CHECK(mkdtemp(folder));
  const std::string first = std::string(folder) + "/first", second = std::string(folder) + "/second";
  struct stat status;
  CHECK(new_mknod(first.c_str(), S_IFIFO | 0600, 0) == 0);
  CHECK(new_stat(first.c_str(), &status) == 0 && S_ISFIFO(status.st_mode));
  CHECK(new_mknodat(AT_FDCWD, second.c_str(), S_IFIFO | 0600, 0) == 0);
  CHECK(new_stat(second.c_str(), &status) == 0 && S_ISFIFO(status.st_mode));
  CHECK(unlink(first.c_str()) == 0 && unlink(second.c_str()) == 0 && rmdir(folder) == 0);
  return 0;
}

TEST(isoc23_integers) {
  char* end = nullptr;
  CHECK(new_strtol("-0x1fz", &end, 16) == -31 && *end == 'z');
  CHECK(new_strtoul("42", nullptr, 0) == 42 && new_strtoll("-9", nullptr, 10) == -9);
  CHECK(new_strtoull("18446744073709551615", nullptr, 10) == UINT64_MAX);
  errno = 0;
  CHECK(new_strtol("99999999999999999999", nullptr, 10) == LONG_MAX && errno == ERANGE);
  CHECK(new_strtoimax("-5", nullptr, 10) == -5 && new_strtoumax("5", nullptr, 10) == 5);
  const locale_t c = newlocale(LC_ALL_MASK, "C", nullptr);
  CHECK(new_strtoull_l("7", nullptr, 10, c) == 7);
  freelocale(c);
  wchar_t* rest = nullptr;
  CHECK(new_wcstol(L"12x", &rest, 10) == 12 && *rest == L'x' && new_wcstoumax(L"6", nullptr, 10) == 6);
  return 0;
}

static int scan(const char* text, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int count = new_vsscanf(text, format, arguments);
  va_end(arguments);
  return count;
}

TEST(isoc23_scanf) {
  int a = 0;
  double b = 0;
  char word[8];
  CHECK(new_sscanf("3 4.5 six", "%d %lf %7s", &a, &b, word) == 3 && a == 3 && b == 4.5 && !strcmp(word, "six"));
  CHECK(scan("8", "%d", &a) == 1 && a == 8);
  CHECK(new_swscanf(L"9", L"%d", &a) == 1 && a == 9);
  FILE* file = tmpfile();
  CHECK(file && fputs("11 x", file) >= 0);
  rewind(file);
  CHECK(new_fscanf(file, "%d", &a) == 1 && a == 11);
  fclose(file);
  return 0;
}

TEST(pthread_cond_clockwait) {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
  pthread_mutex_lock(&mutex);
  for (const clockid_t clock : {CLOCK_MONOTONIC, CLOCK_REALTIME}) {
    const timespec start = now(), deadline = in(clock, 30);
    CHECK(new_cond_clockwait(&condition, &mutex, clock, &deadline) == ETIMEDOUT);
    CHECK(since(start) >= 28 && since(start) < 5000);
  }
  const timespec past = {0, 0}, odd = {0, 1000000000L};
  CHECK(new_cond_clockwait(&condition, &mutex, CLOCK_MONOTONIC, &past) == ETIMEDOUT);
  CHECK(new_cond_clockwait(&condition, &mutex, CLOCK_MONOTONIC, &odd) == EINVAL);
  CHECK(new_cond_clockwait(&condition, &mutex, CLOCK_PROCESS_CPUTIME_ID, &past) == EINVAL);
  pthread_mutex_unlock(&mutex);
  return 0;
}

TEST(pthread_cond_clockwait_wakes) {
  struct Shared {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    bool ready = false;
  } shared;
  pthread_t thread;
  const auto signal = [](void* data) -> void* {
    Shared& shared = *static_cast<Shared*>(data);
    pthread_mutex_lock(&shared.mutex);
    shared.ready = true;
    pthread_cond_signal(&shared.condition);
    pthread_mutex_unlock(&shared.mutex);
    return nullptr;
  };
  pthread_mutex_lock(&shared.mutex);
  CHECK(pthread_create(&thread, nullptr, signal, &shared) == 0);
  const timespec deadline = in(CLOCK_MONOTONIC, 20000);
  int error = 0;
  while (!shared.ready && !error)
    error = new_cond_clockwait(&shared.condition, &shared.mutex, CLOCK_MONOTONIC, &deadline);
  pthread_mutex_unlock(&shared.mutex);
  pthread_join(thread, nullptr);
  CHECK(shared.ready && error == 0);
  return 0;
}

template <typename Lock>
static int times_out(Lock lock) {
  const timespec start = now(), deadline = in(CLOCK_MONOTONIC, 30);
  CHECK(lock(CLOCK_MONOTONIC, deadline) == ETIMEDOUT);
  CHECK(since(start) >= 28 && since(start) < 5000);
  const timespec odd = {0, -1};
  CHECK(lock(CLOCK_MONOTONIC, odd) == EINVAL);
  return 0;
}

TEST(pthread_mutex_clocklock) {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  const timespec deadline = in(CLOCK_MONOTONIC, 5000);
  CHECK(new_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &deadline) == 0);
  return times_out([&](clockid_t clock, const timespec& until) { return new_mutex_clocklock(&mutex, clock, &until); });
}

TEST(pthread_rwlock_clocklock) {
  pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
  const timespec deadline = in(CLOCK_MONOTONIC, 5000);
  CHECK(new_rwlock_clockrdlock(&lock, CLOCK_MONOTONIC, &deadline) == 0);
  return times_out(
      [&](clockid_t clock, const timespec& until) { return new_rwlock_clockwrlock(&lock, clock, &until); });
}

TEST(sem_clockwait) {
  sem_t semaphore;
  CHECK(sem_init(&semaphore, 0, 1) == 0);
  const timespec deadline = in(CLOCK_MONOTONIC, 5000);
  CHECK(new_sem_clockwait(&semaphore, CLOCK_MONOTONIC, &deadline) == 0);
  return times_out([&](clockid_t clock, const timespec& until) {
    return new_sem_clockwait(&semaphore, clock, &until) == -1 ? errno : 0;
  });
}

TEST(arc4random) {
  uint32_t seen = 0, all = UINT32_MAX;
  for (int i = 0; i < 200; ++i) {
    const uint32_t value = new_arc4random();
    seen |= value;
    all &= value;
  }
  CHECK(seen == UINT32_MAX && all == 0);
  bool came[5] = {};
  for (int i = 0; i < 500; ++i) {
    const uint32_t value = new_arc4random_uniform(5);
    CHECK(value < 5);
    came[value] = true;
  }
  CHECK(came[0] && came[1] && came[2] && came[3] && came[4]);
  CHECK(new_arc4random_uniform(0) == 0 && new_arc4random_uniform(1) == 0);
  unsigned char bytes[1000] = {};
  new_arc4random_buf(bytes, sizeof bytes);
  int zeros = 0;
  for (const unsigned char byte : bytes) zeros += byte == 0;
  CHECK(zeros < 100);
  return 0;
}

TEST(getentropy) {
  unsigned char bytes[256] = {}, more[16] = {};
  CHECK(new_getentropy(bytes, sizeof bytes) == 0);
  int zeros = 0;
  for (const unsigned char byte : bytes) zeros += byte == 0;
  CHECK(zeros < 60);
  errno = 0;
  CHECK(new_getentropy(bytes, 257) == -1 && errno == EIO);
  CHECK(new_getrandom(more, sizeof more, 0) == sizeof more);
  return 0;
}

TEST(system_calls) {
  // A kernel, or an emulator of one, may lack a call: then it says so.
  const int in = new_memfd_create("in", 0), out = new_memfd_create("out", 0);
  CHECK(in >= 0 && out >= 0 && write(in, "gpu", 3) == 3 && lseek(in, 0, SEEK_SET) == 0);
  CHECK(new_copy_file_range(in, nullptr, out, nullptr, 3, 0) == 3 || errno == ENOSYS || errno == EXDEV || errno == EINVAL);
  CHECK(close(in) == 0 && (new_close_range(out, out, 0) == 0 || (errno == ENOSYS && close(out) == 0)));
  alignas(8) char status[256];
  CHECK(new_statx(AT_FDCWD, "/", 0, 0xfff, status) == 0 || errno == ENOSYS);
  CHECK(new_renameat2(AT_FDCWD, "/nowhere/a", AT_FDCWD, "/nowhere/b", 0) == -1 && (errno == ENOENT || errno == ENOSYS));
  CHECK(new_gettid() == getpid() && new_tgkill(getpid(), new_gettid(), 0) == 0);
  return 0;
}

TEST(fcntl64) {
  const int fd = open("/dev/null", O_RDONLY);
  CHECK(fd >= 0 && new_fcntl64(fd, F_SETFD, FD_CLOEXEC) == 0 && new_fcntl64(fd, F_GETFD) == FD_CLOEXEC);
  const int copy = new_fcntl64(fd, F_DUPFD, 100);
  CHECK(copy >= 100);
  close(copy);
  close(fd);
  return 0;
}

// Whether `act` ends the process.
template <typename Act>
static bool ends(Act act) {
  const pid_t child = fork();
  if (child == 0) {
    act();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

TEST(cxa_thread_atexit_impl) {
  static std::string order;
  order.clear();
  const auto thread = [](void*) -> void* {
    const auto note = [](void* text) { order += static_cast<const char*>(text); };
    const auto nested = [](void*) {
      order += "b";
      new_thread_atexit([](void*) { order += "c"; }, nullptr, nullptr);
    };
    new_thread_atexit(note, const_cast<char*>("d"), nullptr);
    new_thread_atexit(nested, nullptr, nullptr);
    new_thread_atexit(note, const_cast<char*>("a"), nullptr);
    return nullptr;
  };
  pthread_t started;
  CHECK(pthread_create(&started, nullptr, thread, nullptr) == 0 && pthread_join(started, nullptr) == 0);
  CHECK(order == "abcd");
  // The first thread of a process ends by exit().
  int ends[2];
  CHECK(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    static int to = ends[1];
    new_thread_atexit([](void*) { (void)!write(to, "x", 1); }, nullptr, nullptr);
    exit(0);
  }
  close(ends[1]);
  char byte = 0;
  CHECK(read(ends[0], &byte, 1) == 1 && byte == 'x' && waitpid(child, nullptr, 0) == child);
  close(ends[0]);
  return 0;
}

TEST(strings) {
  char text[6] = "";
  CHECK(new_strlcpy(text, "abc", sizeof text) == 3 && !strcmp(text, "abc"));
  CHECK(new_strlcat(text, "defg", sizeof text) == 7 && !strcmp(text, "abcde"));
  CHECK(new_strlcpy(text, "1234567", sizeof text) == 7 && !strcmp(text, "12345"));
  CHECK(new_strlcpy(nullptr, "1234567", 0) == 7 && new_strlcat(text, "x", 3) == 4);
  CHECK(new_strlcpy_chk(text, "ok", sizeof text, sizeof text) == 2 && new_strlcat_chk(text, "ay", 6, 6) == 4);
  CHECK(!strcmp(text, "okay"));
  new_explicit_bzero(text, 4);
  new_explicit_bzero_chk(text, 4, sizeof text);
  CHECK(text[0] == 0 && text[3] == 0);
  CHECK(ends([&] { new_strlcpy_chk(text, "far too long", 20, sizeof text); }));
  CHECK(ends([&] { new_strlcat_chk(text, "far too long", 20, sizeof text); }));
  CHECK(ends([&] { new_explicit_bzero_chk(text, 20, sizeof text); }));
  return 0;
}

TEST(reallocarray) {
  void* memory = new_reallocarray(nullptr, 10, 10);
  CHECK(memory);
  memory = new_reallocarray(memory, 20, 10);
  CHECK(memory);
  free(memory);
  errno = 0;
  CHECK(new_reallocarray(nullptr, SIZE_MAX, 2) == nullptr && errno == ENOMEM);
  return 0;
}

TEST(float128) {
  char* end = nullptr;
  const Float128 value = new_strtof128("-2.5e300x", &end);
  CHECK(*end == 'x' && value / static_cast<Float128>(1e300) < -2.4 && value < 0);
  char text[32];
  CHECK(new_strfromf128(text, sizeof text, "%.3f", static_cast<Float128>(1.0625)) == 5 && !strcmp(text, "1.062"));
  CHECK(new_strfromf128(text, sizeof text, "%a", static_cast<Float128>(-0.0)) > 0 && !strcmp(text, "-0x0p+0"));
  CHECK(new_strfromf128(text, 3, "%G", static_cast<Float128>(1234)) == 4 && !strcmp(text, "12"));
  return 0;
}

TEST(dl_find_object) {
  Found found;
  const auto here = reinterpret_cast<char*>(&check_dl_find_object);
  CHECK(new_dl_find_object(here, &found) == 0 && found.eh_frame);
  CHECK(static_cast<char*>(found.start) <= here && here < static_cast<char*>(found.end));
  int on_stack;
  CHECK(new_dl_find_object(&on_stack, &found) == -1);
  return 0;
}

TEST(exceptions) {
  try {
    throw std::runtime_error("thrown");
  } catch (const std::exception& error) {
    CHECK(!strcmp(error.what(), "thrown"));
  }
  return 0;
}
