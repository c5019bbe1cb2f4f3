/* What rows of `cvt` call (PTX ISA 9.7.9.21 and 9.7.9.22). */
#ifndef GPUWHEEL_PTX_CONVERSIONS_H
#define GPUWHEEL_PTX_CONVERSIONS_H

#include "halves.h"
#include "integers.h"

/* ---- floats to integers: to a whole number, and then into the range; NaN is zero or, if either side has 64 bits, the
   highest bit alone */
#define whole_rni(x) rint(x)
#define whole_rzi(x) trunc(x)
#define whole_rmi(x) floor(x)
#define whole_rpi(x) ceil(x)

#define DEFINE_INTEGER_OF(T, least, end, highest_bit)                                                        \
  static inline T T##_of_whole(double x, T of_nan) {                                                         \
    return x != x ? of_nan : x < (least) ? (T)(least) : x >= (end) ? (T)((highest_bit) - 1) : (T)x;          \
  }
DEFINE_INTEGER_OF(u8, 0.0, 0x1p8, 0)
DEFINE_INTEGER_OF(u16, 0.0, 0x1p16, 0)
DEFINE_INTEGER_OF(u32, 0.0, 0x1p32, 0)
DEFINE_INTEGER_OF(u64, 0.0, 0x1p64, 0)
DEFINE_INTEGER_OF(s8, -0x1p7, 0x1p7, 0x80)
DEFINE_INTEGER_OF(s16, -0x1p15, 0x1p15, 0x8000)
DEFINE_INTEGER_OF(s32, -0x1p31, 0x1p31, 0x80000000)
DEFINE_INTEGER_OF(s64, -0x1p63, 0x1p63, 0x8000000000000000)
#define highest_bit(T) ((T)((u64)1 << (8 * sizeof(T) - 1)))

/* ---- integers to floats: f64 holds those of 32 bits; longer ones are rounded to odd on their way to shorter floats */
static inline double real_u64(u64 x) {
  const double nearest = (double)x;
  const s128 lost = (s128)x - (s128)nearest;
  return to_odd(nearest, (double)lost);
}
static inline double real_s64(s64 x) {
  const double nearest = (double)x;
  const s128 lost = (s128)x - (s128)nearest;
  return to_odd(nearest, (double)lost);
}
#define real_u8(x) ((double)(x))
#define real_s8 real_u8
#define real_u16 real_u8
#define real_s16 real_u8
#define real_u32 real_u8
#define real_s32 real_u8
/* The sign of what an integer as the nearest f64 lacks. */
#define lacks_of_integer(x) ((double)((s128)(x) - (s128)(double)(x)))

/* ---- floats to shorter floats, from f64: those of f16 and bf16 are exact as f64 then */
static inline float f32_from_rn(double x) { return quiet((float)x); }
static inline double lacks_of_f32(double x, float nearest) { return isinf(nearest) && isinf(x) ? 0.0 : x - nearest; }
static inline float f32_from_rz(double x) { return quiet(f32_rz((float)x, lacks_of_f32(x, (float)x))); }
static inline float f32_from_rm(double x) { return quiet(f32_rm((float)x, lacks_of_f32(x, (float)x))); }
static inline float f32_from_rp(double x) { return quiet(f32_rp((float)x, lacks_of_f32(x, (float)x))); }
#define DEFINE_HALF_FROM(T, rnd) \
  static inline double T##_from_##rnd(double x) { return decode(encode_##rnd(x, FORMAT_##T), FORMAT_##T); }
DEFINE_HALF_FROM(f16, rz)
DEFINE_HALF_FROM(f16, rm)
DEFINE_HALF_FROM(f16, rp)
DEFINE_HALF_FROM(bf16, rz)
DEFINE_HALF_FROM(bf16, rm)
DEFINE_HALF_FROM(bf16, rp)
#define f16_from_rn(x) ((double)(x)) /* rounded when it is written */
#define bf16_from_rn(x) ((double)(x))

