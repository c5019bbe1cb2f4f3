/* What rows of the table of meanings call for integers, bits and comparisons (PTX ISA 9.7.1, 9.7.2, 9.7.6 and 9.7.8).
   Nothing here is undefined: sums, products and shifts are of unsigned values. */
#ifndef GPUWHEEL_PTX_INTEGERS_H
#define GPUWHEEL_PTX_INTEGERS_H

#include "machine.h"

/* ---- types, by the name that PTX gives them: as wide, and twice as wide */
typedef u16 unsigned_u16, unsigned_s16, unsigned_b16;
typedef u32 unsigned_u32, unsigned_s32, unsigned_b32, wide_u16;
typedef u64 unsigned_u64, unsigned_s64, unsigned_b64, wide_u32;
typedef s32 wide_s16;
typedef s64 wide_s32;
typedef u128 wide_u64;
typedef s128 wide_s64;
enum { bits_u16 = 16, bits_s16 = 16, bits_b16 = 16, bits_u32 = 32, bits_s32 = 32, bits_b32 = 32 };
enum { bits_u64 = 64, bits_s64 = 64, bits_b64 = 64 };

/* ---- arithmetic */
static inline s128 clamp_to(s128 x, s128 least, s128 most) { return x < least ? least : x > most ? most : x; }
#define clamp_u8(x) ((u8)clamp_to(x, 0, UINT8_MAX))
#define clamp_s8(x) ((s8)clamp_to(x, INT8_MIN, INT8_MAX))
#define clamp_u16(x) ((u16)clamp_to(x, 0, UINT16_MAX))
#define clamp_s16(x) ((s16)clamp_to(x, INT16_MIN, INT16_MAX))
#define clamp_u32(x) ((u32)clamp_to(x, 0, UINT32_MAX))
#define clamp_s32(x) ((s32)clamp_to(x, INT32_MIN, INT32_MAX))
#define clamp_u64(x) ((u64)clamp_to(x, 0, UINT64_MAX))
#define clamp_s64(x) ((s64)clamp_to(x, INT64_MIN, INT64_MAX))

/* By zero: what the manual leaves to the machine is all ones, and the dividend as the remainder, as on NVIDIA's. */
#define DEFINE_DIVISION(T, minus_one)                                                                       \
  static inline T divide_##T(T a, T b) {                                                                    \
    return b == 0 ? (T)-1 : (minus_one) ? (T)(0 - (u64)a) : (T)(a / b);                                     \
  }                                                                                                         \
  static inline T remainder_##T(T a, T b) { return b == 0 ? a : (minus_one) ? (T)0 : (T)(a % b); }
DEFINE_DIVISION(u16, 0)
DEFINE_DIVISION(u32, 0)
DEFINE_DIVISION(u64, 0)
DEFINE_DIVISION(s16, b == -1)
DEFINE_DIVISION(s32, b == -1)
DEFINE_DIVISION(s64, b == -1)

static inline s64 low24_u32(u32 x) { return x & 0xffffff; }
static inline s64 low24_s32(s32 x) { return (s64)((u64)(u32)x << 40) >> 40; }
#define part24_lo(x) ((u32)(x))
#define part24_hi(x) ((u32)((x) >> 16))

#define part_lo(x, bits) (x)
#define part_hi(x, bits) ((x) >> (bits))

static inline u32 byte_u32(u32 x, u32 index) { return x >> 8 * index & 0xff; }
static inline u32 byte_s32(u32 x, u32 index) { return (u32)(s8)(x >> 8 * index); }
static inline u32 half_u32(u32 x, u32 index) { return x >> 16 * index & 0xffff; }
static inline u32 half_s32(u32 x, u32 index) { return (u32)(s16)(x >> 16 * index); }
enum { bytes_lo = 0, bytes_hi = 2 }; /* of dp2a's second operand */

/* ---- bits */
static inline u32 count_zeros(u64 x, u32 bits) { return x == 0 ? bits : (u32)__builtin_clzll(x) - (64 - bits); }

/* The place of the most significant bit that is not a copy of the sign; ~0: there is none. */
static inline u32 find_bit(u64 x) { return x == 0 ? ~0u : 63 - (u32)__builtin_clzll(x); }
static inline u32 find_bit_u32(u32 x) { return find_bit(x); }
static inline u32 find_bit_u64(u64 x) { return find_bit(x); }
static inline u32 find_bit_s32(s32 x) { return find_bit(x < 0 ? ~(u32)x : (u32)x); }
static inline u32 find_bit_s64(s64 x) { return find_bit(x < 0 ? ~(u64)x : (u64)x); }
#define place_(found, bits) (found)
#define place_shiftamt(found, bits) ((found) == ~0u ? ~0u : (bits) - 1 - (found))

