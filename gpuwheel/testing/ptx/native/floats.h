/* What rows of the table of meanings call for f32 and f64 (PTX ISA 9.7.3): each result has one rounding, in the
   direction that is asked for. Compile without contraction of a * b + c. A NaN of f32 is 0x7fffffff whatever made it,
   as on NVIDIA's machines; of f64 the host's. */
#ifndef GPUWHEEL_PTX_FLOATS_H
#define GPUWHEEL_PTX_FLOATS_H

#include <float.h>
#include <math.h>

#include "values.h"

static inline float quiet(float x) { return x == x ? x : as_f32(0x7fffffff); }

/* Subnormal values become zeros that keep their sign. */
static inline float ftz(float x) { return fabsf(x) < FLT_MIN ? copysignf(0.0f, x) : x; }
static inline double ftz_f64(double x) { return fabs(x) < DBL_MIN ? copysign(0.0, x) : x; }

/* .sat: into [0, 1], NaN to +0; .relu: negative ones to +0. */
static inline float sat_f32(float x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; }
static inline double sat_f64(double x) { return x > 0 ? (x < 1 ? x : 1.0) : 0.0; }
static inline float relu_f32(float x) { return x <= 0 ? 0.0f : x; }
static inline double relu_f64(double x) { return x <= 0 ? 0.0 : x; }
#define sat(x) _Generic((x), float: sat_f32, double: sat_f64)(x)
#define relu(x) _Generic((x), float: relu_f32, double: relu_f64)(x)

/* ---- directed rounding: from the nearest value, and the sign of what it lacks (exact - nearest) */
static inline float f32_next(float x, int up) { /* toward an infinity; vector code, which nextafterf is not */
  const u32 bits = of_f32(x), away = (u32)((x > 0) == (up != 0));
  return as_f32(x == 0 ? (up ? 1u : 0x80000001u) : away ? bits + 1 : bits - 1);
}
static inline float f32_rm(float nearest, double lacks) { return lacks < 0 ? f32_next(nearest, 0) : nearest; }
static inline float f32_rp(float nearest, double lacks) { return lacks > 0 ? f32_next(nearest, 1) : nearest; }
static inline float f32_rz(float nearest, double lacks) {
  return nearest > 0 ? f32_rm(nearest, lacks) : nearest < 0 ? f32_rp(nearest, lacks) : nearest;
}
static inline double f64_rz(double nearest, double lacks) {
  return (nearest > 0 && lacks < 0) || (nearest < 0 && lacks > 0) ? nextafter(nearest, 0.0) : nearest;
}
static inline double f64_rm(double nearest, double lacks) {
  return lacks < 0 ? nextafter(nearest, -INFINITY) : nearest;
}
static inline double f64_rp(double nearest, double lacks) { return lacks > 0 ? nextafter(nearest, INFINITY) : nearest; }

/* A sum that is exactly zero is -0 when rounded down, unless it is of two +0. */
static inline double zero_rz(double nearest, double a, double b) { return (void)a, (void)b, nearest; }
static inline double zero_rp(double nearest, double a, double b) { return (void)a, (void)b, nearest; }
static inline double zero_rm(double nearest, double a, double b) {
  const int differ = (int)((of_f64(a) ^ of_f64(b)) >> 63);
  return (nearest == 0) & differ ? -0.0 : nearest;
}

/* What a + b, rounded to `sum`, lacks: exact (Knuth's two-sum) unless it overflows, and then of the right sign. */
static inline double lost_of_sum(double a, double b, double sum) {
  const double of_b = sum - a;
  return (a - (sum - of_b)) + (b - of_b);
}
/* The sign of a * b + c - nearest: the product of two f32 is exact in f64. NaN: of infinities, which lack nothing. */
static inline double f32_lacks(double product, double c, float nearest) {
  const double sum = product + c, difference = sum - nearest;
  return difference != 0 ? difference : lost_of_sum(product, c, sum);
}

#define DEFINE_F32_ROUNDING(rnd)                                                                             \
  static inline float f32_fma_##rnd(float a, float b, float c) {                                             \
    const double product = (double)a * b;                                                                    \
    const float nearest = fmaf(a, b, c);                                                                     \
    const double lacks = f32_lacks(product, c, nearest);                                                     \
    return quiet(lacks == 0 ? (float)zero_##rnd(nearest, product, c) : f32_##rnd(nearest, lacks));           \
  }                                                                                                          \
  static inline float f32_add_##rnd(float a, float b) { return f32_fma_##rnd(a, 1.0f, b); }                  \
  static inline float f32_sub_##rnd(float a, float b) { return f32_fma_##rnd(a, 1.0f, -b); }                 \
  static inline float f32_mul_##rnd(float a, float b) {                                                      \
    const float nearest = a * b;                                                                             \
    return quiet(f32_##rnd(nearest, f32_lacks((double)a * b, 0.0, nearest)));                                \
  }                                                                                                          \
  static inline float f32_div_##rnd(float a, float b) {                                                      \
    const float nearest = a / b;                                                                             \
    if (b == 0 || !isfinite(a) || !isfinite(b)) return quiet(nearest);                                       \
    const double lacks = isinf(nearest) ? -copysign(1.0, nearest) : fma(-(double)nearest, b, a) * copysign(1.0, b); \
    return f32_##rnd(nearest, lacks);                                                                        \
  }                                                                                                          \
  static inline float f32_rcp_##rnd(float a) { return f32_div_##rnd(1.0f, a); }                              \
  static inline float f32_sqrt_##rnd(float a) {                                                              \
    const float nearest = sqrtf(a);                                                                          \
    return quiet(isfinite(nearest) ? f32_##rnd(nearest, fma(-(double)nearest, nearest, a)) : nearest);       \
  }
