/* glibc 2.26, <stdlib.h>: std::from_chars and std::to_chars of a 128-bit float use them, in the same part of libstdc++.a as
   those of double. Weaker on x86_64, where they go through long double: 64 bits of 113 are kept. */
#include <stddef.h>

#include "../polyfill.h"

#if defined(__x86_64__)
typedef __float128 float128;
#else
typedef long double float128;
#endif

extern long double to_long_double(const char* text, char** end) __asm__("strtold");
extern int print(char* to, size_t size, const char* format, long double value) __asm__("snprintf");

POLYFILL float128 polyfill_strtof128(const char* text, char** end) __asm__("strtof128");
POLYFILL int polyfill_strfromf128(char* to, size_t size, const char* format, float128 value) __asm__("strfromf128");

float128 polyfill_strtof128(const char* text, char** end) { return to_long_double(text, end); }

/* `format` is "%", perhaps a precision, and one of "aefgAEFG" (ISO/IEC TS 18661-3). */
int polyfill_strfromf128(char* to, size_t size, const char* format, float128 value) {
  char with_length[32];
  size_t at = 0;
  while (format[at + 1] && at < sizeof with_length - 3) {
    with_length[at] = format[at];
    ++at;
  }
  with_length[at] = 'L';
  with_length[at + 1] = format[at];
  with_length[at + 2] = 0;
  return print(to, size, with_length, value);
}
