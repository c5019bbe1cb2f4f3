// ATen/cuda/detail/KernelUtils.h: loops over the grid, and how many blocks they want.
#pragma once

#include <gpuwheel_compat/cuda_errors.h>

// Counts in 64 bits, whatever the type of the index: near the end of its range an index would wrap around.
#define CUDA_KERNEL_LOOP_TYPE(i, n, index_type)                                                             \
  for (int64_t gwc_at = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; gwc_at < (n);          \
       gwc_at += static_cast<int64_t>(blockDim.x) * gridDim.x)                                              \
    if (index_type i = static_cast<index_type>(gwc_at); true)
#define CUDA_KERNEL_LOOP(i, n) CUDA_KERNEL_LOOP_TYPE(i, n, int)

namespace gpuwheel_compat::cuda::detail {

constexpr int CUDA_NUM_THREADS = 1024;

inline int GET_BLOCKS(int64_t n, int64_t threads = CUDA_NUM_THREADS) {
  TORCH_INTERNAL_ASSERT(n > 0, "CUDA kernel launch blocks must be positive, but got N=", n);
  const int64_t blocks = (n - 1) / threads + 1;
  TORCH_INTERNAL_ASSERT(blocks <= std::numeric_limits<int>::max(), "Can't schedule too many blocks on CUDA device");
  return static_cast<int>(blocks);
}

}  // namespace gpuwheel_compat::cuda::detail