static inline u32 find_nth_set(u32 mask, u32 base, s32 offset) {
  if (base > 31) return ~0u;
  if (offset == 0) return mask >> base & 1 ? base : ~0u;
  const s32 step = offset > 0 ? 1 : -1;
  s64 left = offset > 0 ? (s64)offset : -(s64)offset;
  for (s32 place = (s32)base; place >= 0 && place < 32; place += step)
    if (mask >> place & 1 && --left == 0) return (u32)place;
  return ~0u;
}

static inline u64 reverse_bits(u64 x, u32 bits) {
  u64 reversed = 0;
  for (u32 index = 0; index < bits; ++index) reversed |= (x >> index & 1) << (bits - 1 - index);
  return reversed;
}

static inline u64 low_bits(u32 count) { return count >= 64 ? ~(u64)0 : ((u64)1 << count) - 1; }

static inline u32 extract_u32(u32 a, u32 position, u32 length) {
  position &= 0xff, length &= 0xff;
  return position > 31 ? 0 : a >> (position & 31) & (length > 31 ? ~0u : (1u << (length & 31)) - 1);
}
static inline u64 extract_bits(u64 a, u32 position, u32 length, u32 bits) {
  position &= 0xff, length &= 0xff;
  return position >= bits ? 0 : a >> position & low_bits(length < bits - position ? length : bits - position);
}
static inline u64 extract_signed(u64 a, u32 position, u32 length, u32 bits) {
  position &= 0xff, length &= 0xff;
  if (length == 0) return 0;
  const u32 last = position + length - 1 < bits - 1 ? position + length - 1 : bits - 1;
  const u64 found = extract_bits(a, position, length, bits), sign = a >> last & 1;
  const u32 kept = position >= bits ? 0 : last - position + 1;
  return sign ? found | ~low_bits(kept) : found;
}
#define extract_u64(a, position, length) extract_bits(a, position, length, 64)
#define extract_s32(a, position, length) extract_signed((u32)(a), position, length, 32)
#define extract_s64(a, position, length) extract_signed((u64)(a), position, length, 64)

static inline u64 insert_bits(u64 a, u64 b, u32 position, u32 length, u32 bits) {
  position &= 0xff, length &= 0xff;
  if (position >= bits) return b;
  const u64 mask = low_bits(length < bits - position ? length : bits - position) << position;
  return (b & ~mask) | (a << position & mask);
}

enum { clamps_clamp = 1, clamps_wrap = 0 };

static inline u32 mask_bits(u32 a, u32 b, int clamps) {
  const u32 start = a & 31, length = b & 31;
  if (clamps && a >= 32) return 0;
  const u32 from = ~0u << start;
  if (start + length >= 32 || (clamps && b >= 32)) return from;
  return from & ~(~0u << (start + length));
}

static inline u32 extend_u32(u32 a, u32 b, int clamps) {
  return clamps && b >= 32 ? a : a & (u32)low_bits(b & 31);
}
static inline u32 extend_s32(u32 a, u32 b, int clamps) {
  const u32 length = b & 31, found = extend_u32(a, b, clamps);
  if (length == 0 || (clamps && b >= 32)) return found;
  return a >> (length - 1) & 1 ? found | ~0u << length : found;
}

static inline u16 shift_left_b16(u16 a, u32 b) { return b > 15 ? 0 : (u16)((u32)a << b); }
static inline u32 shift_left_b32(u32 a, u32 b) { return b > 31 ? 0 : a << b; }
static inline u64 shift_left_b64(u64 a, u32 b) { return b > 63 ? 0 : a << b; }

static inline u32 funnel_places_clamp(u32 c) { return c > 32 ? 32 : c; }
static inline u32 funnel_places_wrap(u32 c) { return c & 31; }
static inline u32 funnel_l(u32 a, u32 b, u32 places) { return (u32)((((u64)b << 32 | a) << places) >> 32); }
static inline u32 funnel_r(u32 a, u32 b, u32 places) { return (u32)(((u64)b << 32 | a) >> places); }

