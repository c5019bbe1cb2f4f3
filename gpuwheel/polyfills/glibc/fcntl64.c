/* glibc 2.28: <fcntl.h> renames fcntl to it where files are large, which on 64-bit machines they always were. */
#include <stdarg.h>

#include "../polyfill.h"

extern int fcntl(int fd, int command, ...);

POLYFILL int fcntl64(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void* argument = va_arg(arguments, void*); /* an int comes the same way; without an argument nobody reads it */
  va_end(arguments);
  return fcntl(fd, command, argument);
}
