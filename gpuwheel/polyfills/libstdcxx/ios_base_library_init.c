/* libstdc++ 3.4.32 (GCC 13): <iostream> refers to it, so that a library without it is refused, and no longer makes
   std::cout in every source. The one in libstdc++.a would make a second std::cout; here the shared library makes its own,
   as the <iostream> of older GCC had it done: by std::ios_base::Init, which counts. */
#include "../polyfill.h"

extern void init_streams(void* self) __asm__("_ZNSt8ios_base4InitC1Ev");
extern void flush_streams(void* self) __asm__("_ZNSt8ios_base4InitD1Ev");

static char init; /* std::ios_base::Init is empty */

/* Before the constructors of the library's own sources (default priority 65535). */
__attribute__((constructor(101))) static void begin(void) { init_streams(&init); }
__attribute__((destructor(101))) static void end(void) { flush_streams(&init); }

POLYFILL void ios_base_library_init(void) __asm__("_ZSt21ios_base_library_initv");
void ios_base_library_init(void) {}
