/* Matrices across a warp (PTX ISA, 9.7.14): lane 4g + t holds parts of row g; a register holds neighbours of a row. */
#include "matrix.h"

#include <math.h>

#include "values.h"

/* ---- elements of registers */

static u64 bits_of(const Warp* w, const Instruction* i, u32 operand, u32 lane, u32 wide) {
  return wide ? operand_u64(w, i, operand, lane) : operand_u32(w, i, operand, lane);
}

static double fp8(u8 bits, u32 exponent_bits) {
  const u32 fraction = 7 - exponent_bits, bias = (1u << (exponent_bits - 1)) - 1;
  const u32 exponent = (bits & 0x7f) >> fraction, rest = bits & ((1u << fraction) - 1);
  double value;
  if (exponent_bits == 4 && (bits & 0x7f) == 0x7f) value = NAN; /* e4m3 has no infinity */
  else if (exponent_bits == 5 && exponent == 31) value = rest ? NAN : INFINITY;
  else value = exponent ? ldexp(1.0 + rest / (double)(1u << fraction), (int)exponent - (int)bias) : ldexp(rest, 1 - (int)bias - (int)fraction);
  return bits & 0x80 ? -value : value;
}

static double real_element(ElementType type, u64 bits, u32 k) {
  switch (type) {
    case ELEMENT_F16: return from_f16((u16)(bits >> 16 * k));
    case ELEMENT_BF16: return from_bf16((u16)(bits >> 16 * k));
    case ELEMENT_TF32: return as_f32((u32)bits & 0xffffe000u);
    case ELEMENT_E4M3: return fp8((u8)(bits >> 8 * k), 4);
    case ELEMENT_E5M2: return fp8((u8)(bits >> 8 * k), 5);
    case ELEMENT_F32: return as_f32((u32)bits);
    default: return as_f64(bits);
  }
}

static s64 whole_element(ElementType type, u64 bits, u32 k) {
  switch (type) {
    case ELEMENT_S8: return (s8)(bits >> 8 * k);
    case ELEMENT_U8: return (u8)(bits >> 8 * k);
    case ELEMENT_S4: return (s64)((bits >> 4 * k & 15) ^ 8) - 8;
    case ELEMENT_U4: return bits >> 4 * k & 15;
    default: return bits >> k & 1;
  }
}

static u32 elements_in(ElementType type) {
  static const u8 many[] = {2, 2, 1, 4, 4, 1, 1, 4, 4, 8, 8, 32, 1};
  return many[type];
}

static int is_whole(ElementType type) { return type >= ELEMENT_S8 && type <= ELEMENT_B1; }

/* ---- D = A B + C */

/* Register r of A holds row g + 8 (r & 1) from column e (t + 4 (r >> 1)) on; register r of B, rows e (t + 4 r) of column g. */
static void gather(const Warp* w, const Instruction* i, const Mma* m, double real_a[16][256], double real_b[256][8], s64 whole_a[16][256], s64 whole_b[256][8]) {
  const u32 ea = elements_in(m->a), eb = elements_in(m->b);
  const u32 regs_a = m->rows * m->inner / (LANES * ea), regs_b = 8 * m->inner / (LANES * eb);
  for (u32 lane = 0; lane < LANES; ++lane) {
    const u32 g = lane / 4, t = lane % 4;
    for (u32 r = 0; r < regs_a; ++r) {
      const u64 bits = bits_of(w, i, m->at_a + r, lane, m->a == ELEMENT_F64);
      const u32 row = m->rows == 16 ? g + 8 * (r & 1) : g, column = ea * (t + 4 * (m->rows == 16 ? r >> 1 : r));
      for (u32 k = 0; k < ea; ++k) {
        if (is_whole(m->a)) whole_a[row][column + k] = whole_element(m->a, bits, k);
        else real_a[row][column + k] = real_element(m->a, bits, k);
      }
    }
    for (u32 r = 0; r < regs_b; ++r) {
      const u64 bits = bits_of(w, i, m->at_b + r, lane, m->b == ELEMENT_F64);
      for (u32 k = 0; k < eb; ++k) {
        if (is_whole(m->b)) whole_b[eb * (t + 4 * r) + k][g] = whole_element(m->b, bits, k);
        else real_b[eb * (t + 4 * r) + k][g] = real_element(m->b, bits, k);
      }
    }
  }
}

static double real_sum(const Mma* m, double a[16][256], double b[256][8], u32 row, u32 column, double start) {
  double sum = start;
  /* f64 rounds each step; the others are exact products whose sum is rounded once, which the manual allows */
  for (u32 k = 0; k < m->inner; ++k) sum = m->a == ELEMENT_F64 ? fma(a[row][k], b[k][column], sum) : sum + a[row][k] * b[k][column];
  return sum;
}

static s32 whole_sum(const Mma* m, s64 a[16][256], s64 b[256][8], u32 row, u32 column, s32 start) {
  s64 sum = start;
  for (u32 k = 0; k < m->inner; ++k) {
    const s64 x = a[row][k], y = b[k][column];
    sum += m->operation == '^' ? x ^ y : m->operation == '&' ? x & y : x * y;
  }
  if (m->saturate) return sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : (s32)sum;
  return (s32)(u32)(u64)sum;
}

