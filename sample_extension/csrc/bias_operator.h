// An operator of x and a bias over its last dimension, forward and backward: checks, launches, and the CPU path.
#pragma once

#include <gpuwheel/torch.h>

#include <tuple>

#include "cpu.h"
#include "fused.kernels.h"
#include "launches.h"

namespace gpuwheel_sample {

// Op has kName and kBackward, names for messages; Function<A>, the functor that the kernels use too; and
// kernel<T, VEC>() and backward_kernel<T, VEC>(), the kernels themselves.
template <typename Op>
class BiasOperator {
  using Tensor = gpuwheel::Tensor;

 public:
  static Tensor forward_cuda(const Tensor& x_, const Tensor& bias_) {
    check(Op::kName, x_, bias_);
    const gpuwheel::DeviceGuard guard(x_);
    const Tensor x = gpuwheel::contiguous(x_), bias = gpuwheel::contiguous(bias_);
    Tensor y = torch::stable::empty_like(x);
    gpuwheel::dispatch<gpuwheel::Floats>(Op::kName, x, [&](auto zero) {
      if (x.numel() != 0) launch_forward<decltype(zero)>(y, x, bias);
    });
    return y;
  }

  static Tensor forward_cpu(const Tensor& x_, const Tensor& bias_) {
    check(Op::kName, x_, bias_);
    const Tensor x = gpuwheel::contiguous(x_), bias = gpuwheel::contiguous(bias_);
    Tensor y = torch::stable::empty_like(x);
    gpuwheel::dispatch<gpuwheel::FloatsAndDouble>(Op::kName, x, [&](auto zero) {
      if (x.numel() != 0) compute_forward<decltype(zero)>(y, x, bias);
    });
    return y;
  }

  static std::tuple<Tensor, Tensor> backward_cuda(const Tensor& grad_, const Tensor& x_, const Tensor& bias_) {
    check_backward(grad_, x_, bias_);
    const gpuwheel::DeviceGuard guard(x_);
    const Tensor grad = gpuwheel::contiguous(grad_), x = gpuwheel::contiguous(x_), bias = gpuwheel::contiguous(bias_);
    Tensor grad_x = torch::stable::empty_like(x), grad_bias = torch::stable::empty_like(bias);
    if (x.numel() == 0) torch::stable::zero_(grad_bias);
    gpuwheel::dispatch<gpuwheel::Floats>(Op::kBackward, x, [&](auto zero) {
      if (x.numel() != 0) launch_backward<decltype(zero)>(grad_x, grad_bias, grad, x, bias);
    });
    return {grad_x, grad_bias};
  }

  static std::tuple<Tensor, Tensor> backward_cpu(const Tensor& grad_, const Tensor& x_, const Tensor& bias_) {
    check_backward(grad_, x_, bias_);
    const Tensor grad = gpuwheel::contiguous(grad_), x = gpuwheel::contiguous(x_), bias = gpuwheel::contiguous(bias_);
    Tensor grad_x = torch::stable::empty_like(x), grad_bias = torch::stable::empty_like(bias);
    if (x.numel() == 0) torch::stable::zero_(grad_bias);
    gpuwheel::dispatch<gpuwheel::FloatsAndDouble>(Op::kBackward, x, [&](auto zero) {
      if (x.numel() != 0) compute_backward<decltype(zero)>(grad_x, grad_bias, grad, x, bias);
    });
    return {grad_x, grad_bias};
  }

 private:
  static void check(const char* name, const Tensor& x, const Tensor& bias) {
    gpuwheel::check_min_dim(name, {"x", x}, 1);
    gpuwheel::check_same_device(name, {{"x", x}, {"bias", bias}});
    gpuwheel::check_same_dtype(name, {{"x", x}, {"bias", bias}});
    gpuwheel::check_shape(name, {"bias", bias}, {x.size(-1)});
  }

