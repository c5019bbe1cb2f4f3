/* glibc 2.36. std::random_device uses it. Like glibc's own it never fails: without random bytes the process ends. */
#include <stdint.h>
#include <stdlib.h>

#include "../polyfill.h"
#include "random.h"

/* Under names of their own: the headers of newer systems declare the real ones. */
POLYFILL void polyfill_buf(void* buffer, size_t count) __asm__("arc4random_buf");
POLYFILL uint32_t polyfill_random(void) __asm__("arc4random");
POLYFILL uint32_t polyfill_uniform(uint32_t bound) __asm__("arc4random_uniform");

void polyfill_buf(void* buffer, size_t count) {
  if (random_bytes(buffer, count) != 0) abort();
}

uint32_t polyfill_random(void) {
  uint32_t value;
  polyfill_buf(&value, sizeof value);
  return value;
}

uint32_t polyfill_uniform(uint32_t bound) {
  if (bound < 2) return 0;
  const uint32_t rest = -bound % bound; /* 2^32 mod bound: values below it would come up more often */
  uint32_t value;
  do value = polyfill_random();
  while (value < rest);
  return value % bound;
}