void mma(Warp* w, const Instruction* i, u32 on, Mma m) {
  double real_a[16][256], real_b[256][8];
  s64 whole_a[16][256], whole_b[256][8];
  const u32 many = m.rows / 4; /* elements of C and D in a lane: 2 or 4 */
  const u32 wide = m.d == ELEMENT_F64, packed_c = m.c == ELEMENT_F16 ? 2 : 1, packed_d = m.d == ELEMENT_F16 ? 2 : 1;
  u64 result[4][LANES];
  gather(w, i, &m, real_a, real_b, whole_a, whole_b);
  for (u32 lane = 0; lane < LANES; ++lane) {
    for (u32 e = 0; e < many; ++e) {
      const u32 row = lane / 4 + 8 * (e >> 1), column = lane % 4 * 2 + (e & 1);
      const u64 bits = bits_of(w, i, m.at_c + e / packed_c, lane, wide);
      if (is_whole(m.a)) {
        result[e][lane] = (u32)whole_sum(&m, whole_a, whole_b, row, column, (s32)(u32)bits);
      } else {
        const double sum = real_sum(&m, real_a, real_b, row, column, real_element(m.c, bits, e % packed_c));
        result[e][lane] = wide ? of_f64(sum) : m.d == ELEMENT_F16 ? to_f16(sum) : of_f32((float)sum);
      }
    }
  }
  FOR_LANES(on) {
    for (u32 e = 0; e < many; e += packed_d) {
      const u64 value = packed_d == 2 ? result[e][lane] | result[e + 1][lane] << 16 : result[e][lane];
      if (wide) ((u64*)slot(w, i, e))[lane] = value;
      else ((u32*)slot(w, i, e / packed_d))[lane] = (u32)value;
    }
  }
}

/* ---- ldmatrix, stmatrix, movmatrix: 8 by 8 of 16 bits, whose rows eight lanes name */

static u64 row_address(const Warp* w, const Instruction* i, u32 operand, u32 lane, u32 size) {
  return size == 8 ? operand_u64(w, i, operand, lane) + (u64)(s64)i->offset : (u32)(operand_u32(w, i, operand, lane) + (u32)i->offset);
}

static u8* row_of(Warp* w, const Instruction* i, u32 operand, u32 lane, u32 size, Access access) {
  const u64 address = row_address(w, i, operand, lane, size);
  /* generic addresses are those of the host, above all offsets of shared memory */
  return address >> 32 ? at_generic(w, i, lane, address, 16, 16, access) : at_shared(w, i, lane, address, 16, 16, access);
}

void load_matrix(Warp* w, const Instruction* i, u32 on, u32 count, int transposed, u32 size) {
  u16 rows[4][8][8];
  for (u32 k = 0; k < count * 8; ++k) {
    const u8* const row = row_of(w, i, count, k, size, (Access)(READ | TILE));
    memcpy(rows[k / 8][k % 8], row ? row : zeros, 16);
  }
  FOR_LANES(on) {
    const u32 r = lane / 4, c = lane % 4 * 2;
    for (u32 k = 0; k < count; ++k) {
      const u16 low = transposed ? rows[k][c][r] : rows[k][r][c], high = transposed ? rows[k][c + 1][r] : rows[k][r][c + 1];
      ((u32*)slot(w, i, k))[lane] = low | (u32)high << 16;
    }
  }
}

void store_matrix(Warp* w, const Instruction* i, u32 on, u32 count, int transposed, u32 size) {
  u16 rows[4][8][8];
  FOR_LANES(on) {
    const u32 r = lane / 4, c = lane % 4 * 2;
    for (u32 k = 0; k < count; ++k) {
      const u32 bits = operand_u32(w, i, 1 + k, lane);
      u16* const low = transposed ? &rows[k][c][r] : &rows[k][r][c];
      u16* const high = transposed ? &rows[k][c + 1][r] : &rows[k][r][c + 1];
      *low = (u16)bits;
      *high = (u16)(bits >> 16);
    }
  }
  for (u32 k = 0; k < count * 8; ++k) {
    u8* const row = row_of(w, i, 0, k, size, WRITE);
    if (row) memcpy(row, rows[k / 8][k % 8], 16);
  }
}

void move_matrix(Warp* w, const Instruction* i, u32 on) {
  u16 rows[8][8];
  for (u32 lane = 0; lane < LANES; ++lane) {
    const u32 bits = operand_u32(w, i, 1, lane);
    rows[lane / 4][lane % 4 * 2] = (u16)bits;
    rows[lane / 4][lane % 4 * 2 + 1] = (u16)(bits >> 16);
  }
  FOR_LANES(on) ((u32*)slot(w, i, 0))[lane] = rows[lane % 4 * 2][lane / 4] | (u32)rows[lane % 4 * 2 + 1][lane / 4] << 16;
}