/* Bit 4 * a + 2 * b + c of the table, for each bit of a, b and c. */
static inline u32 choose_bits(u32 which, u32 if_set, u32 if_clear) { return (which & if_set) | (~which & if_clear); }
static inline u32 look_up_bits(u32 a, u32 b, u32 c, u32 table) {
#define TABLE_BIT(index) (0 - (table >> (index) & 1))
  const u32 neither = choose_bits(c, TABLE_BIT(1), TABLE_BIT(0)), only_b = choose_bits(c, TABLE_BIT(3), TABLE_BIT(2));
  const u32 only_a = choose_bits(c, TABLE_BIT(5), TABLE_BIT(4)), both = choose_bits(c, TABLE_BIT(7), TABLE_BIT(6));
#undef TABLE_BIT
  return choose_bits(a, choose_bits(b, both, only_a), choose_bits(b, only_b, neither));
}

/* ---- prmt: a nibble of the selector for each byte of the result */
static inline u32 permute_bytes(u32 a, u32 b, u32 selector) {
  const u64 bytes = (u64)b << 32 | a;
  u32 result = 0;
  for (u32 index = 0; index < 4; ++index) {
    const u32 choice = selector >> 4 * index & 15, found = (u32)(bytes >> 8 * (choice & 7)) & 0xff;
    result |= (choice & 8 ? (found & 0x80 ? 0xffu : 0) : found) << 8 * index;
  }
  return result;
}
static inline u32 selector_of(const u16 selectors[4], u32 c) { return selectors[c & 3]; }
#define selector_(c) (c)
#define selector_f4e(c) selector_of((const u16[4]){0x3210, 0x4321, 0x5432, 0x6543}, c)
#define selector_b4e(c) selector_of((const u16[4]){0x5670, 0x6701, 0x7012, 0x0123}, c)
#define selector_rc8(c) selector_of((const u16[4]){0x0000, 0x1111, 0x2222, 0x3333}, c)
#define selector_ecl(c) selector_of((const u16[4]){0x3210, 0x3211, 0x3222, 0x3333}, c)
#define selector_ecr(c) selector_of((const u16[4]){0x0000, 0x1110, 0x2210, 0x3210}, c)
#define selector_rc16(c) selector_of((const u16[4]){0x1010, 0x3232, 0x1010, 0x3232}, c)

/* ---- comparisons: of integers; of floats ordered, unordered (...u) */
#define is_eq(a, b) ((a) == (b))
#define is_ne(a, b) ((a) != (b))
#define is_lt(a, b) ((a) < (b))
#define is_le(a, b) ((a) <= (b))
#define is_gt(a, b) ((a) > (b))
#define is_ge(a, b) ((a) >= (b))
#define is_lo is_lt
#define is_ls is_le
#define is_hi is_gt
#define is_hs is_ge

#define float_eq(a, b) ((a) == (b))
#define float_ne(a, b) (((a) < (b)) | ((a) > (b)))
#define float_lt(a, b) ((a) < (b))
#define float_le(a, b) ((a) <= (b))
#define float_gt(a, b) ((a) > (b))
#define float_ge(a, b) ((a) >= (b))
#define float_equ(a, b) (!float_ne(a, b))
#define float_neu(a, b) ((a) != (b))
#define float_ltu(a, b) (!((a) >= (b)))
#define float_leu(a, b) (!((a) > (b)))
#define float_gtu(a, b) (!((a) <= (b)))
#define float_geu(a, b) (!((a) < (b)))
#define float_num(a, b) (((a) == (a)) & ((b) == (b)))
#define float_nan(a, b) (((a) != (a)) | ((b) != (b)))

/* With a third predicate. */
#define combine_(found, c) (found)
#define combine_and(found, c) ((found) & (c))
#define combine_or(found, c) ((found) | (c))
#define combine_xor(found, c) ((found) ^ (c))

/* What `set` writes. */
#define truth_u32(found) ((found) ? 0xffffffffu : 0u)
#define truth_s32 truth_u32
#define truth_u16(found) ((found) ? (u16)0xffff : (u16)0)
#define truth_s16 truth_u16
#define truth_f32(found) ((found) ? 1.0f : 0.0f)
#define truth_f16(found) ((found) ? 1.0 : 0.0)
#define truth_bf16 truth_f16
#define half_truth_u32(found) ((found) ? 0xffffu : 0u)
#define half_truth_s32 half_truth_u32
#define half_truth_f16x2(found) ((found) ? 0x3c00u : 0u)
#define half_truth_bf16x2(found) ((found) ? 0x3f80u : 0u)

#endif
