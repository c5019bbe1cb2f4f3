/* glibc 2.30: std::shared_timed_mutex waits for a steady clock with them. */
#include "../polyfill.h"
#include "clock.h"

extern int pthread_rwlock_timedrdlock(void* lock, const struct timespec* deadline);
extern int pthread_rwlock_timedwrlock(void* lock, const struct timespec* deadline);

POLYFILL int pthread_rwlock_clockrdlock(void* lock, clockid_t clock, const struct timespec* deadline) {
  struct timespec real;
  const int error = to_real_time(clock, deadline, &real);
  return error ? error : pthread_rwlock_timedrdlock(lock, &real);
}

POLYFILL int pthread_rwlock_clockwrlock(void* lock, clockid_t clock, const struct timespec* deadline) {
  struct timespec real;
  const int error = to_real_time(clock, deadline, &real);
  return error ? error : pthread_rwlock_timedwrlock(lock, &real);
}
