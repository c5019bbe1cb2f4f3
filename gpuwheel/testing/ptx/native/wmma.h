/* What rows of the table of meanings say of wmma. */
#ifndef GPUWHEEL_PTX_WMMA_H
#define GPUWHEEL_PTX_WMMA_H

#include "matrix.h"

/* One matrix across a warp: so many registers of each lane. `by_columns`: how it lies in memory. */
typedef struct Fragment {
  ElementType type;
  u32 rows, columns, registers;
  int by_columns;
  u32 address_size;
} Fragment;

#pragma GCC visibility push(default)
#define wmma_load gpuwheel_ptx_wmma_load
#define wmma_store gpuwheel_ptx_wmma_store
#define wmma gpuwheel_ptx_wmma
void wmma_load(Warp*, const Instruction*, u32 on, Fragment);
void wmma_store(Warp*, const Instruction*, u32 on, Fragment);
void wmma(Warp*, const Instruction*, u32 on, Fragment d, Fragment a, Fragment b, Fragment c, int saturate);
#pragma GCC visibility pop

#endif