/* The bits of a half, for those that stand two in a register. */
#define code_f16_rn(x) to_f16(x)
#define code_f16_rz(x) encode_rz(x, FORMAT_f16)
#define code_bf16_rn(x) to_bf16(x)
#define code_bf16_rz(x) encode_rz(x, FORMAT_bf16)

/* .satfinite: at most the largest finite value; NaN stays. */
static inline double within(double x, double most) { return x > most ? most : x < -most ? -most : x; }
#define f16_limit_satfinite(x) within(x, 65504.0)
#define bf16_limit_satfinite(x) within(x, 0x1.fep127)
#define f16_limit_(x) ((double)(x))
#define bf16_limit_(x) ((double)(x))

/* ---- tf32: f32 with 10 bits of mantissa; rna: ties away from zero */
static inline u32 tf32_nan_or(float x, u32 found) { return x == x ? found : 0x7fffffff; }
static inline u32 tf32_rna(float x) { return tf32_nan_or(x, isinf(x) ? of_f32(x) : (of_f32(x) + 0x1000) & 0xffffe000); }
static inline u32 tf32_rz(float x) { return tf32_nan_or(x, of_f32(x) & 0xffffe000); }
static inline u32 tf32_rn(float x) {
  const u32 bits = of_f32(x);
  return tf32_nan_or(x, isinf(x) ? bits : (bits + 0xfff + (bits >> 13 & 1)) & 0xffffe000);
}
#define tf32_limit_(x) (x)
#define tf32_limit_satfinite(x) ((float)within(x, 0x1.ffcp127))

/* ---- formats of 4, 6 and 8 bits, two in a register: `high` is the first operand */
static inline u32 packed(u32 high, u32 low, int bits) { return high << bits | low; }
#define pack_e4m3x2(high, low) packed(encode_rn(high, FORMAT_e4m3), encode_rn(low, FORMAT_e4m3), 8)
#define pack_e5m2x2(high, low) packed(encode_rn(high, FORMAT_e5m2), encode_rn(low, FORMAT_e5m2), 8)
#define pack_e2m3x2(high, low) packed(encode_rn(high, FORMAT_e2m3), encode_rn(low, FORMAT_e2m3), 8)
#define pack_e3m2x2(high, low) packed(encode_rn(high, FORMAT_e3m2), encode_rn(low, FORMAT_e3m2), 8)
#define pack_e2m1x2(high, low) packed(encode_rn(high, FORMAT_e2m1), encode_rn(low, FORMAT_e2m1), 4)
#define first_e4m3x2(both) decode((both) >> 8 & 0xff, FORMAT_e4m3)
#define first_e5m2x2(both) decode_e5m2((both) >> 8 & 0xff)
#define first_e2m3x2(both) decode((both) >> 8 & 0x3f, FORMAT_e2m3)
#define first_e3m2x2(both) decode((both) >> 8 & 0x3f, FORMAT_e3m2)
#define first_e2m1x2(both) decode((both) >> 4 & 0xf, FORMAT_e2m1)
#define second_e4m3x2(both) decode((both) & 0xff, FORMAT_e4m3)
#define second_e5m2x2(both) decode_e5m2((both) & 0xff)
#define second_e2m3x2(both) decode((both) & 0x3f, FORMAT_e2m3)
#define second_e3m2x2(both) decode((both) & 0x3f, FORMAT_e3m2)
#define second_e2m1x2(both) decode((both) & 0xf, FORMAT_e2m1)
/* e5m2 is the upper half of f16, infinities included. */
static inline double decode_e5m2(u32 code) { return from_f16((u16)(code << 8)); }

/* ---- ue8m0: an exponent alone, of the magnitude; above the largest is NaN, unless it is finite by .satfinite */
static inline u32 ue8m0_of(float x, int up, u32 most) {
  if (x != x) return 0xff;
  const u32 magnitude = of_f32(x) & 0x7fffffff, exponent = magnitude >> 23, mantissa = magnitude & 0x7fffff;
  /* A subnormal value lies below 2^-126, whose code is 1; its code is 0 up to 2^-127. */
  const u32 above = exponent == 0 ? mantissa > 0x400000 : mantissa != 0;
  const u32 found = exponent == 0xff ? 0xff : exponent + (up && above);
  return found > most ? most : found;
}
enum { raised_rz = 0, raised_rp = 1, limit_ = 0xff, limit_satfinite = 0xfe };
static inline double decode_ue8m0(u32 code) { return code == 0xff ? (double)NAN : power_of_two((int)code - 127); }

