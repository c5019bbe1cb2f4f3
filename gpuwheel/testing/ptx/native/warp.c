/* What lanes of a warp do together (PTX ISA, 9.7.9.6, 9.7.13): shuffles, votes, matches, reductions. */
#include "machine.h"

/* Whether a 32-bit operand has this value in all lanes. */
static int is_everywhere(const Warp* w, const Instruction* i, u32 operand, u32 value) {
  if (i->constant >> operand & 1) return (u32)w->constants[i->operand[operand]] == value;
  const u32* const values = slot(w, i, operand);
  u32 differ = 0;
  for (u32 lane = 0; lane < LANES; ++lane) differ |= values[lane] ^ value;
  return differ == 0;
}

/* shfl.sync d|p, a, b, c: `mode` 'u', 'd', 'b' or 'i' (up, down, bfly, idx). */
void shuffle(Warp* w, const Instruction* i, u32 on, char mode) {
  u32 given[LANES], *const d = i->operand[0] == NONE ? NULL : slot(w, i, 0);
  u8* const p = i->operand[1] == NONE ? NULL : slot(w, i, 1);
  for (u32 lane = 0; lane < LANES; ++lane) given[lane] = operand_u32(w, i, 2, lane);
  if (mode == 'b' && on == ~0u && is_everywhere(w, i, 4, LANES - 1)) { /* a whole warp adds up */
    u32 from[LANES];
    for (u32 lane = 0; lane < LANES; ++lane) from[lane] = lane ^ (operand_u32(w, i, 3, lane) & 31);
    for (u32 lane = 0; lane < LANES && d; ++lane) d[lane] = given[from[lane]];
    if (p) memset(p, 1, LANES);
    return;
  }
  FOR_LANES(on) {
    const u32 b = operand_u32(w, i, 3, lane) & 31, c = operand_u32(w, i, 4, lane);
    const u32 segment = c >> 8 & 31, clamp = c & 31, last = (lane & segment) | (clamp & ~segment), first = lane & segment;
    s32 from;
    int valid;
    switch (mode) {
      case 'u': from = (s32)lane - (s32)b; valid = from >= (s32)last; break;
      case 'd': from = (s32)(lane + b); valid = from <= (s32)last; break;
      case 'b': from = (s32)(lane ^ b); valid = from <= (s32)last; break;
      default: from = (s32)(first | (b & ~segment)); valid = from <= (s32)last;
    }
    if (!valid) from = (s32)lane;
    if (!(on >> from & 1)) {
      Report* made = report(w, i, lane, ABSENT_LANES);
      if (made) made->other = 1u << from;
    }
    if (d) d[lane] = given[from];
    if (p) p[lane] = (u8)valid;
  }
}

static u32 ballot(const Warp* w, const Instruction* i, u32 on, u32 operand, u32 negated) {
  u32 holds = 0;
  FOR_LANES(on) {
    const u32 value = i->constant >> operand & 1 ? w->constants[i->operand[operand]] != 0 : ((u8*)slot(w, i, operand))[lane];
    holds |= ((value != 0) ^ negated) << lane;
  }
  return holds;
}

/* vote.sync d, a, membermask: `mode` 'a', 'y', 'u' or 'b' (all, any, uni, ballot). */
void vote(Warp* w, const Instruction* i, u32 on, char mode) {
  const u32 holds = ballot(w, i, on, 1, i->reserved & 1);
  if (i->operand[0] == NONE) return;
  FOR_LANES(on) {
    if (mode == 'b') ((u32*)slot(w, i, 0))[lane] = holds;
    else ((u8*)slot(w, i, 0))[lane] = mode == 'a' ? holds == on : mode == 'y' ? holds != 0 : holds == 0 || holds == on;
  }
}

static u64 value_of(const Warp* w, const Instruction* i, u32 operand, u32 lane, u32 bytes) {
  return bytes == 8 ? operand_u64(w, i, operand, lane) : operand_u32(w, i, operand, lane);
}

