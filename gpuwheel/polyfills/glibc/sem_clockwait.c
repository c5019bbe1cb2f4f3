/* glibc 2.30: std::counting_semaphore waits for a steady clock with it where it is built on semaphores. */
#include "../polyfill.h"
#include "clock.h"

extern int sem_timedwait(void* semaphore, const struct timespec* deadline);

POLYFILL int sem_clockwait(void* semaphore, clockid_t clock, const struct timespec* deadline) {
  struct timespec real;
  const int error = to_real_time(clock, deadline, &real);
  if (error) {
    errno = error;
    return -1;
  }
  return sem_timedwait(semaphore, &real);
}
