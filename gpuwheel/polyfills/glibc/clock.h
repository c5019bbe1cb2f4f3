/* A deadline of another clock as one of CLOCK_REALTIME, for the waits that glibc had before 2.30.
   Weaker: where somebody sets the clock of the machine meanwhile, the wait ends early or late, as it did under older
   libstdc++, whose callers look at their own clock again. */
#pragma once

#include <errno.h>
#include <time.h>

static inline int to_real_time(clockid_t clock, const struct timespec* deadline, struct timespec* real) {
  const long second = 1000000000L;
  if (deadline->tv_nsec < 0 || deadline->tv_nsec >= second) return EINVAL;
  if (clock == CLOCK_REALTIME) {
    *real = *deadline;
    return 0;
  }
  if (clock != CLOCK_MONOTONIC) return EINVAL;
  struct timespec now;
  clock_gettime(clock, &now);
  clock_gettime(CLOCK_REALTIME, real);
  real->tv_sec += deadline->tv_sec - now.tv_sec;
  real->tv_nsec += deadline->tv_nsec - now.tv_nsec;
  if (real->tv_nsec < 0) {
    real->tv_nsec += second;
    --real->tv_sec;
  } else if (real->tv_nsec >= second) {
    real->tv_nsec -= second;
    ++real->tv_sec;
  }
  if (real->tv_sec < 0) *real = (struct timespec){0, 0}; /* long ago is still a time */
  return 0;
}
