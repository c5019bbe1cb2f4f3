/* wmma (PTX ISA, 9.7.14.4): which lane holds which element is not said by the manual, and is ours: element e of a matrix,
   in order of its rows, is number e of all that the lanes hold side by side; where they hold more, it is there again. */
#include "wmma.h"

#include "values.h"

static u32 per_register(ElementType type) { return type == ELEMENT_F16 || type == ELEMENT_BF16 ? 2 : type == ELEMENT_S8 || type == ELEMENT_U8 ? 4 : 1; }
static u32 bytes_of(ElementType type) { return type == ELEMENT_F64 ? 8 : 4 / per_register(type); }

static u64 register_of(const Warp* w, const Instruction* i, u32 operand, u32 lane, ElementType type) {
  return type == ELEMENT_F64 ? operand_u64(w, i, operand, lane) : operand_u32(w, i, operand, lane);
}

static u64 address_of(const Warp* w, const Instruction* i, u32 operand, u32 lane, u32 size) {
  return size == 8 ? operand_u64(w, i, operand, lane) + (u64)(s64)i->offset : (u32)(operand_u32(w, i, operand, lane) + (u32)i->offset);
}

static u8* element_at(Warp* w, const Instruction* i, u32 lane, const Fragment* f, u64 base, u32 stride, u32 e, Access access) {
  const u32 row = e / f->columns, column = e % f->columns, bytes = bytes_of(f->type);
  const u64 at = base + (u64)(f->by_columns ? column * (u64)stride + row : row * (u64)stride + column) * bytes;
  /* generic addresses are those of the host, above all offsets of shared memory */
  return at >> 32 ? at_generic(w, i, lane, at, bytes, bytes, access) : at_shared(w, i, lane, at, bytes, bytes, access);
}

static u32 stride_of(const Warp* w, const Instruction* i, const Fragment* f, u32 operand) {
  if (i->operand[operand] == NONE) return f->by_columns ? f->rows : f->columns;
  return operand_u32(w, i, operand, 0);
}

void wmma_load(Warp* w, const Instruction* i, u32 on, Fragment f) {
  const u32 each = per_register(f.type), held = f.registers * each, bytes = bytes_of(f.type);
  const u32 stride = stride_of(w, i, &f, f.registers + 1);
  FOR_LANES(on) {
    const u64 base = address_of(w, i, f.registers, lane, f.address_size);
    for (u32 r = 0; r < f.registers; ++r) {
      u64 bits = 0;
      for (u32 k = 0; k < each; ++k) {
        const u8* const at = element_at(w, i, lane, &f, base, stride, (lane * held + r * each + k) % (f.rows * f.columns), (Access)(READ | TILE));
        u64 value = 0;
        if (at) memcpy(&value, at, bytes);
        bits |= value << 8 * bytes * k;
      }
      if (f.type == ELEMENT_F64) ((u64*)slot(w, i, r))[lane] = bits;
      else ((u32*)slot(w, i, r))[lane] = (u32)bits;
    }
  }
}

void wmma_store(Warp* w, const Instruction* i, u32 on, Fragment f) {
  const u32 each = per_register(f.type), held = f.registers * each, bytes = bytes_of(f.type);
  const u32 stride = stride_of(w, i, &f, 1 + f.registers);
  FOR_LANES(on) {
    const u64 base = address_of(w, i, 0, lane, f.address_size);
    for (u32 e = lane * held; e < (lane + 1) * held && e < f.rows * f.columns; ++e) {
      u8* const at = element_at(w, i, lane, &f, base, stride, e, WRITE);
      const u64 bits = register_of(w, i, 1 + e % held / each, lane, f.type) >> 8 * bytes * (e % each);
      if (at) memcpy(at, &bits, bytes);
    }
  }
}

static void gather(const Warp* w, const Instruction* i, u32 operand, const Fragment* f, double* out) {
  const u32 each = per_register(f->type), held = f->registers * each;
  for (u32 e = 0; e < f->rows * f->columns; ++e) {
    const u32 lane = e / held, k = e % held;
    const u64 bits = register_of(w, i, operand + k / each, lane, f->type);
    switch (f->type) {
      case ELEMENT_F16: out[e] = from_f16((u16)(bits >> 16 * (k % each))); break;
      case ELEMENT_BF16: out[e] = from_bf16((u16)(bits >> 16 * (k % each))); break;
      case ELEMENT_TF32: out[e] = as_f32((u32)bits & 0xffffe000u); break;
      case ELEMENT_F32: out[e] = as_f32((u32)bits); break;
      case ELEMENT_S8: out[e] = (s8)(bits >> 8 * (k % each)); break;
      case ELEMENT_U8: out[e] = (u8)(bits >> 8 * (k % each)); break;
      case ELEMENT_S32: out[e] = (s32)(u32)bits; break;
      default: out[e] = as_f64(bits);
    }
  }
}

/* Sums of integers stay below 2^53, so that a double holds them. */
static u64 result_of(ElementType type, double sum, int saturate) {
  if (type == ELEMENT_S32) {
    if (saturate && sum > INT32_MAX) return INT32_MAX;
    if (saturate && sum < INT32_MIN) return (u32)INT32_MIN;
    return (u32)(s64)sum;
  }
  return type == ELEMENT_F64 ? of_f64(sum) : type == ELEMENT_F16 ? to_f16(sum) : of_f32((float)sum);
}

void wmma(Warp* w, const Instruction* i, u32 on, Fragment d, Fragment a, Fragment b, Fragment c, int saturate) {
  double x[512], y[512], z[256];
  u64 result[256];
  gather(w, i, d.registers, &a, x);
  gather(w, i, d.registers + a.registers, &b, y);
  gather(w, i, d.registers + a.registers + b.registers, &c, z);
  for (u32 row = 0; row < d.rows; ++row) {
    for (u32 column = 0; column < d.columns; ++column) {
      double sum = z[row * d.columns + column];
      for (u32 k = 0; k < a.columns; ++k) sum += x[row * a.columns + k] * y[k * b.columns + column];
      result[row * d.columns + column] = result_of(d.type, sum, saturate);
    }
  }
  const u32 each = per_register(d.type), held = d.registers * each;
  FOR_LANES(on) {
    for (u32 r = 0; r < d.registers; ++r) {
      const u32 e = lane * held + r * each;
      if (d.type == ELEMENT_F64) ((u64*)slot(w, i, r))[lane] = result[e];
      else ((u32*)slot(w, i, r))[lane] = (u32)(each == 2 ? result[e] | result[e + 1] << 16 : result[e]);
    }
  }
}
