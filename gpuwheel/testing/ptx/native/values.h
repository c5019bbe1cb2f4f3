/* Bits of registers as values, and values as bits. Halves are computed with as float and double: all of theirs are. */
#ifndef GPUWHEEL_PTX_VALUES_H
#define GPUWHEEL_PTX_VALUES_H

#include "machine.h"

static inline float as_f32(u32 bits) { float value; memcpy(&value, &bits, 4); return value; }
static inline double as_f64(u64 bits) { double value; memcpy(&value, &bits, 8); return value; }
static inline u32 of_f32(float value) { u32 bits; memcpy(&bits, &value, 4); return bits; }
static inline u64 of_f64(double value) { u64 bits; memcpy(&bits, &value, 8); return bits; }

static inline float from_bf16(u16 bits) { return as_f32((u32)bits << 16); }

static inline float from_f16(u16 bits) {
  const u32 magnitude = bits & 0x7fffu, sign = (u32)(bits & 0x8000u) << 16;
  const u32 scaled = of_f32(as_f32(magnitude << 13) * 0x1p112f); /* of infinities and NaN the exponent is put right */
  return as_f32(sign | (magnitude >= 0x7c00u ? 0x7f800000u | magnitude << 13 : scaled));
}

/* A double as a binary float of `exponent` and `fraction` bits, to nearest, ties to even; NaN is the canonical 0x7fff. */
static inline u16 to_half(double value, u32 fraction, s32 bias) {
  const u64 bits = of_f64(value), magnitude = bits & 0x7fffffffffffffffull;
  const u16 sign = (u16)(bits >> 48 & 0x8000u);
  const s32 exponent = (s32)(magnitude >> 52) - 1023 + bias; /* as the result has it */
  const u32 infinity = (u32)(2 * bias + 1) << fraction;
  if (magnitude > 0x7ff0000000000000ull) return 0x7fff;
  if (exponent >= 2 * bias + 1) return (u16)(sign | infinity);
  const u32 drop = 52 - fraction + (exponent > 0 ? 0u : (u32)(1 - exponent));
  if (drop > 54) return sign; /* less than half of the smallest */
  const u64 whole = (magnitude & 0xfffffffffffffull) | 0x10000000000000ull;
  const u64 kept = whole >> drop, rest = whole & ((1ull << drop) - 1), half = 1ull << (drop - 1);
  const u64 rounded = kept + (rest > half || (rest == half && (kept & 1)));
  /* a carry moves into the exponent, as it should: up to infinity */
  return (u16)(sign | (u32)(exponent > 0 ? ((u64)(u32)exponent << fraction) + rounded - (1ull << fraction) : rounded));
}

static inline u16 to_f16(double value) { return to_half(value, 10, 15); }

/* Of a float that is promoted this is exact as well; it is written so that a compiler makes vector code of it. */
static inline u16 to_bf16(double value) {
  const float single = (float)value;
  const u32 bits = of_f32(single);
  if (unlikely((double)single != value)) return to_half(value, 7, 127);
  return (u16)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

#endif
