/* What every polyfill needs: nothing that is defined here leaves the library it is linked into. */
#pragma once

#define POLYFILL __attribute__((visibility("hidden")))
