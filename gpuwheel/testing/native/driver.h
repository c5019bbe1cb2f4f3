/* What the parts of the fake driver share. */
#ifndef GPUWHEEL_DRIVER_H
#define GPUWHEEL_DRIVER_H

#include <stdatomic.h>

#include "image.h"


/* One image that was loaded, with the variables of its code. */
typedef struct Library {
  Image image;
  struct ModuleVariables* variables; /* of programs.c; NULL: nobody has asked */
} Library;

typedef struct Kernel {
  Library* library;
  ImageKernel* image;
  atomic_int max_dynamic_shared[MAX_DEVICES], large_clusters[MAX_DEVICES], loaded[MAX_DEVICES];
  _Atomic(struct KernelProgram*) program;
  struct Kernel* next;
} Kernel;

enum { SHARED_DEFAULT = 48 * 1024, SHARED_MOST = 227 * 1024, PORTABLE_CLUSTER = 8, LARGEST_CLUSTER = 16 };

int driver_is_started(void); /* cuInit was called, and not in the parent of this process alone */

#define ENTER(name)                                          \
  do {                                                       \
    static int slot_;                                        \
    const int forced_ = gpuwheel_fake_enter(#name, &slot_);  \
    if (forced_ != SUCCESS) return forced_;                  \
  } while (0)

/* After cuInit, and not in a process forked from one that called it. */
#define ENTER_STARTED(name)                         \
  do {                                              \
    ENTER(name);                                    \
    if (!driver_is_started()) return NOT_INITIALIZED; \
  } while (0)

#define ENTER_CURRENT(name)                                      \
  do {                                                           \
    ENTER_STARTED(name);                                         \
    if (gpuwheel_fake_current() < 0) return INVALID_CONTEXT;     \
  } while (0)

#define CHECK_DEVICE(device) \
  do {                       \
    if ((device) < 0 || (device) >= gpuwheel_fake_devices()) return INVALID_DEVICE; \
  } while (0)

#endif
