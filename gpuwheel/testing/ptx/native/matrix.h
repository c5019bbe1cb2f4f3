/* What rows of the table of meanings say of matrices. */
#ifndef GPUWHEEL_PTX_MATRIX_H
#define GPUWHEEL_PTX_MATRIX_H

#include "machine.h"

typedef enum ElementType {
  ELEMENT_F16, ELEMENT_BF16, ELEMENT_TF32, ELEMENT_E4M3, ELEMENT_E5M2, ELEMENT_F32, ELEMENT_F64, ELEMENT_S8, ELEMENT_U8, ELEMENT_S4,
  ELEMENT_U4, ELEMENT_B1, ELEMENT_S32,
} ElementType;

/* D = A B + C with `rows` x 8 results; operands: D first, then at_a, at_b, at_c. */
typedef struct Mma {
  u32 rows, inner;
  ElementType d, a, b, c;
  u32 at_a, at_b, at_c;
  char operation; /* '*', or of single bits '^' or '&' */
  int saturate;
} Mma;

#pragma GCC visibility push(default)
#define mma gpuwheel_ptx_mma
#define load_matrix gpuwheel_ptx_load_matrix
#define store_matrix gpuwheel_ptx_store_matrix
#define move_matrix gpuwheel_ptx_move_matrix
void mma(Warp*, const Instruction*, u32 on, Mma);
/* `count` matrices; `size`: the bytes of the address register. */
void load_matrix(Warp*, const Instruction*, u32 on, u32 count, int transposed, u32 size);
void store_matrix(Warp*, const Instruction*, u32 on, u32 count, int transposed, u32 size);
void move_matrix(Warp*, const Instruction*, u32 on);
#pragma GCC visibility pop

#endif
