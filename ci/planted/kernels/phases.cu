// Work in phases: barriers of the whole grid, named barriers of some warps, tiles that are turned round.
#include <cstdint>

// A barrier of all blocks of a cooperative launch; `arrived` is zero before the first.
__device__ __forceinline__ void grid_barrier(unsigned* arrived, unsigned phase) {
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    atomicAdd(arrived, 1u);
    while (atomicAdd(arrived, 0u) < phase * gridDim.x) __nanosleep(20);
    __threadfence();
  }
  __syncthreads();
}
__device__ __forceinline__ void named_barrier(int number, int threads) { asm volatile("bar.sync %0, %1;" ::"r"(number), "r"(threads) : "memory"); }

// y = steps times: each element becomes the mean of itself and its right neighbour (the last one: the first).
extern "C" __global__ void smooth(float* a, float* b, unsigned* arrived, int count, int steps) {
  for (int step = 0; step < steps; ++step) {
    float* from = step % 2 ? b : a;
    float* to = step % 2 ? a : b;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
      to[i] = 0.5f * (from[i] + from[i + 1 < count ? i + 1 : 0]);
    }
    grid_barrier(arrived, step + 1);
  }
}

// out = the transposed matrix x of rows times columns.
extern "C" __global__ void transpose(float* out, const float* x, int rows, int columns) {
  extern __shared__ float tile[];
  const int pitch = blockDim.x + 1;
  const int column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
  if (row < rows && column < columns) tile[threadIdx.y * pitch + threadIdx.x] = x[row * columns + column];
  __syncthreads();
  const int to_column = blockIdx.y * blockDim.y + threadIdx.x, to_row = blockIdx.x * blockDim.x + threadIdx.y;
  if (to_row < columns && to_column < rows) out[to_row * rows + to_column] = tile[threadIdx.x * pitch + threadIdx.y];
}

// Two warps hand a buffer to two others, which write what they got, doubled.
extern "C" __global__ void handed_over(float* y, const float* x, int rounds) {
  __shared__ float buffer[64];
  const int lane = threadIdx.x % 64;
  for (int round = 0; round < rounds; ++round) {
    if (threadIdx.x < 64) {
      buffer[lane] = x[round * 64 + lane];
      named_barrier(1, 128);
      named_barrier(2, 128);
    } else {
      named_barrier(1, 128);
      y[round * 64 + lane] = 2.0f * buffer[63 - lane];
      named_barrier(2, 128);
    }
  }
}

struct Span {
  float* data;
  int count;
};
// scales every span by its number.
extern "C" __global__ void scale_spans(const Span* spans, int count) {
  for (int number = blockIdx.x; number < count; number += gridDim.x) {
    const Span span = spans[number];
    for (int i = threadIdx.x; i < span.count; i += blockDim.x) {
      span.data[i] = span.data[i] * number;
    }
  }
}
