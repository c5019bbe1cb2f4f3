#include "launch.h"

namespace matrix_ops {
namespace {
__global__ void axpby(float* out, const float* x, const float* y, std::int64_t n, float a, float b) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x; i < n; i += step) {
    out[i] = a * x[i] + b * y[i];
  }
}
}  // namespace

void launch_axpby(float* out, const float* x, const float* y, std::int64_t n, float a, float b) {
  const Grid grid = grid_for(n);
  axpby<<<grid.blocks, grid.threads>>>(out, x, y, n, a, b);
}
}  // namespace matrix_ops
