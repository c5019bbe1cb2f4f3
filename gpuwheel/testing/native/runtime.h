/* What the parts of the fake CUDA runtime share. -DCUDART_MAJOR=12 or 13: two majors differ in names and structures. */
#ifndef GPUWHEEL_RUNTIME_H
#define GPUWHEEL_RUNTIME_H

#include "driver_api.h"

/* cudaError_t where CUresult has no such value, or another one */
enum { INVALID_CONFIGURATION = 9, INVALID_SYMBOL = 13, INSUFFICIENT_DRIVER = 35, MISSING_CONFIGURATION = 52, INVALID_DEVICE_FUNCTION = 98 };

typedef struct {
  unsigned x, y, z;
} dim3;

int runtime_done(int code); /* what every function ends with: an error stays for cudaGetLastError */
int runtime_init(void);
int runtime_ensure_context(void);
int runtime_library(void* module, void** library); /* that a registered module was loaded as, now if it was not */

#define ENTER(name)                                               \
  do {                                                            \
    static int slot_;                                             \
    const int forced_ = gpuwheel_fake_enter(#name, &slot_);       \
    if (forced_ != SUCCESS) return runtime_done(forced_);         \
  } while (0)

#define ENTER_CONTEXT(name)                                 \
  do {                                                      \
    ENTER(name);                                            \
    const int context_ = runtime_ensure_context();          \
    if (context_ != SUCCESS) return runtime_done(context_); \
  } while (0)

#endif
