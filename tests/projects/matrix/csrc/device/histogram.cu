#include "launch.h"

namespace matrix_ops {
namespace {
__global__ void histogram(unsigned long long* counts, const float* x, std::int64_t n, int bins, float low,
                          float high) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  const float scale = static_cast<float>(bins) / (high - low);
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x; i < n; i += step) {
    if (x[i] >= low && x[i] <= high) {
      const int bin = static_cast<int>((x[i] - low) * scale);
      atomicAdd(&counts[bin < bins ? bin : bins - 1], 1ULL);
    }
  }
}
}  // namespace

void launch_histogram(std::int64_t* counts, const float* x, std::int64_t n, int bins, float low, float high) {
  const Grid grid = grid_for(n);
  histogram<<<grid.blocks, grid.threads>>>(reinterpret_cast<unsigned long long*>(counts), x, n, bins, low, high);
}
}  // namespace matrix_ops
