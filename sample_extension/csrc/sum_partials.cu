// The second stage of every sum over rows: the first leaves one partial row per block, this adds them up in order. No
// atomics: the same sum every time.
#include <gpuwheel/device.h>

#include "geometry.h"
#include "rows.cuh"

namespace gpuwheel_sample::kernels {

// Block (kWarp, kWarp): a warp reads kWarp neighbouring columns of one partial row, its mates the next rows.
template <typename T>
__global__ void __launch_bounds__(kWarp* kWarp) sum_partials(T* __restrict__ out, const float* __restrict__ partials, int64_t parts, int64_t size) {
  __shared__ float sums[kWarp][kWarp + 1];
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kWarp + threadIdx.x;
  float sum = 0.0f;
  if (column < size) {
#pragma unroll 4
    for (int64_t part = threadIdx.y; part < parts; part += kWarp) sum += partials[part * size + column];
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  // Turned round, a warp holds one column.
  sum = sums[threadIdx.x][threadIdx.y];
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) sum += __shfl_xor_sync(kAllLanes, sum, step);
  const int64_t mine = static_cast<int64_t>(blockIdx.x) * kWarp + threadIdx.y;
  if (threadIdx.x == 0 && mine < size) out[mine] = static_cast<T>(sum);
}

GPUWHEEL_INSTANTIATE(sum_partials<float>);
GPUWHEEL_INSTANTIATE(sum_partials<gpuwheel::half>);
GPUWHEEL_INSTANTIATE(sum_partials<gpuwheel::bfloat16>);

}  // namespace gpuwheel_sample::kernels
