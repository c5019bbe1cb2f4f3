// An existing binding on the stable ABI, as torchvision writes them; it knows nothing of gpuwheel.
#include <cmath>
#include <stdexcept>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include "kernels.h"

using torch::stable::Tensor;

namespace {
Tensor add_rms_norm_cpu(const Tensor& x, const Tensor& residual, const Tensor& weight, double eps) {
  Tensor out = torch::stable::empty_like(x);
  const int64_t columns = weight.numel(), rows = x.numel() / columns;
  const float* a = x.const_data_ptr<float>();
  const float* b = residual.const_data_ptr<float>();
  const float* w = weight.const_data_ptr<float>();
  float* to = out.mutable_data_ptr<float>();
  for (int64_t row = 0; row < rows; ++row, a += columns, b += columns, to += columns) {
    double sum = 0;
    for (int64_t i = 0; i < columns; ++i) sum += (a[i] + b[i]) * (a[i] + b[i]);
    const float scale = static_cast<float>(1 / std::sqrt(sum / columns + eps));
    for (int64_t i = 0; i < columns; ++i) to[i] = (a[i] + b[i]) * scale * w[i];
  }
  return out;
}

Tensor add_rms_norm_cuda(const Tensor& x, const Tensor& residual, const Tensor& weight, double eps) {
  Tensor out = torch::stable::empty_like(x);
  const int columns = static_cast<int>(weight.numel()), rows = static_cast<int>(x.numel() / columns);
  void* stream = nullptr;
  aoti_torch_get_current_cuda_stream(x.get_device_index(), &stream);
  const cudaError_t error =
      launch_add_rms_norm(out.mutable_data_ptr<float>(), x.const_data_ptr<float>(), residual.const_data_ptr<float>(),
                          weight.const_data_ptr<float>(), rows, columns, static_cast<float>(eps), stream);
  if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
  return out;
}
}  // namespace

STABLE_TORCH_LIBRARY(nv_stable, m) {
  m.def("add_rms_norm(Tensor x, Tensor residual, Tensor weight, float eps) -> Tensor");
}
STABLE_TORCH_LIBRARY_IMPL(nv_stable, CPU, m) { m.impl("add_rms_norm", TORCH_BOX(&add_rms_norm_cpu)); }
STABLE_TORCH_LIBRARY_IMPL(nv_stable, CUDA, m) { m.impl("add_rms_norm", TORCH_BOX(&add_rms_norm_cuda)); }
