#include <stdexcept>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include "kernels.h"

using torch::stable::Tensor;

namespace {
Tensor scale_cpu(const Tensor& x, double factor) {
  Tensor out = torch::stable::empty_like(x);
  for (int64_t i = 0; i < x.numel(); ++i) {
    out.mutable_data_ptr<float>()[i] = x.const_data_ptr<float>()[i] * static_cast<float>(factor);
  }
  return out;
}

Tensor scale_cuda(const Tensor& x, double factor) {
  Tensor out = torch::stable::empty_like(x);
  void* stream = nullptr;
  aoti_torch_get_current_cuda_stream(x.get_device_index(), &stream);
  if (launch_scale(out.mutable_data_ptr<float>(), x.const_data_ptr<float>(), x.numel(), static_cast<float>(factor),
                   stream) != cudaSuccess) {
    throw std::runtime_error("the launch failed");
  }
  return out;
}
}  // namespace

STABLE_TORCH_LIBRARY(nv_own, m) { m.def("scale(Tensor x, float factor) -> Tensor"); }
STABLE_TORCH_LIBRARY_IMPL(nv_own, CPU, m) { m.impl("scale", TORCH_BOX(&scale_cpu)); }
STABLE_TORCH_LIBRARY_IMPL(nv_own, CUDA, m) { m.impl("scale", TORCH_BOX(&scale_cuda)); }
