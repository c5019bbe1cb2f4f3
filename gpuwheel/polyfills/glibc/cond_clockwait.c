/* glibc 2.30: std::condition_variable waits for a steady clock with it. */
#include "../polyfill.h"
#include "clock.h"

extern int pthread_cond_timedwait(void* condition, void* mutex, const struct timespec* deadline);

POLYFILL int pthread_cond_clockwait(void* condition, void* mutex, clockid_t clock, const struct timespec* deadline) {
  struct timespec real;
  const int error = to_real_time(clock, deadline, &real);
  return error ? error : pthread_cond_timedwait(condition, mutex, &real);
}
