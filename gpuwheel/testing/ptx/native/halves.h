/* Floats of 16 bits and fewer: f16 and bf16, which rows compute with as f32 and f64 (PTX ISA 9.7.4, 9.7.5 and 9.7.7),
   and the formats of 4, 6 and 8 bits (5.2.3 and 9.7.9.21). */
#ifndef GPUWHEEL_PTX_HALVES_H
#define GPUWHEEL_PTX_HALVES_H

#include "floats.h"

/* ---- any format: `code` without its sign is a mantissa of `digits` bits below an exponent with `bias` */
typedef struct Format {
  int digits, bias;
  u32 most;     /* the code of the largest finite value */
  u32 infinity; /* what is larger becomes: an infinity, or the largest finite value */
  u32 nan;
  u32 sign;
} Format;

static const Format FORMAT_f16 = {10, 15, 0x7bff, 0x7c00, 0x7fff, 0x8000};
static const Format FORMAT_bf16 = {7, 127, 0x7f7f, 0x7f80, 0x7fff, 0x8000};
static const Format FORMAT_e4m3 = {3, 7, 0x7e, 0x7e, 0x7f, 0x80};
static const Format FORMAT_e5m2 = {2, 15, 0x7b, 0x7b, 0x7f, 0x80};
static const Format FORMAT_e2m3 = {3, 1, 0x1f, 0x1f, 0x1f, 0x20};
static const Format FORMAT_e3m2 = {2, 3, 0x1f, 0x1f, 0x1f, 0x20};
static const Format FORMAT_e2m1 = {1, 1, 0x7, 0x7, 0x7, 0x8};

/* How a multiple of the last digit is chosen. Of a magnitude: rm and rp want the sign. */
static inline double whole_rn(double x, int negative) { (void)negative; return rint(x); }
static inline double whole_rz(double x, int negative) { (void)negative; return floor(x); }
static inline double whole_rm(double x, int negative) { return negative ? ceil(x) : floor(x); }
static inline double whole_rp(double x, int negative) { return negative ? floor(x) : ceil(x); }

static inline int exponent_of(double magnitude) { return (int)(of_f64(magnitude) >> 52) - 1023; }
static inline double power_of_two(int exponent) { return as_f64((u64)(1023 + exponent) << 52); }

/* The exponent of a value's last digit, in a format where the smallest are subnormal. */
static inline int last_digit(double magnitude, Format to) {
  const int exponent = exponent_of(magnitude), least = 1 - to.bias;
  return (exponent < least ? least : exponent) - to.digits;
}

/* The code of `whole` last digits: a carry into the next exponent is right by itself. */
static inline u32 code_of(double whole, int digit, double x, Format to) {
  const u32 sign = signbit(x) ? to.sign : 0;
  const double code = whole + (double)((digit + to.digits + to.bias - 1) * (1 << to.digits));
  return sign | (code > to.most ? to.infinity : (u32)code);
}

/* Toward zero, what is too large becomes the largest. */
#define DEFINE_ENCODING(rnd, stops)                                                                          \
  static inline u32 encode_##rnd(double x, Format to) {                                                      \
    if (x != x) return to.nan;                                                                               \
    if (isinf(x)) return (signbit(x) ? to.sign : 0) | to.infinity;                                           \
    const int negative = signbit(x), digit = last_digit(fabs(x), to);                                        \
    if (stops) to.infinity = to.most;                                                                        \
    return code_of(whole_##rnd(fabs(x) * power_of_two(-digit), negative), digit, x, to);                     \
  }
DEFINE_ENCODING(rn, 0)
DEFINE_ENCODING(rz, 1)
DEFINE_ENCODING(rm, !negative)
DEFINE_ENCODING(rp, negative)

/* Stochastic rounding: `count` random bits are added below the last digit, and what is below it is cut off. */
static inline u32 encode_rs(float x, Format to, u32 random, int count) {
  if (x != x) return to.nan;
  if (isinf(x)) return (signbit(x) ? to.sign : 0) | to.infinity;
  const int digit = last_digit(fabs((double)x), to);
  const double parts = fabs((double)x) * power_of_two(-digit);
  return code_of(floor(parts + (double)random * power_of_two(-count)), digit, x, to);
}

static inline double decode(u32 code, Format from) {
  const u32 magnitude = code & (from.sign - 1), digits = magnitude & ((1u << from.digits) - 1);
  const int exponent = (int)(magnitude >> from.digits);
  const double of_digits = (double)(exponent == 0 ? digits : digits | 1u << from.digits);
  double value = of_digits * power_of_two((exponent == 0 ? 1 : exponent) - from.bias - from.digits);
  if (magnitude > from.most) value = magnitude == from.infinity ? (double)INFINITY : (double)NAN;
  return code & from.sign ? -value : value;
}

/* ---- both halves of a register */
static inline float low_f16x2(u32 both) { return from_f16((u16)both); }
static inline float high_f16x2(u32 both) { return from_f16((u16)(both >> 16)); }
static inline float low_bf16x2(u32 both) { return from_bf16((u16)both); }
static inline float high_bf16x2(u32 both) { return from_bf16((u16)(both >> 16)); }
static inline u32 two_halves(u32 high, u32 low) { return high << 16 | (low & 0xffff); }

/* .ftz of a value that will be rounded: what rounds to less than the smallest normal one. */
static inline double f16_ftz(double x) { return fabs(x) < 0x1p-14 - 0x1p-25 ? copysign(0.0, x) : x; }
static inline double bf16_ftz(double x) { return fabs(x) < 0x1p-126 - 0x1p-134 ? copysign(0.0, x) : x; }
#define f16_(x) ((double)(x))
#define bf16_(x) ((double)(x))
/* The same of bits. */
static inline u16 f16_bits_ftz(u16 bits) { return bits & 0x7c00 ? bits : bits & 0x8000; }
static inline u32 f16x2_bits_ftz(u32 both) {
  return two_halves(f16_bits_ftz((u16)(both >> 16)), f16_bits_ftz((u16)both));
}
#define f16_bits_(bits) (bits)
#define f16x2_bits_(both) (both)

/* Rounded to odd: a result that is not exact keeps a last bit that says so, and a second rounding is as if it was the
   only one (Boldo and Melquiond 2008). */
static inline double to_odd(double nearest, double lost) {
  const s64 bits = (s64)of_f64(nearest), away = ((bits ^ (s64)of_f64(lost)) >> 63) | 1; /* from zero: 1, or -1 */
  const s64 inexact = fabs(lost) > 0 ? ~bits & 1 : 0; /* of an infinity NaN is lost: nothing */
  return as_f64((u64)(bits + inexact * away));
}
static inline double odd_sum(double a, double b) { return to_odd(a + b, lost_of_sum(a, b, a + b)); }

/* a * b + c for the halves: the product is exact, and so is the sum of f16 or its rounding harmless. */
static inline double f16_fma(float a, float b, float c) { return (double)a * b + c; }
static inline double bf16_fma(float a, float b, float c) { return odd_sum((double)a * b, c); }
#define f16x2_fma f16_fma
#define bf16x2_fma bf16_fma

#endif
