#include "squared_relu.h"

#include <gpuwheel/torch.h>

#include <tuple>

#include "cpu.h"
#include "fused.kernels.h"
#include "launches.h"

namespace gpuwheel_sample {
namespace {

using gpuwheel::Tensor;
using torch::stable::empty_like;

constexpr const char* kName = "squared_relu";
constexpr const char* kBackward = "squared_relu_backward";

void check_backward(const Tensor& grad, const Tensor& x) {
  gpuwheel::check_same_device(kBackward, {{"x", x}, {"grad", grad}});
  gpuwheel::check_same_dtype(kBackward, {{"x", x}, {"grad", grad}});
  gpuwheel::check_same_shape(kBackward, {{"x", x}, {"grad", grad}});
}

Tensor squared_relu_cuda(const Tensor& x_) {
  const gpuwheel::DeviceGuard guard(x_);
  const Tensor x = gpuwheel::contiguous(x_);
  Tensor y = empty_like(x);
  gpuwheel::dispatch<gpuwheel::Floats>(kName, x, [&](auto zero) {
    using T = decltype(zero);
    launch_flat<T>(kernels::squared_relu<T, 16 / sizeof(T)>, kernels::squared_relu<T, 1>, std::tie(y), x);
  });
  return y;
}

Tensor squared_relu_cpu(const Tensor& x_) {
  const Tensor x = gpuwheel::contiguous(x_);
  Tensor y = empty_like(x);
  gpuwheel::dispatch<gpuwheel::FloatsAndDouble>(kName, x, [&](auto zero) {
    using T = decltype(zero);
    using A = accumulate_t<T>;
    const T* xs = x.const_data_ptr<T>();
    T* ys = y.mutable_data_ptr<T>();
    cpu::for_elements(x.numel(), [&](int64_t i) { ys[i] = static_cast<T>(SquaredRelu<A>::forward(static_cast<A>(xs[i]))); });
  });
  return y;
}

Tensor squared_relu_backward_cuda(const Tensor& grad_, const Tensor& x_) {
  check_backward(grad_, x_);
  const gpuwheel::DeviceGuard guard(x_);
  const Tensor grad = gpuwheel::contiguous(grad_), x = gpuwheel::contiguous(x_);
  Tensor grad_x = empty_like(x);
  gpuwheel::dispatch<gpuwheel::Floats>(kBackward, x, [&](auto zero) {
    using T = decltype(zero);
    launch_flat<T>(kernels::squared_relu_backward<T, 16 / sizeof(T)>, kernels::squared_relu_backward<T, 1>, std::tie(grad_x), grad, x);
  });
  return grad_x;
}

Tensor squared_relu_backward_cpu(const Tensor& grad_, const Tensor& x_) {
  check_backward(grad_, x_);
  const Tensor grad = gpuwheel::contiguous(grad_), x = gpuwheel::contiguous(x_);
  Tensor grad_x = empty_like(x);
  gpuwheel::dispatch<gpuwheel::FloatsAndDouble>(kBackward, x, [&](auto zero) {
    using T = decltype(zero);
    using A = accumulate_t<T>;
    const T *grads = grad.const_data_ptr<T>(), *xs = x.const_data_ptr<T>();
    T* grad_xs = grad_x.mutable_data_ptr<T>();
    cpu::for_elements(x.numel(), [&](int64_t i) {
      grad_xs[i] = static_cast<T>(SquaredRelu<A>::backward(static_cast<A>(grads[i]), static_cast<A>(xs[i])));
    });
  });
  return grad_x;
}

}  // namespace
}  // namespace gpuwheel_sample

STABLE_TORCH_LIBRARY_FRAGMENT(gpuwheel_sample, m) {
  m.def("squared_relu(Tensor x) -> Tensor");
  m.def("squared_relu_backward(Tensor grad, Tensor x) -> Tensor");
}
STABLE_TORCH_LIBRARY_IMPL(gpuwheel_sample, CPU, m) {
  m.impl("squared_relu", TORCH_BOX(&gpuwheel_sample::squared_relu_cpu));
  m.impl("squared_relu_backward", TORCH_BOX(&gpuwheel_sample::squared_relu_backward_cpu));
}
STABLE_TORCH_LIBRARY_IMPL(gpuwheel_sample, CUDA, m) {
  m.impl("squared_relu", TORCH_BOX(&gpuwheel_sample::squared_relu_cuda));
  m.impl("squared_relu_backward", TORCH_BOX(&gpuwheel_sample::squared_relu_backward_cuda));
}
