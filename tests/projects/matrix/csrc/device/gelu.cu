#include "launch.h"

namespace matrix_ops {
namespace {
__global__ void gelu(float* out, const float* x, std::int64_t n) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x; i < n; i += step) {
    out[i] = 0.5f * x[i] * (1.0f + erff(x[i] * 0.70710678118654752f));
  }
}
}  // namespace

void launch_gelu(float* out, const float* x, std::int64_t n) {
  const Grid grid = grid_for(n);
  gelu<<<grid.blocks, grid.threads>>>(out, x, n);
}
}  // namespace matrix_ops
