/* glibc 2.32, <sys/single_threaded.h>: libstdc++ reads it to do without atomic instructions.
   "Perhaps there are threads" is always right, and never faster. */
#include "../polyfill.h"

POLYFILL char __libc_single_threaded = 0;
