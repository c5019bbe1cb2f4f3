// Threads that share a row. blockDim.x threads work on one row; blockDim.y rows share a block.
//   rows of at most one warp: blockDim.x is a power of two up to 32 and blockDim.x * blockDim.y whole warps;
//   longer rows: blockDim.x is whole warps and blockDim.y is 1.
// (geometry.h chooses them.)
#pragma once

#include <gpuwheel/device.h>

#include "geometry.h"

namespace gpuwheel_sample {

using gpuwheel::Vector;

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

// Vector number `i` of a row.
template <int VEC, typename T, typename Index>
__device__ __forceinline__ Vector<T, VEC> load(const T* row, Index i) {
  return reinterpret_cast<const Vector<T, VEC>*>(row)[i];
}
template <int VEC, typename T, typename Index>
__device__ __forceinline__ void store(T* row, Index i, const Vector<T, VEC>& v) {
  reinterpret_cast<Vector<T, VEC>*>(row)[i] = v;
}

// Calls f(row, inside) for the rows of this block, in all its threads, whether or not a row is left for them: f may
// synchronise the block.
template <typename F>
__device__ __forceinline__ void for_rows(int64_t rows, const F& f) {
#pragma unroll 1
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.y; first < rows; first += static_cast<int64_t>(gridDim.x) * blockDim.y) {
    f(first + threadIdx.y, first + threadIdx.y < rows);
  }
}

// The sum of `value` over the threads of a row, in all of them. Every thread of the block must call it.
__device__ __forceinline__ float row_sum(float value) {
  const int width = blockDim.x < kWarp ? blockDim.x : kWarp;
  for (int step = width / 2; step > 0; step /= 2) value += __shfl_xor_sync(kAllLanes, value, step);
  if (blockDim.x <= kWarp) return value;
  __shared__ float warp_sums[kWarp];
  const int lane = threadIdx.x % kWarp;
  __syncthreads();  // an earlier sum may still be being read
  if (lane == 0) warp_sums[threadIdx.x / kWarp] = value;
  __syncthreads();
  value = lane < blockDim.x / kWarp ? warp_sums[lane] : 0.0f;
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) value += __shfl_xor_sync(kAllLanes, value, step);
  return value;
}

// Adds up `values` over the rows of a block (threadIdx.y), in order; the threads with threadIdx.y = 0 get the sums. Every
// thread of the block must call it.
template <int N>
__device__ __forceinline__ void block_rows_sum(float (&values)[N]) {
  if (blockDim.y == 1) return;
  __shared__ float all[kGroupThreads][N];
  __syncthreads();  // an earlier sum may still be being read
#pragma unroll
  for (int j = 0; j < N; ++j) all[threadIdx.y * blockDim.x + threadIdx.x][j] = values[j];
  __syncthreads();
  if (threadIdx.y != 0) return;
#pragma unroll 1
  for (int row = 1; row < blockDim.y; ++row) {
#pragma unroll
    for (int j = 0; j < N; ++j) values[j] += all[row * blockDim.x + threadIdx.x][j];
  }
}

}  // namespace gpuwheel_sample
