/* Atomic updates: one thread runs at a time, so reading and writing need nothing between them. */
#ifndef GPUWHEEL_PTX_ATOMICS_H
#define GPUWHEEL_PTX_ATOMICS_H

#include <math.h>

#include "values.h"

/* `result` becomes what was there (`old`, of type T), and `value` is written; memory that may not be touched reads as 0. */
#define UPDATE(look_up, access, T, result, value)                                        \
  do {                                                                             \
    u8* const at_ = look_up(w, i, lane, a, sizeof(T), sizeof(T), access);          \
    T old = 0;                                                                     \
    if (likely(at_ != NULL)) {                                                     \
      memcpy(&old, at_, sizeof old);                                               \
      const T new_ = (T)(value);                                                   \
      memcpy(at_, &new_, sizeof new_);                                             \
    }                                                                              \
    result = old;                                                                  \
  } while (0)

/* Global memory adds f32 without subnormals, shared memory with them (PTX ISA, atom). */
static inline float flushed(float value) { return fabsf(value) < 0x1p-126f ? copysignf(0.0f, value) : value; }
static inline u32 add_f32_global(u32 old, float b) { return of_f32(flushed(flushed(as_f32(old)) + flushed(b))); }
static inline u32 add_f32_shared(u32 old, float b) { return of_f32(as_f32(old) + b); }
static inline u64 add_f64(u64 old, double b) { return of_f64(as_f64(old) + b); }

/* Of two numbers the smaller or larger, of a number and NaN the number (atom.min, atom.max of halves). */
static inline float least(float a, float b) { return a != a ? b : b != b ? a : a < b || (a == b && signbit(a)) ? a : b; }
static inline float most(float a, float b) { return a != a ? b : b != b ? a : a > b || (a == b && !signbit(a)) ? a : b; }
static inline float sum(float a, float b) { return a + b; }

#define HALVES(name, decode, encode, of)                                                    \
  static inline u16 name(u16 a, u16 b) { return encode(of(decode(a), decode(b))); }         \
  static inline u32 name##x2(u32 a, u32 b) { return name((u16)a, (u16)b) | (u32)name((u16)(a >> 16), (u16)(b >> 16)) << 16; }
HALVES(add_f16, from_f16, to_f16, sum)
HALVES(min_f16, from_f16, to_f16, least)
HALVES(max_f16, from_f16, to_f16, most)
HALVES(add_bf16, from_bf16, to_bf16, sum)
HALVES(min_bf16, from_bf16, to_bf16, least)
HALVES(max_bf16, from_bf16, to_bf16, most)

#endif