/* match.any.sync d, a, membermask and match.all.sync d|p, a, membermask */
void match_any(Warp* w, const Instruction* i, u32 on, u32 bytes) {
  u32 same[LANES] = {0};
  FOR_LANES(on) {
    for (u32 other = 0; other < LANES; ++other) {
      if (on >> other & 1 && value_of(w, i, 1, other, bytes) == value_of(w, i, 1, lane, bytes)) same[lane] |= 1u << other;
    }
  }
  FOR_LANES(on) ((u32*)slot(w, i, 0))[lane] = same[lane];
}

void match_all(Warp* w, const Instruction* i, u32 on, u32 bytes) {
  const u64 first = value_of(w, i, 2, (u32)__builtin_ctz(on), bytes);
  u32 same = 1;
  FOR_LANES(on) same &= value_of(w, i, 2, lane, bytes) == first;
  FOR_LANES(on) {
    if (i->operand[0] != NONE) ((u32*)slot(w, i, 0))[lane] = same ? on : 0;
    if (i->operand[1] != NONE) ((u8*)slot(w, i, 1))[lane] = (u8)same;
  }
}

static u32 reduced(u32 a, u32 b, char mode, int is_signed) {
  switch (mode) {
    case '+': return a + b;
    case '&': return a & b;
    case '|': return a | b;
    case '^': return a ^ b;
    case '<': return (is_signed ? (s32)b < (s32)a : b < a) ? b : a;
    default: return (is_signed ? (s32)b > (s32)a : b > a) ? b : a;
  }
}

/* redux.sync d, a, membermask: `mode` '+', '&', '|', '^', '<' or '>'. */
void reduce(Warp* w, const Instruction* i, u32 on, char mode, int is_signed) {
  const u32 first = (u32)__builtin_ctz(on);
  u32 sum = operand_u32(w, i, 1, first);
  FOR_LANES(on & (on - 1)) sum = reduced(sum, operand_u32(w, i, 1, lane), mode, is_signed);
  FOR_LANES(on) ((u32*)slot(w, i, 0))[lane] = sum;
}

/* redux.sync of f32: -0.0 is less than 0.0; NaN counts where it is kept, or where all are. */
void reduce_floats(Warp* w, const Instruction* i, u32 on, char mode, int is_abs, int keeps_nan) {
  const u32 sign = 0x80000000u, nan = 0x7fffffffu, infinity = 0x7f800000u;
  u32 found = 0, numbers = 0, nans = 0;
  FOR_LANES(on) {
    const u32 bits = operand_u32(w, i, 1, lane) & (is_abs ? ~sign : ~0u);
    if ((bits & ~sign) > infinity) {
      nans++;
      continue;
    }
    const u32 rank = bits & sign ? ~bits : bits | sign; /* in the order of the values */
    if (numbers++ == 0 || (mode == '<' ? rank < found : rank > found)) found = rank;
  }
  const u32 result = numbers == 0 || (nans && keeps_nan) ? nan : found & sign ? found & ~sign : ~found;
  FOR_LANES(on) ((u32*)slot(w, i, 0))[lane] = result;
}

/* elect.sync d|p, membermask: the lowest lane. */
void elect(Warp* w, const Instruction* i, u32 on) {
  const u32 leader = (u32)__builtin_ctz(on);
  FOR_LANES(on) {
    if (i->operand[0] != NONE) ((u32*)slot(w, i, 0))[lane] = leader;
    if (i->operand[1] != NONE) ((u8*)slot(w, i, 1))[lane] = lane == leader;
  }
}

/* activemask d: any set that holds the lane is allowed; those that are in step would let others wait forever. */
void active(Warp* w, const Instruction* i, u32 on) {
  FOR_LANES(on) ((u32*)slot(w, i, 0))[lane] = on;
}
