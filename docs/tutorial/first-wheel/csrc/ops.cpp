#include <gpuwheel/torch.h>

#include <algorithm>

#include "fused.kernels.h"  // written by gpuwheel, from the compiled kernels

namespace {

using gpuwheel::Tensor;

void check(const Tensor& x, const Tensor& y) {
  gpuwheel::check_same_device("axpy", {{"x", x}, {"y", y}});
  gpuwheel::check_same_dtype("axpy", {{"x", x}, {"y", y}});
  gpuwheel::check_same_shape("axpy", {{"x", x}, {"y", y}});
}

Tensor axpy_cuda(const Tensor& x_, const Tensor& y_, double alpha) {
  check(x_, y_);
  const gpuwheel::DeviceGuard guard(x_);
  const Tensor x = gpuwheel::contiguous(x_), y = gpuwheel::contiguous(y_);
  Tensor out = torch::stable::empty_like(x);
  const int64_t count = x.numel();
  if (count == 0) return out;
  gpuwheel::dispatch<gpuwheel::Floats>("axpy", x, [&](auto zero) {
    using T = decltype(zero);
    const gpuwheel::LaunchConfig config{std::min<int64_t>((count + 255) / 256, 65535), 256, gpuwheel::current_stream(x)};
    first_wheel::axpy<T>.launch(config, out.mutable_data_ptr<T>(), x.const_data_ptr<T>(), y.const_data_ptr<T>(),
                                static_cast<float>(alpha), count);
  });
  return out;
}

Tensor axpy_cpu(const Tensor& x_, const Tensor& y_, double alpha) {
  check(x_, y_);
  const Tensor x = gpuwheel::contiguous(x_), y = gpuwheel::contiguous(y_);
  Tensor out = torch::stable::empty_like(x);
  gpuwheel::dispatch<gpuwheel::Floats>("axpy", x, [&](auto zero) {
    using T = decltype(zero);
    const T *xs = x.const_data_ptr<T>(), *ys = y.const_data_ptr<T>();
    T* outs = out.mutable_data_ptr<T>();
    gpuwheel::parallel_for(0, x.numel(), 16384, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        outs[i] = static_cast<T>(static_cast<float>(alpha) * static_cast<float>(xs[i]) + static_cast<float>(ys[i]));
      }
    });
  });
  return out;
}

}  // namespace

STABLE_TORCH_LIBRARY(first_wheel, m) { m.def("axpy(Tensor x, Tensor y, float alpha) -> Tensor"); }
STABLE_TORCH_LIBRARY_IMPL(first_wheel, CPU, m) { m.impl("axpy", TORCH_BOX(&axpy_cpu)); }
STABLE_TORCH_LIBRARY_IMPL(first_wheel, CUDA, m) { m.impl("axpy", TORCH_BOX(&axpy_cuda)); }
