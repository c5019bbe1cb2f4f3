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

/* A double as a float with one digit more than it seems: the last bit says whether anything was cut off. Rounding it
   again is as if it had been rounded once. Written so that a compiler makes vector code of it. */
static inline u32 sticky_f32(double value) {
  const float nearest = (float)value;
  const double lost = value - (double)nearest;
  const u32 bits = of_f32(nearest);
  const u32 toward = (lost > 0) == (value > 0) ? bits + 1 : bits - 1;
  return lost != 0 && !(bits & 1) ? toward : bits; /* an infinity: the largest value, which rounds to it */
}

/* To nearest, ties to even; NaN is the canonical 0x7fff. */
static inline u16 to_bf16(double value) {
  const u32 bits = sticky_f32(value);
  return (u16)(value == value ? (bits + 0x7fffu + (bits >> 16 & 1)) >> 16 : 0x7fffu);
}
static inline u16 to_f16(double value) {
  const u32 bits = sticky_f32(value), magnitude = bits & 0x7fffffffu, sign = bits >> 16 & 0x8000u;
  const u32 normal = (magnitude + 0xfffu + (magnitude >> 13 & 1) - (112u << 23)) >> 13;
  /* The last digit of 0.5 is that of subnormal values: their sum is rounded as they are. */
  const u32 subnormal = of_f32(as_f32(magnitude) + 0.5f) - of_f32(0.5f);
  const u32 small = magnitude < 113u << 23, large = magnitude >= 143u << 23;
  const u32 found = small ? subnormal : large ? 0x7c00u : normal;
  return (u16)(value == value ? sign | found : 0x7fffu);
}

#endif
