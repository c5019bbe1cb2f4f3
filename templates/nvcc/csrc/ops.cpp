#include "ops.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "activations.h"

namespace {

using gpuwheel::accumulate_t;
using torch::headeronly::ScalarType;
using torch::stable::empty_like;

// ---- arguments

Activation activation_of(const char* op, std::string_view name) {
  STD_TORCH_CHECK(name == "relu" || name == "gelu", op, ": activation is '", std::string(name),
                  "', 'relu' or 'gelu' is expected");
  return name == "relu" ? Activation::relu : Activation::gelu;
}

Type type_of(const char* op, const Tensor& x) {
  switch (x.scalar_type()) {
    case ScalarType::Float: return Type::float32;
    case ScalarType::Half: return Type::float16;
    case ScalarType::BFloat16: return Type::bfloat16;
    default:
      STD_TORCH_CHECK(false, op, ": dtype ", torch::headeronly::toString(x.scalar_type()), " is not supported on CUDA");
  }
}

void check_bias_act(const Tensor& x, const Tensor& bias) {
  gpuwheel::check_min_dim("bias_act", {"x", x}, 1);
  gpuwheel::check_same_device("bias_act", {{"x", x}, {"bias", bias}});
  gpuwheel::check_same_dtype("bias_act", {{"x", x}, {"bias", bias}});
  gpuwheel::check_shape("bias_act", {"bias", bias}, {x.size(-1)});
}

void check_act_backward(const Tensor& grad, const Tensor& saved, const std::optional<Tensor>& bias) {
  gpuwheel::check_min_dim("act_backward", {"grad", grad}, 1);
  gpuwheel::check_same_shape("act_backward", {{"grad", grad}, {"saved", saved}});
  gpuwheel::check_same_device("act_backward", {{"grad", grad}, {"saved", saved}, {"bias", bias ? *bias : saved}});
  gpuwheel::check_same_dtype("act_backward", {{"grad", grad}, {"saved", saved}, {"bias", bias ? *bias : saved}});
  if (bias) gpuwheel::check_shape("act_backward", {"bias", *bias}, {grad.size(-1)});
}

void check_linear_act(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  gpuwheel::check_min_dim("linear_act", {"x", x}, 1);
  STD_TORCH_CHECK(weight.dim() == 2 && weight.size(1) == x.size(-1), "linear_act: weight has shape ",
                  gpuwheel::shape_text(weight.sizes()), ", (out, ", x.size(-1), ") is expected");
  gpuwheel::check_same_device("linear_act", {{"x", x}, {"weight", weight}, {"bias", bias}});
  gpuwheel::check_same_dtype("linear_act", {{"x", x}, {"weight", weight}, {"bias", bias}});
  gpuwheel::check_shape("linear_act", {"bias", bias}, {weight.size(0)});
}

int64_t rows_of(const Tensor& x) {
  int64_t rows = 1;
  for (int64_t i = 0; i + 1 < x.dim(); ++i) rows *= x.size(i);
  return rows;
}

// ---- bias and activation of contiguous tensors: on the CPU by the functors of the kernels

// f(element, column) for every element of a matrix, on torch's threads.
template <typename F>
void for_elements(int64_t rows, int64_t columns, const F& f) {
  constexpr int64_t kGrain = 16384;  // elements that are worth a thread
  const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, columns));
  gpuwheel::parallel_for(0, rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t column = 0; column < columns; ++column) f(row * columns + column, column);
    }
  });
}

template <typename F>
void with_activation(Activation activation, const F& f) {
  activation == Activation::relu ? f(Relu{}) : f(Gelu{});
}

void apply_cpu(const char* op, Tensor& y, Tensor* pre, const Tensor& x, const Tensor& bias, Activation activation) {
  gpuwheel::dispatch<gpuwheel::FloatsAndDouble>(op, x, [&](auto zero) {
    using T = decltype(zero);
    using A = accumulate_t<T>;
    T *out = y.mutable_data_ptr<T>(), *sums = pre != nullptr ? pre->mutable_data_ptr<T>() : nullptr;
    const T *in = x.const_data_ptr<T>(), *b = bias.const_data_ptr<T>();
    with_activation(activation, [&](auto act) {
      for_elements(rows_of(x), x.size(-1), [&](int64_t i, int64_t column) {
        const A z = static_cast<A>(in[i]) + static_cast<A>(b[column]);
        if (sums != nullptr) sums[i] = static_cast<T>(z);
        out[i] = static_cast<T>(decltype(act)::value(z));
      });
    });
  });
}

void apply_cuda(const char* op, Tensor& y, Tensor* pre, const Tensor& x, const Tensor& bias, Activation activation) {
  launch_bias_act({type_of(op, x), activation, rows_of(x), x.size(-1), y.mutable_data_ptr(),
                   pre != nullptr ? pre->mutable_data_ptr() : nullptr, x.const_data_ptr(), bias.const_data_ptr()},
                  stream_of(x));
}

}  // namespace

cudaStream_t stream_of(const Tensor& tensor) {
  return static_cast<cudaStream_t>(gpuwheel::current_stream(tensor).handle);
}

// ---- a linear layer

