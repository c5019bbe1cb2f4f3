/* Video instructions (PTX ISA 9.7.18): of 32 bits, of two halves and of four bytes, whole operands. */
#ifndef GPUWHEEL_PTX_VIDEO_H
#define GPUWHEEL_PTX_VIDEO_H

#include "integers.h"

enum { signed_u32 = 0, signed_s32 = 1 };
/* How a result is clamped: not at all, or to the range of the result's type. */
enum { range__u32 = 0, range__s32 = 0, range_sat_u32 = 1, range_sat_s32 = 2 };
enum { keeps = 0, sums = 1 };
enum { one_ = 0, one_po = 1, places_ = 0, places_shr7 = 7, places_shr15 = 15 }; /* of vmad */

typedef struct Video {
  u32 bits; /* of each part */
  int of_a, of_b, range;
  int sums; /* the parts are added to the third operand */
} Video;

static inline s64 video_part(u32 x, u32 index, u32 bits, int is_signed) {
  const u32 found = (u32)(x >> bits * index & low_bits(bits));
  return is_signed && found >> (bits - 1) ? (s64)found - ((s64)1 << bits) : (s64)found;
}
static inline s64 video_clamp(s128 x, u32 bits, int range) {
  if (range == range_sat_u32) return (s64)clamp_to(x, 0, ((s64)1 << bits) - 1);
  if (range == range_sat_s32) return (s64)clamp_to(x, -((s64)1 << (bits - 1)), ((s64)1 << (bits - 1)) - 1);
  return (s64)x;
}

#define DEFINE_VIDEO(name, found)                                                                            \
  static inline u32 video_##name(u32 first, u32 second, u32 third, Video of) {                               \
    u32 result = of.sums ? third : 0;                                                                        \
    for (u32 index = 0; index < 32 / of.bits; ++index) {                                                     \
      const s64 a = video_part(first, index, of.bits, of.of_a), b = video_part(second, index, of.bits, of.of_b); \
      const s64 part = video_clamp(found, of.bits, of.range);                                                \
      if (of.sums) result += (u32)part;                                                                      \
      else result |= (u32)(((u64)part & low_bits(of.bits)) << of.bits * index);                              \
    }                                                                                                        \
    return result;                                                                                           \
  }
DEFINE_VIDEO(add, a + b)
DEFINE_VIDEO(sub, a - b)
DEFINE_VIDEO(absdiff, a < b ? b - a : a - b)
DEFINE_VIDEO(min, a < b ? a : b)
DEFINE_VIDEO(max, a > b ? a : b)
DEFINE_VIDEO(avrg, a + b >= 0 ? (a + b + 1) >> 1 : (a + b) >> 1)
DEFINE_VIDEO(eq, a == b)
DEFINE_VIDEO(ne, a != b)
DEFINE_VIDEO(lt, a < b)
DEFINE_VIDEO(le, a <= b)
DEFINE_VIDEO(gt, a > b)
DEFINE_VIDEO(ge, a >= b)

/* Shifts: of 32 bits, by a number that is clamped or wrapped. */
static inline u32 video_places_clamp(u32 b) { return b > 32 ? 32 : b; }
static inline u32 video_places_wrap(u32 b) { return b & 31; }
static inline u32 video_shl(u32 a, u32 places, int is_signed, int range) {
  return (u32)video_clamp((s128)video_part(a, 0, 32, is_signed) * ((s128)1 << places), 32, range);
}
static inline u32 video_shr(u32 a, u32 places, int is_signed, int range) {
  return (u32)video_clamp(video_part(a, 0, 32, is_signed) >> places, 32, range);
}

/* The second operation of those of 32 bits, with a third operand. */
#define second_add_u32(x, c) ((x) + (c))
#define second_add_s32(x, c) ((x) + (c))
#define second_min_u32(x, c) ((x) < (c) ? (x) : (c))
#define second_max_u32(x, c) ((x) > (c) ? (x) : (c))
#define second_min_s32(x, c) ((s32)(x) < (s32)(c) ? (x) : (c))
#define second_max_s32(x, c) ((s32)(x) > (s32)(c) ? (x) : (c))

#endif
