/* What generated handlers include: the machine, and the functions that the table of meanings names. */
#ifndef GPUWHEEL_PTX_HANDLERS_H
#define GPUWHEEL_PTX_HANDLERS_H

#include "atomics.h"
#include "copies.h"
#include "later.h"
#include "machine.h"
#include "matrix.h"
#include "wmma.h"
#include "numbers.h"

/* How an access orders others, by the word of the instruction. */
enum {
  ORDER_ = 0, ORDER_relaxed = STRONG, ORDER_volatile = STRONG, ORDER_acquire = STRONG,
  ORDER_release = STRONG | RELEASE, ORDER_acq_rel = STRONG | RELEASE
};

/* A register is read and written at the same lane only: the compiler may take all lanes at once. */
#define EVERY_LANE(on, ...)                                    \
  if (likely((on) == ~0u)) {                                   \
    _Pragma("GCC ivdep") for (u32 lane = 0; lane < LANES; ++lane) __VA_ARGS__ \
  } else {                                                     \
    FOR_LANES(on) __VA_ARGS__                                  \
  }

/* Memory and registers are never the same, and lanes touch different bytes of it or only read. */
#define SIDE_LANES(...) _Pragma("GCC ivdep") for (u32 lane = 0; lane < LANES; ++lane) __VA_ARGS__

#define EACH_LANE(on, ...)                                     \
  if (likely((on) == ~0u)) {                                   \
    for (u32 lane = 0; lane < LANES; ++lane) __VA_ARGS__       \
  } else {                                                     \
    FOR_LANES(on) __VA_ARGS__                                  \
  }

#endif
