/* glibc 2.38: <stdlib.h>, <inttypes.h>, <stdio.h> and <wchar.h> rename these functions for C23, and for everything that
   GNU C++ compiles. Weaker: the prefix "0b" is not read where the base is 0 or 2, nor "%b". */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "../polyfill.h"

#define INTEGER(type, name, character)                                                              \
  extern type name(const character*, character**, int);                                             \
  POLYFILL type __isoc23_##name(const character* text, character** end, int base) {                 \
    return name(text, end, base);                                                                   \
  }                                                                                                 \
  extern type name##_l(const character*, character**, int, void*);                                  \
  POLYFILL type __isoc23_##name##_l(const character* text, character** end, int base, void* locale) { \
    return name##_l(text, end, base, locale);                                                       \
  }
#define GREATEST(type, name, character)                                             \
  extern type name(const character*, character**, int);                             \
  POLYFILL type __isoc23_##name(const character* text, character** end, int base) { \
    return name(text, end, base);                                                   \
  }

INTEGER(long, strtol, char)
INTEGER(unsigned long, strtoul, char)
INTEGER(long long, strtoll, char)
INTEGER(unsigned long long, strtoull, char)
INTEGER(long, wcstol, wchar_t)
INTEGER(unsigned long, wcstoul, wchar_t)
INTEGER(long long, wcstoll, wchar_t)
INTEGER(unsigned long long, wcstoull, wchar_t)
GREATEST(intmax_t, strtoimax, char)
GREATEST(uintmax_t, strtoumax, char)
GREATEST(intmax_t, wcstoimax, wchar_t)
GREATEST(uintmax_t, wcstoumax, wchar_t)

#define SCAN(name, source, character)                                                       \
  extern int __isoc99_v##name(source, const character*, va_list);                           \
  POLYFILL int __isoc23_v##name(source from, const character* format, va_list arguments) {  \
    return __isoc99_v##name(from, format, arguments);                                       \
  }                                                                                         \
  POLYFILL int __isoc23_##name(source from, const character* format, ...) {                 \
    va_list arguments;                                                                      \
    va_start(arguments, format);                                                            \
    const int count = __isoc99_v##name(from, format, arguments);                            \
    va_end(arguments);                                                                      \
    return count;                                                                           \
  }
#define SCAN_INPUT(name, character)                                           \
  extern int __isoc99_v##name(const character*, va_list);                     \
  POLYFILL int __isoc23_v##name(const character* format, va_list arguments) { \
    return __isoc99_v##name(format, arguments);                               \
  }                                                                           \
  POLYFILL int __isoc23_##name(const character* format, ...) {                \
    va_list arguments;                                                        \
    va_start(arguments, format);                                              \
    const int count = __isoc99_v##name(format, arguments);                    \
    va_end(arguments);                                                        \
    return count;                                                             \
  }

SCAN(sscanf, const char*, char)
SCAN(fscanf, void*, char)
SCAN_INPUT(scanf, char)
SCAN(swscanf, const wchar_t*, wchar_t)
SCAN(fwscanf, void*, wchar_t)
SCAN_INPUT(wscanf, wchar_t)
