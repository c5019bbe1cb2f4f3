/* glibc 2.30: std::timed_mutex waits for a steady clock with it. */
#include "../polyfill.h"
#include "clock.h"

extern int pthread_mutex_timedlock(void* mutex, const struct timespec* deadline);

POLYFILL int pthread_mutex_clocklock(void* mutex, clockid_t clock, const struct timespec* deadline) {
  struct timespec real;
  const int error = to_real_time(clock, deadline, &real);
  return error ? error : pthread_mutex_timedlock(mutex, &real);
}