  static void check_backward(const Tensor& grad, const Tensor& x, const Tensor& bias) {
    check(Op::kBackward, x, bias);
    gpuwheel::check_same_device(Op::kBackward, {{"x", x}, {"grad", grad}});
    gpuwheel::check_same_dtype(Op::kBackward, {{"x", x}, {"grad", grad}});
    gpuwheel::check_same_shape(Op::kBackward, {{"x", x}, {"grad", grad}});
  }

  template <typename T>
  static void launch_forward(Tensor& y, const Tensor& x, const Tensor& bias) {
    constexpr int VEC = 16 / sizeof(T);
    const int64_t size = x.size(-1), rows = x.numel() / size;
    const bool vectors = vectors_fit<T>(size, y, x, bias);
    const gpuwheel::LaunchConfig config = flat_launch(vectors ? x.numel() / VEC : x.numel(), gpuwheel::current_stream(x));
    const auto launch = [&](auto& kernel) {
      kernel.launch(config, y.mutable_data_ptr<T>(), x.const_data_ptr<T>(), bias.const_data_ptr<T>(), rows, row_size(Op::kName, size));
    };
    vectors ? launch(Op::template kernel<T, VEC>()) : launch(Op::template kernel<T, 1>());
  }

  template <typename T>
  static void compute_forward(Tensor& y, const Tensor& x, const Tensor& bias) {
    using A = accumulate_t<T>;
    const int64_t size = x.size(-1);
    const T *xs = x.const_data_ptr<T>(), *biases = bias.const_data_ptr<T>();
    T* ys = y.mutable_data_ptr<T>();
    cpu::for_rows(x.numel() / size, size, [&](int64_t row) {
      for (int64_t i = 0; i < size; ++i) {
        ys[row * size + i] = static_cast<T>(Op::template Function<A>::forward(static_cast<A>(xs[row * size + i]), static_cast<A>(biases[i])));
      }
    });
  }

  template <typename T>
  static void launch_backward(Tensor& grad_x, Tensor& grad_bias, const Tensor& grad, const Tensor& x, const Tensor& bias) {
    constexpr int VEC = 16 / sizeof(T);
    const int64_t size = x.size(-1), rows = x.numel() / size;
    const gpuwheel::Stream stream = gpuwheel::current_stream(x);
    const bool vectors = vectors_fit<T>(size, grad_x, grad, x, bias);
    const gpuwheel::LaunchConfig config = column_launch(rows, vectors ? size / VEC : size, vectors, stream);
    const Tensor partials = torch::stable::new_empty(x, {config.grid.y, size}, torch::headeronly::ScalarType::Float);
    const auto launch = [&](auto& kernel) {
      kernel.launch(config, grad_x.mutable_data_ptr<T>(), partials.mutable_data_ptr<float>(), grad.const_data_ptr<T>(), x.const_data_ptr<T>(),
                    bias.const_data_ptr<T>(), rows, row_size(Op::kBackward, size));
    };
    vectors ? launch(Op::template backward_kernel<T, VEC>()) : launch(Op::template backward_kernel<T, 1>());
    sum_partials<T>(grad_bias, partials, stream);
  }

  template <typename T>
  static void compute_backward(Tensor& grad_x, Tensor& grad_bias, const Tensor& grad, const Tensor& x, const Tensor& bias) {
    using A = accumulate_t<T>;
    const int64_t size = x.size(-1);
    const T *grads = grad.const_data_ptr<T>(), *xs = x.const_data_ptr<T>(), *biases = bias.const_data_ptr<T>();
    T* grad_xs = grad_x.mutable_data_ptr<T>();
    cpu::sum_columns(x.numel() / size, size, grad_bias.mutable_data_ptr<T>(), [&](int64_t row, A* sums) {
      for (int64_t i = 0; i < size; ++i) {
        const int64_t at = row * size + i;
        const A value = Op::template Function<A>::backward(static_cast<A>(grads[at]), static_cast<A>(xs[at]), static_cast<A>(biases[i]));
        grad_xs[at] = static_cast<T>(value);
        sums[i] += value;
      }
    });
  }
};

}  // namespace gpuwheel_sample
