/* glibc 2.25. std::random_device uses it. */
#include "../polyfill.h"
#include "random.h"

POLYFILL int polyfill_getentropy(void* buffer, size_t count) __asm__("getentropy");

int polyfill_getentropy(void* buffer, size_t count) {
  if (count > 256) {
    errno = EIO;
    return -1;
  }
  return random_bytes(buffer, count);
}
