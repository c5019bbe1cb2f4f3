// Copies that land later: rows are fetched into shared memory while the row before is added up.
#include <cstdint>

template <int BYTES>
__device__ __forceinline__ void copy_async(void* to, const void* from) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(to))), "l"(from), "n"(BYTES) : "memory");
}
__device__ __forceinline__ void commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int LEFT>
__device__ __forceinline__ void wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

// sums[column] over rows of `size` floats (a multiple of 4, at most 4 * blockDim.x), two rows in flight.
extern "C" __global__ void pipelined_sums(float* sums, const float* x, int rows, int size) {
  __shared__ float4 stages[2][64];
  const int column = threadIdx.x;
  if (column < size / 4) copy_async<16>(&stages[0][column], x + 4 * column);
  commit();
  float4 sum = make_float4(0, 0, 0, 0);
  for (int row = 0; row < rows; ++row) {
    if (row + 1 < rows && column < size / 4) {
      copy_async<16>(&stages[(row + 1) % 2][column], x + (row + 1) * size + 4 * column);
    }
    commit();
    wait<1>();
    __syncthreads();
    const int other = (column + 1) % (size / 4);
    if (column < size / 4) {
      const float4 v = stages[row % 2][other];
      sum.x += v.x;
      sum.y += v.y;
      sum.z += v.z;
      sum.w += v.w;
    }
    __syncthreads();
  }
  if (column < size / 4) reinterpret_cast<float4*>(sums)[(column + 1) % (size / 4)] = sum;
}

// y = x turned round within tiles of blockDim.x floats, each fetched by one copy of four bytes.
extern "C" __global__ void reversed_tiles(float* y, const float* x, int count) {
  __shared__ float tile[128];
  const int first = blockIdx.x * blockDim.x, left = count - first, width = left < blockDim.x ? left : blockDim.x;
  if (threadIdx.x < width) copy_async<4>(&tile[threadIdx.x], x + first + threadIdx.x);
  commit();
  wait<0>();
  __syncthreads();
  if (threadIdx.x < width) y[first + threadIdx.x] = tile[width - 1 - threadIdx.x];
}