Linear::Linear(const Tensor& x_, const Tensor& weight_, const Tensor& bias_, std::string_view name, bool save)
    : activation(activation_of("linear_act", name)), saves(save && activation == Activation::gelu) {
  check_linear_act(x_, weight_, bias_);
  x = gpuwheel::contiguous(x_);
  weight = gpuwheel::contiguous(weight_);
  bias = gpuwheel::contiguous(bias_);
  std::vector<int64_t> shape(x.sizes().begin(), x.sizes().end());
  shape.back() = weight.size(0);
  y = torch::stable::new_empty(x, shape);
  pre = torch::stable::new_empty(x, saves ? shape : std::vector<int64_t>{0});
}

LinearAct Linear::problem() const {
  return {type_of("linear_act", x), activation, rows_of(x), weight.size(0), weight.size(1), y.mutable_data_ptr(),
          saves ? pre.mutable_data_ptr() : nullptr, x.const_data_ptr(), weight.const_data_ptr(), bias.const_data_ptr()};
}

void Linear::compose() {
  const Tensor product = torch::stable::matmul(x, torch::stable::transpose(weight, 0, 1));
  const auto apply = x.is_cuda() ? apply_cuda : apply_cpu;
  apply("linear_act", y, saves ? &pre : nullptr, product, bias, activation);
}

std::tuple<Tensor, Tensor> linear_act_cpu(const Tensor& x, const Tensor& weight, const Tensor& bias,
                                          std::string_view activation, bool save) {
  Linear linear(x, weight, bias, activation, save);
  linear.compose();
  return {linear.y, linear.pre};
}

std::tuple<Tensor, Tensor> linear_act_cuda(const Tensor& x, const Tensor& weight, const Tensor& bias,
                                           std::string_view activation, bool save) {
  const gpuwheel::DeviceGuard guard(x);
  Linear linear(x, weight, bias, activation, save);
  const LinearAct problem = linear.problem();
  cutlass_takes(problem, x.get_device_index()) ? launch_cutlass(problem, stream_of(x)) : linear.compose();
  return {linear.y, linear.pre};
}

// ---- bias and activation

Tensor bias_act_cpu(const Tensor& x_, const Tensor& bias_, std::string_view activation) {
  check_bias_act(x_, bias_);
  const Tensor x = gpuwheel::contiguous(x_), bias = gpuwheel::contiguous(bias_);
  Tensor y = empty_like(x);
  apply_cpu("bias_act", y, nullptr, x, bias, activation_of("bias_act", activation));
  return y;
}

Tensor bias_act_cuda(const Tensor& x_, const Tensor& bias_, std::string_view activation) {
  check_bias_act(x_, bias_);
  const gpuwheel::DeviceGuard guard(x_);
  const Tensor x = gpuwheel::contiguous(x_), bias = gpuwheel::contiguous(bias_);
  Tensor y = empty_like(x);
  apply_cuda("bias_act", y, nullptr, x, bias, activation_of("bias_act", activation));
  return y;
}

// ---- the derivative

Tensor act_backward_cpu(const Tensor& grad_, const Tensor& saved_, const std::optional<Tensor>& bias_,
                        std::string_view activation) {
  check_act_backward(grad_, saved_, bias_);
  const Tensor grad = gpuwheel::contiguous(grad_), saved = gpuwheel::contiguous(saved_);
  const std::optional<Tensor> bias = bias_ ? std::optional(gpuwheel::contiguous(*bias_)) : std::nullopt;
  Tensor grad_x = empty_like(grad);
  gpuwheel::dispatch<gpuwheel::FloatsAndDouble>("act_backward", grad, [&](auto zero) {
    using T = decltype(zero);
    using A = accumulate_t<T>;
    T* out = grad_x.mutable_data_ptr<T>();
    const T *g = grad.const_data_ptr<T>(), *s = saved.const_data_ptr<T>(),
            *b = bias ? bias->const_data_ptr<T>() : nullptr;
    with_activation(activation_of("act_backward", activation), [&](auto act) {
      for_elements(rows_of(grad), grad.size(-1), [&](int64_t i, int64_t column) {
        const A z = static_cast<A>(s[i]) + (b != nullptr ? static_cast<A>(b[column]) : A(0));
        out[i] = static_cast<T>(static_cast<A>(g[i]) * decltype(act)::derivative(z));
      });
    });
  });
  return grad_x;
}

Tensor act_backward_cuda(const Tensor& grad_, const Tensor& saved_, const std::optional<Tensor>& bias_,
                         std::string_view activation) {
  check_act_backward(grad_, saved_, bias_);
  const gpuwheel::DeviceGuard guard(grad_);
  const Tensor grad = gpuwheel::contiguous(grad_), saved = gpuwheel::contiguous(saved_);
  const std::optional<Tensor> bias = bias_ ? std::optional(gpuwheel::contiguous(*bias_)) : std::nullopt;
  Tensor grad_x = empty_like(grad);
  launch_act_backward({type_of("act_backward", grad), activation_of("act_backward", activation), rows_of(grad),
                       grad.size(-1), grad_x.mutable_data_ptr(), grad.const_data_ptr(), saved.const_data_ptr(),
                       bias ? bias->const_data_ptr() : nullptr},
                      stream_of(grad));
  return grad_x;
}
