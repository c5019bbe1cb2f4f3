#include "launch.h"

namespace matrix_ops {
namespace {
constexpr int kWarp = 32;

__global__ void row_max(float* out, const float* x, std::int64_t columns) {
  const float* row = x + blockIdx.x * columns;
  float best = row[0];
  for (std::int64_t column = threadIdx.x; column < columns; column += kWarp) {
    best = fmaxf(best, row[column]);
  }
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    best = fmaxf(best, __shfl_xor_sync(0xffffffffu, best, offset));
  }
  if (threadIdx.x == 0) out[blockIdx.x] = best;
}
}  // namespace

void launch_row_max(float* out, const float* x, std::int64_t rows, std::int64_t columns) {
  row_max<<<static_cast<unsigned>(rows), kWarp>>>(out, x, columns);
}
}  // namespace matrix_ops
