// For kernels that reduce rows: blockDim.x threads share a row, as rows.h chooses. Blocks hold one row, or one a warp.
#pragma once

#include "vectors.cuh"

namespace kernels {

__device__ __forceinline__ float warp_sum(float value) {
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  return value;
}

// The sum over the threads of a row, in all of them.
__device__ __forceinline__ float row_sum(float value) {
  value = warp_sum(value);
  if (blockDim.x == 32) return value;
  __shared__ float sums[32];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  __syncthreads();  // the sums of the row before may still be being read
  if (lane == 0) sums[warp] = value;
  __syncthreads();
  return warp_sum(lane < blockDim.x / 32 ? sums[lane] : 0.0f);
}

}  // namespace kernels
