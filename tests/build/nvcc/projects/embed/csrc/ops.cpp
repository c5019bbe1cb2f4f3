#include <gpuwheel/torch.h>
#include "scale.h"
#include "tiny.kernels.h"

using torch::stable::Tensor;

namespace {
Tensor scale_cpu(const Tensor& x_, double factor) {
  const Tensor x = torch::stable::contiguous(x_);
  Tensor out = torch::stable::empty_like(x);
  const float* from = x.const_data_ptr<float>();
  float* to = out.mutable_data_ptr<float>();
  for (int64_t i = 0; i < x.numel(); ++i) to[i] = tiny::scaled(from[i], static_cast<float>(factor));
  return out;
}

Tensor scale_cuda(const Tensor& x_, double factor) {
  const Tensor x = torch::stable::contiguous(x_);
  Tensor out = torch::stable::empty_like(x);
  const int64_t n = x.numel();
  if (n == 0) return out;
  const gpuwheel::LaunchConfig config{(n + 255) / 256, 256, gpuwheel::current_stream(x)};
  tiny::scale<float>.launch(config, out.mutable_data_ptr<float>(), x.const_data_ptr<float>(), n,
                            static_cast<float>(factor));
  return out;
}
}  // namespace

STABLE_TORCH_LIBRARY(nv_embed, m) { m.def("scale(Tensor x, float factor) -> Tensor"); }
STABLE_TORCH_LIBRARY_IMPL(nv_embed, CPU, m) { m.impl("scale", TORCH_BOX(&scale_cpu)); }
STABLE_TORCH_LIBRARY_IMPL(nv_embed, CUDA, m) { m.impl("scale", TORCH_BOX(&scale_cuda)); }
