#include <ATen/ops/empty_like.h>

#include "ops.h"

namespace matrix_ops {
namespace {
__global__ void rotate_pairs(float* out, const float* x, std::int64_t pairs, float sine, float cosine) {
  const std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
  if (i < pairs) {
    out[2 * i] = cosine * x[2 * i] - sine * x[2 * i + 1];
    out[2 * i + 1] = sine * x[2 * i] + cosine * x[2 * i + 1];
  }
}
}  // namespace

at::Tensor rotate_pairs_cuda(const at::Tensor& x, double angle) {
  at::Tensor out = at::empty_like(x);
  const std::int64_t pairs = x.numel() / 2;
  rotate_pairs<<<static_cast<unsigned>((pairs + 127) / 128), 128>>>(out.data_ptr<float>(), x.data_ptr<float>(), pairs,
                                                                    static_cast<float>(std::sin(angle)),
                                                                    static_cast<float>(std::cos(angle)));
  return out;
}
}  // namespace matrix_ops
