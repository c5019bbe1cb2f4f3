/* Functions on memory and text: reallocarray of glibc 2.26, explicit_bzero of 2.25, strlcpy and strlcat of 2.38, and
   what -D_FORTIFY_SOURCE turns them into. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "../polyfill.h"

#define ALIAS(name) __asm__(#name)

extern size_t text_length(const char*) __asm__("strlen");
extern size_t text_length_until(const char*, size_t) __asm__("strnlen");
extern void* copy(void*, const void*, size_t) __asm__("memcpy");
extern void* fill(void*, int, size_t) __asm__("memset");

POLYFILL size_t polyfill_strlcpy(char* to, const char* from, size_t size) ALIAS(strlcpy);
POLYFILL size_t polyfill_strlcat(char* to, const char* from, size_t size) ALIAS(strlcat);
POLYFILL size_t polyfill_strlcpy_chk(char* to, const char* from, size_t size, size_t room) ALIAS(__strlcpy_chk);
POLYFILL size_t polyfill_strlcat_chk(char* to, const char* from, size_t size, size_t room) ALIAS(__strlcat_chk);
POLYFILL void polyfill_bzero(void* at, size_t count) ALIAS(explicit_bzero);
POLYFILL void polyfill_bzero_chk(void* at, size_t count, size_t room) ALIAS(__explicit_bzero_chk);
POLYFILL void* polyfill_reallocarray(void* at, size_t count, size_t size) ALIAS(reallocarray);

size_t polyfill_strlcpy(char* to, const char* from, size_t size) {
  const size_t length = text_length(from);
  if (size) {
    const size_t kept = length < size ? length : size - 1;
    copy(to, from, kept);
    to[kept] = 0;
  }
  return length;
}

size_t polyfill_strlcat(char* to, const char* from, size_t size) {
  const size_t before = text_length_until(to, size);
  return before + (before == size ? text_length(from) : polyfill_strlcpy(to + before, from, size - before));
}

size_t polyfill_strlcpy_chk(char* to, const char* from, size_t size, size_t room) {
  if (room < size) abort();
  return polyfill_strlcpy(to, from, size);
}

size_t polyfill_strlcat_chk(char* to, const char* from, size_t size, size_t room) {
  if (room < size) abort();
  return polyfill_strlcat(to, from, size);
}

void polyfill_bzero(void* at, size_t count) {
  fill(at, 0, count);
  __asm__ volatile("" : : "r"(at) : "memory"); /* the bytes are looked at: they cannot stay as they were */
}

void polyfill_bzero_chk(void* at, size_t count, size_t room) {
  if (room < count) abort();
  polyfill_bzero(at, count);
}

void* polyfill_reallocarray(void* at, size_t count, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) {
    errno = ENOMEM;
    return NULL;
  }
  return realloc(at, bytes);
}
