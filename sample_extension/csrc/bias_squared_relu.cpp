#include "bias_squared_relu.h"

#include <gpuwheel/torch.h>

#include <tuple>

#include "cpu.h"
#include "fused.kernels.h"
#include "launches.h"

namespace gpuwheel_sample {
namespace {

using gpuwheel::Tensor;
using torch::stable::empty_like;

constexpr const char* kName = "bias_squared_relu";
constexpr const char* kBackward = "bias_squared_relu_backward";

void check(const char* name, const Tensor& x, const Tensor& bias) {
  gpuwheel::check_min_dim(name, {"x", x}, 1);
  gpuwheel::check_same_device(name, {{"x", x}, {"bias", bias}});
  gpuwheel::check_same_dtype(name, {{"x", x}, {"bias", bias}});
  gpuwheel::check_shape(name, {"bias", bias}, {x.size(-1)});
}

void check_backward(const Tensor& grad, const Tensor& x, const Tensor& bias) {
  check(kBackward, x, bias);
  gpuwheel::check_same_device(kBackward, {{"x", x}, {"grad", grad}});
  gpuwheel::check_same_dtype(kBackward, {{"x", x}, {"grad", grad}});
  gpuwheel::check_same_shape(kBackward, {{"x", x}, {"grad", grad}});
}

template <typename T>
void forward_cuda(Tensor& y, const Tensor& x, const Tensor& bias) {
  constexpr int VEC = 16 / sizeof(T);
  const int64_t size = x.size(-1), rows = x.numel() / size;
  const bool vectors = vectors_fit<T>(size, y, x, bias);
  const gpuwheel::LaunchConfig config = flat_launch(vectors ? x.numel() / VEC : x.numel(), gpuwheel::current_stream(x));
  const auto launch = [&](auto& kernel) {
    kernel.launch(config, y.mutable_data_ptr<T>(), x.const_data_ptr<T>(), bias.const_data_ptr<T>(), rows, row_size(kName, size));
  };
  vectors ? launch(kernels::bias_squared_relu<T, VEC>) : launch(kernels::bias_squared_relu<T, 1>);
}

template <typename T>
void forward_cpu(Tensor& y, const Tensor& x, const Tensor& bias) {
  using A = accumulate_t<T>;
  const int64_t size = x.size(-1);
  const T *xs = x.const_data_ptr<T>(), *biases = bias.const_data_ptr<T>();
  T* ys = y.mutable_data_ptr<T>();
  cpu::for_rows(x.numel() / size, size, [&](int64_t row) {
    for (int64_t i = 0; i < size; ++i) {
      ys[row * size + i] = static_cast<T>(BiasSquaredRelu<A>::forward(static_cast<A>(xs[row * size + i]), static_cast<A>(biases[i])));
    }
  });
}

template <typename T>
void backward_cuda(Tensor& grad_x, Tensor& grad_bias, const Tensor& grad, const Tensor& x, const Tensor& bias) {
  constexpr int VEC = 16 / sizeof(T);
  const int64_t size = x.size(-1), rows = x.numel() / size;
  const gpuwheel::Stream stream = gpuwheel::current_stream(x);
  const bool vectors = vectors_fit<T>(size, grad_x, grad, x, bias);
  const gpuwheel::LaunchConfig config = column_launch(rows, vectors ? size / VEC : size, vectors, stream);
  const Tensor partials = torch::stable::new_empty(x, {config.grid.y, size}, torch::headeronly::ScalarType::Float);
  const auto launch = [&](auto& kernel) {
    kernel.launch(config, grad_x.mutable_data_ptr<T>(), partials.mutable_data_ptr<float>(), grad.const_data_ptr<T>(), x.const_data_ptr<T>(),
                  bias.const_data_ptr<T>(), rows, row_size(kBackward, size));
  };
  vectors ? launch(kernels::bias_squared_relu_backward<T, VEC>) : launch(kernels::bias_squared_relu_backward<T, 1>);
  sum_partials<T>(grad_bias, partials, stream);
}

template <typename T>
void backward_cpu(Tensor& grad_x, Tensor& grad_bias, const Tensor& grad, const Tensor& x, const Tensor& bias) {
  using A = accumulate_t<T>;
  const int64_t size = x.size(-1);
  const T *grads = grad.const_data_ptr<T>(), *xs = x.const_data_ptr<T>(), *biases = bias.const_data_ptr<T>();
  T* grad_xs = grad_x.mutable_data_ptr<T>();
  cpu::sum_columns(x.numel() / size, size, grad_bias.mutable_data_ptr<T>(), [&](int64_t row, A* sums) {
    for (int64_t i = 0; i < size; ++i) {
      const int64_t at = row * size + i;
      const A value = BiasSquaredRelu<A>::backward(static_cast<A>(grads[at]), static_cast<A>(xs[at]), static_cast<A>(biases[i]));
      grad_xs[at] = static_cast<T>(value);
      sums[i] += value;
    }
  });
}

Tensor bias_squared_relu_cuda(const Tensor& x_, const Tensor& bias_) {
  check(kName, x_, bias_);
  const gpuwheel::DeviceGuard guard(x_);
  const Tensor x = gpuwheel::contiguous(x_), bias = gpuwheel::contiguous(bias_);
  Tensor y = empty_like(x);
  gpuwheel::dispatch<gpuwheel::Floats>(kName, x, [&](auto zero) {
    if (x.numel() != 0) forward_cuda<decltype(zero)>(y, x, bias);
  });
  return y;
}

Tensor bias_squared_relu_cpu(const Tensor& x_, const Tensor& bias_) {
  check(kName, x_, bias_);
  const Tensor x = gpuwheel::contiguous(x_), bias = gpuwheel::contiguous(bias_);
  Tensor y = empty_like(x);
  gpuwheel::dispatch<gpuwheel::FloatsAndDouble>(kName, x, [&](auto zero) {
    if (x.numel() != 0) forward_cpu<decltype(zero)>(y, x, bias);
  });
  return y;
}

std::tuple<Tensor, Tensor> bias_squared_relu_backward_cuda(const Tensor& grad_, const Tensor& x_, const Tensor& bias_) {
  check_backward(grad_, x_, bias_);
  const gpuwheel::DeviceGuard guard(x_);
  const Tensor grad = gpuwheel::contiguous(grad_), x = gpuwheel::contiguous(x_), bias = gpuwheel::contiguous(bias_);
  Tensor grad_x = empty_like(x), grad_bias = empty_like(bias);
  if (x.numel() == 0) torch::stable::zero_(grad_bias);
  gpuwheel::dispatch<gpuwheel::Floats>(kBackward, x, [&](auto zero) {
    if (x.numel() != 0) backward_cuda<decltype(zero)>(grad_x, grad_bias, grad, x, bias);
  });
  return {grad_x, grad_bias};
}

std::tuple<Tensor, Tensor> bias_squared_relu_backward_cpu(const Tensor& grad_, const Tensor& x_, const Tensor& bias_) {
  check_backward(grad_, x_, bias_);
  const Tensor grad = gpuwheel::contiguous(grad_), x = gpuwheel::contiguous(x_), bias = gpuwheel::contiguous(bias_);
  Tensor grad_x = empty_like(x), grad_bias = empty_like(bias);
  if (x.numel() == 0) torch::stable::zero_(grad_bias);
  gpuwheel::dispatch<gpuwheel::FloatsAndDouble>(kBackward, x, [&](auto zero) {
    if (x.numel() != 0) backward_cpu<decltype(zero)>(grad_x, grad_bias, grad, x, bias);
  });
  return {grad_x, grad_bias};
}

}  // namespace
}  // namespace gpuwheel_sample

STABLE_TORCH_LIBRARY_FRAGMENT(gpuwheel_sample, m) {
  m.def("bias_squared_relu(Tensor x, Tensor bias) -> Tensor");
  m.def("bias_squared_relu_backward(Tensor grad, Tensor x, Tensor bias) -> (Tensor grad_x, Tensor grad_bias)");
}
STABLE_TORCH_LIBRARY_IMPL(gpuwheel_sample, CPU, m) {
  m.impl("bias_squared_relu", TORCH_BOX(&gpuwheel_sample::bias_squared_relu_cpu));
  m.impl("bias_squared_relu_backward", TORCH_BOX(&gpuwheel_sample::bias_squared_relu_backward_cpu));
}
STABLE_TORCH_LIBRARY_IMPL(gpuwheel_sample, CUDA, m) {
  m.impl("bias_squared_relu", TORCH_BOX(&gpuwheel_sample::bias_squared_relu_cuda));
  m.impl("bias_squared_relu_backward", TORCH_BOX(&gpuwheel_sample::bias_squared_relu_backward_cuda));
}