DEFINE_F32_ROUNDING(rz)
DEFINE_F32_ROUNDING(rm)
DEFINE_F32_ROUNDING(rp)

static inline float f32_add_rn(float a, float b) { return quiet(a + b); }
static inline float f32_sub_rn(float a, float b) { return quiet(a - b); }
static inline float f32_mul_rn(float a, float b) { return quiet(a * b); }
static inline float f32_div_rn(float a, float b) { return quiet(a / b); }
static inline float f32_fma_rn(float a, float b, float c) { return quiet(fmaf(a, b, c)); }
static inline float f32_rcp_rn(float a) { return quiet(1.0f / a); }
static inline float f32_sqrt_rn(float a) { return quiet(sqrtf(a)); }
#define f32_add_ f32_add_rn
#define f32_sub_ f32_sub_rn
#define f32_mul_ f32_mul_rn
#define f32_fma_ f32_fma_rn

/* ---- f64: what is lacking is found with 113 bits */
#if defined(__aarch64__)
typedef long double quad;
#else
typedef __float128 quad;
#endif

static inline double sign_of(quad x) { return x > 0 ? 1.0 : x < 0 ? -1.0 : 0.0; }

/* The sign of a * b + c - nearest, of finite operands: the product of two f64 is exact in 113 bits. */
static inline double f64_lacks(double a, double b, double c, double nearest) {
  if (isinf(nearest)) return -copysign(1.0, nearest);
  const quad product = (quad)a * b, sum = product + c, of_c = sum - product;
  const quad lost = (product - (sum - of_c)) + (c - of_c), difference = sum - nearest;
  return sign_of(difference != 0 ? difference : lost);
}

#define DEFINE_F64_ROUNDING(rnd)                                                                             \
  static inline double f64_fma_##rnd(double a, double b, double c) {                                         \
    const double nearest = fma(a, b, c);                                                                     \
    if (!isfinite(a) || !isfinite(b) || !isfinite(c)) return nearest;                                        \
    const double lacks = f64_lacks(a, b, c, nearest);                                                        \
    const int negative = signbit(a) != signbit(b);                                                           \
    return lacks == 0 ? zero_##rnd(nearest, negative ? -1.0 : 1.0, c) : f64_##rnd(nearest, lacks);           \
  }                                                                                                          \
  static inline double f64_add_##rnd(double a, double b) { return f64_fma_##rnd(a, 1.0, b); }                \
  static inline double f64_sub_##rnd(double a, double b) { return f64_fma_##rnd(a, 1.0, -b); }               \
  static inline double f64_mul_##rnd(double a, double b) {                                                   \
    const double nearest = a * b;                                                                            \
    return isfinite(a) && isfinite(b) ? f64_##rnd(nearest, f64_lacks(a, b, 0.0, nearest)) : nearest;         \
  }                                                                                                          \
  static inline double f64_div_##rnd(double a, double b) {                                                   \
    const double nearest = a / b;                                                                            \
    if (b == 0 || !isfinite(a) || !isfinite(b)) return nearest;                                              \
    const double lacks = isinf(nearest) ? -copysign(1.0, nearest) : sign_of(a - (quad)nearest * b) * copysign(1.0, b); \
    return f64_##rnd(nearest, lacks);                                                                        \
  }                                                                                                          \
  static inline double f64_rcp_##rnd(double a) { return f64_div_##rnd(1.0, a); }                             \
  static inline double f64_sqrt_##rnd(double a) {                                                            \
    const double nearest = sqrt(a);                                                                          \
    return isfinite(nearest) ? f64_##rnd(nearest, sign_of(a - (quad)nearest * nearest)) : nearest;           \
  }
DEFINE_F64_ROUNDING(rz)
DEFINE_F64_ROUNDING(rm)
DEFINE_F64_ROUNDING(rp)