/* ---- .rs: the random bits of each operand. Of four values, both of a pair have the same 16, the first of them in
   reverse order (so it was measured on a B200; the manual has it in figures 40 and 41). */
static inline u32 random_bytes(u32 random, int pair) { return random >> 16 * pair & 0xffff; }
static inline u32 random_nibbles(u32 random, int pair) {
  return (random >> 8 * pair & 0xff) | (random >> (8 * pair + 8) & 0xff00);
}
static inline u32 four_rs(const float values[4], Format to, int bits, const u32 random[2]) {
  u32 result = 0;
  for (int index = 0; index < 4; ++index) {
    const u32 of_pair = random[index / 2];
    result = result << bits | encode_rs(values[index], to, index % 2 ? of_pair : (u32)reverse_bits(of_pair, 16), 16);
  }
  return result;
}
#define RANDOM_BYTES(r) ((const u32[2]){random_bytes(r, 1), random_bytes(r, 0)})
#define RANDOM_NIBBLES(r) ((const u32[2]){random_nibbles(r, 1), random_nibbles(r, 0)})
#define FOUR(a, b, e, f) ((const float[4]){a, b, e, f})
#define four_e4m3x4(a, b, e, f, r) four_rs(FOUR(a, b, e, f), FORMAT_e4m3, 8, RANDOM_BYTES(r))
#define four_e5m2x4(a, b, e, f, r) four_rs(FOUR(a, b, e, f), FORMAT_e5m2, 8, RANDOM_BYTES(r))
#define four_e2m3x4(a, b, e, f, r) four_rs(FOUR(a, b, e, f), FORMAT_e2m3, 8, RANDOM_BYTES(r))
#define four_e3m2x4(a, b, e, f, r) four_rs(FOUR(a, b, e, f), FORMAT_e3m2, 8, RANDOM_BYTES(r))
#define four_e2m1x4(a, b, e, f, r) four_rs(FOUR(a, b, e, f), FORMAT_e2m1, 4, RANDOM_NIBBLES(r))
/* Of two: 13 bits of each half of them for f16, 16 for bf16. */
static inline u32 stochastic_f16(double x, u32 random) { return encode_rs((float)x, FORMAT_f16, random & 0x1fff, 13); }
static inline u32 stochastic_bf16(double x, u32 random) {
  return encode_rs((float)x, FORMAT_bf16, random & 0xffff, 16);
}

/* ---- cvt.pack: two integers into fields of some bits, above which the third operand moves up */
static inline u32 pack_integers(s32 a, s32 b, s128 least, s128 most, int bits, u32 rest) {
  const u32 mask = (1u << bits) - 1;
  const u32 high = (u32)clamp_to(a, least, most) & mask, low = (u32)clamp_to(b, least, most) & mask;
  return high << bits | low | (bits < 16 ? rest << 2 * bits : 0);
}
#define pack_u2(a, b, c) pack_integers(a, b, 0, 3, 2, c)
#define pack_s2(a, b, c) pack_integers(a, b, -2, 1, 2, c)
#define pack_u4(a, b, c) pack_integers(a, b, 0, 15, 4, c)
#define pack_s4(a, b, c) pack_integers(a, b, -8, 7, 4, c)
#define pack_u8(a, b, c) pack_integers(a, b, 0, UINT8_MAX, 8, c)
#define pack_s8(a, b, c) pack_integers(a, b, INT8_MIN, INT8_MAX, 8, c)
#define pack_u16(a, b) pack_integers(a, b, 0, UINT16_MAX, 16, 0)
#define pack_s16(a, b) pack_integers(a, b, INT16_MIN, INT16_MAX, 16, 0)

#endif