static inline double f64_add_rn(double a, double b) { return a + b; }
static inline double f64_sub_rn(double a, double b) { return a - b; }
static inline double f64_mul_rn(double a, double b) { return a * b; }
static inline double f64_div_rn(double a, double b) { return a / b; }
static inline double f64_fma_rn(double a, double b, double c) { return fma(a, b, c); }
static inline double f64_rcp_rn(double a) { return 1.0 / a; }
static inline double f64_sqrt_rn(double a) { return sqrt(a); }
#define f64_add_ f64_add_rn
#define f64_sub_ f64_sub_rn
#define f64_mul_ f64_mul_rn

/* ---- the smaller and the larger: -0 is less than +0; a NaN loses, or wins with .NaN */
static inline float min_f32(float a, float b) {
  const float less = a < b ? a : b, found = a == b ? as_f32(of_f32(a) | of_f32(b)) : less;
  return quiet(a != a ? b : b != b ? a : found);
}
static inline float max_f32(float a, float b) {
  const float more = a > b ? a : b, found = a == b ? as_f32(of_f32(a) & of_f32(b)) : more;
  return quiet(a != a ? b : b != b ? a : found);
}
static inline double min_f64(double a, double b) {
  const double less = a < b ? a : b, found = a == b ? as_f64(of_f64(a) | of_f64(b)) : less;
  return a != a ? b : b != b ? a : found;
}
static inline double max_f64(double a, double b) {
  const double more = a > b ? a : b, found = a == b ? as_f64(of_f64(a) & of_f64(b)) : more;
  return a != a ? b : b != b ? a : found;
}
static inline float min_(float a, float b) { return min_f32(a, b); }
static inline float max_(float a, float b) { return max_f32(a, b); }
static inline float min_NaN(float a, float b) { return (a == a) & (b == b) ? min_f32(a, b) : as_f32(0x7fffffff); }
static inline float max_NaN(float a, float b) { return (a == a) & (b == b) ? max_f32(a, b) : as_f32(0x7fffffff); }
static inline float magnitude_(float x) { return x; }
static inline float magnitude_abs(float x) { return fabsf(x); }
/* .xorsign: `found`, a magnitude, with the product of the signs of both. */
static inline float xorsign(float found, float a, float b) {
  return found == found ? copysignf(found, signbit(a) != signbit(b) ? -1.0f : 1.0f) : found;
}

/* ---- properties; a zero is normal */
static inline int has_finite(double x) { return isfinite(x) != 0; }
static inline int has_infinite(double x) { return isinf(x) != 0; }
static inline int has_number(double x) { return x == x; }
static inline int has_notanumber(double x) { return x != x; }
#define has_normal(x) (isnormal(x) || (x) == 0)
#define has_subnormal(x) ((x) != 0 && fpclassify(x) == FP_SUBNORMAL)

/* ---- approximations: nearer than the manual asks for; beyond 2^126 what it says of a / b */
static inline float f32_div_approx(float a, float b) {
  if (!(fabsf(b) > 0x1p126f) || isinf(b)) return quiet(a / b);
  return quiet((isinf(a) ? NAN : 0.0f * a) * copysignf(1.0f, b));
}
static inline float f32_rsqrt(float a) { return quiet((float)(1.0 / sqrt((double)a))); }
static inline float f32_sin(float a) { return quiet(sinf(a)); }
static inline float f32_cos(float a) { return quiet(cosf(a)); }
/* By Taylor's series of 2^part, whose rest is below 2^-32; infinities and what becomes one lie beyond the bounds. */
static inline float f32_ex2(float a) {
  static const double SERIES[] = {1.3215486790144305e-06, 1.5252733804059838e-05, 0.00015403530393381606,
                                  0.0013333558146428441, 0.009618129107628477, 0.055504108664821576,
                                  0.2402265069591007, 0.6931471805599453, 1.0};
  const double shifter = 0x1.8p52; /* adding it leaves the whole number in the last bits */
  const double x = a < -160.0f ? -160.0 : a > 160.0f ? 160.0 : (double)a, shifted = x + shifter;
  const double part = x - (shifted - shifter);
  double power = SERIES[0];
  for (int index = 1; index < 9; ++index) power = power * part + SERIES[index];
  return quiet((float)(power * as_f64((of_f64(shifted) + 1023) << 52)));
}
static inline float f32_lg2(float a) { return quiet(log2f(a)); }
static inline float f32_tanh(float a) { return quiet(tanhf(a)); }

/* Of the upper 32 bits, which are all that the result has (9.7.3.14 and 9.7.3.17). */
static inline double upper_word(double x) { return as_f64(of_f64(x) & 0xffffffff00000000u); }
static inline double gross(double found) {
  return found == found ? upper_word(ftz_f64(found)) : as_f64(0x7fffffff00000000u);
}
static inline double f64_rcp_gross(double a) { return gross(1.0 / ftz_f64(upper_word(a))); }
static inline double f64_rsqrt_gross(double a) { return gross(1.0 / sqrt(ftz_f64(upper_word(a)))); }

#endif
