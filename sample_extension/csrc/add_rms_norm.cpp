#include "add_rms_norm.h"

#include <gpuwheel/torch.h>

#include <tuple>

#include "cpu.h"
#include "fused.kernels.h"
#include "launches.h"

namespace gpuwheel_sample {
namespace {

using gpuwheel::Tensor;
using torch::stable::empty_like;

constexpr const char* kName = "add_rms_norm";
constexpr const char* kBackward = "add_rms_norm_backward";

// One number per row: the factor that normalised it.
std::vector<int64_t> row_shape(const Tensor& x) {
  const auto sizes = x.sizes();
  return {sizes.begin(), sizes.end() - 1};
}

void check(const Tensor& x, const Tensor& residual, const Tensor& weight) {
  gpuwheel::check_min_dim(kName, {"x", x}, 1);
  gpuwheel::check_same_device(kName, {{"x", x}, {"residual", residual}, {"weight", weight}});
  gpuwheel::check_same_dtype(kName, {{"x", x}, {"residual", residual}, {"weight", weight}});
  gpuwheel::check_same_shape(kName, {{"x", x}, {"residual", residual}});
  gpuwheel::check_shape(kName, {"weight", weight}, {x.size(-1)});
}

template <typename T>
void forward_cuda(Tensor& y, Tensor& sum, Tensor& scale, const Tensor& x, const Tensor& residual, const Tensor& weight, double eps) {
  constexpr int VEC = 16 / sizeof(T);
  const int64_t size = x.size(-1), rows = x.numel() / size;
  const bool vectors = vectors_fit<T>(size, y, sum, x, residual, weight);
  const RowBlock block = row_block(vectors ? size / VEC : size, vectors);
  const int64_t grid = std::min<int64_t>(ceil_div(rows, block.rows), kLargestGrid);
  const gpuwheel::LaunchConfig config{grid, {block.threads, block.rows}, gpuwheel::current_stream(x)};
  const auto launch = [&](auto& kernel) {
    kernel.launch(config, y.mutable_data_ptr<T>(), sum.mutable_data_ptr<T>(), scale.mutable_data_ptr<float>(), x.const_data_ptr<T>(),
                  residual.const_data_ptr<T>(), weight.const_data_ptr<T>(), rows, row_size(kName, size), static_cast<float>(eps));
  };
  if (!vectors) return launch(kernels::add_rms_norm_long<T, 1>);
  block.held ? launch(kernels::add_rms_norm<T, VEC>) : launch(kernels::add_rms_norm_long<T, VEC>);
}

template <typename T>
void forward_cpu(Tensor& y, Tensor& sum, Tensor& scale, const Tensor& x, const Tensor& residual, const Tensor& weight, double eps) {
  using A = accumulate_t<T>;
  using Op = AddRmsNorm<A>;
  const int64_t size = x.size(-1);
  const T *xs = x.const_data_ptr<T>(), *residuals = residual.const_data_ptr<T>(), *weights = weight.const_data_ptr<T>();
  T *ys = y.mutable_data_ptr<T>(), *sums = sum.mutable_data_ptr<T>();
  A* scales = scale.mutable_data_ptr<A>();
  cpu::for_rows(x.numel() / size, size, [&](int64_t row) {
    const int64_t offset = row * size;
    const auto value = [&](int64_t i) { return static_cast<A>(xs[offset + i]) + static_cast<A>(residuals[offset + i]); };
    const A squares = cpu::sum<A>(size, [&](int64_t i) { return value(i) * value(i); });
    const A factor = scales[row] = Op::scale(squares, static_cast<A>(size), static_cast<A>(eps));
    for (int64_t i = 0; i < size; ++i) {
      sums[offset + i] = static_cast<T>(value(i));
      ys[offset + i] = static_cast<T>(Op::output(value(i), factor, static_cast<A>(weights[i])));
    }
  });
}

std::tuple<Tensor, Tensor, Tensor> add_rms_norm_cuda(const Tensor& x_, const Tensor& residual_, const Tensor& weight_, double eps) {
  check(x_, residual_, weight_);
  const gpuwheel::DeviceGuard guard(x_);
  const Tensor x = gpuwheel::contiguous(x_), residual = gpuwheel::contiguous(residual_), weight = gpuwheel::contiguous(weight_);
  Tensor y = empty_like(x), sum = empty_like(x);
  Tensor scale = torch::stable::new_empty(x, row_shape(x), torch::headeronly::ScalarType::Float);
  gpuwheel::dispatch<gpuwheel::Floats>(kName, x, [&](auto zero) {
    if (x.numel() != 0) forward_cuda<decltype(zero)>(y, sum, scale, x, residual, weight, eps);
  });
  return {y, sum, scale};
}

std::tuple<Tensor, Tensor, Tensor> add_rms_norm_cpu(const Tensor& x_, const Tensor& residual_, const Tensor& weight_, double eps) {
  check(x_, residual_, weight_);
  const Tensor x = gpuwheel::contiguous(x_), residual = gpuwheel::contiguous(residual_), weight = gpuwheel::contiguous(weight_);
  Tensor y = empty_like(x), sum = empty_like(x), scale;
  gpuwheel::dispatch<gpuwheel::FloatsAndDouble>(kName, x, [&](auto zero) {
    using T = decltype(zero);
    scale = torch::stable::new_empty(x, row_shape(x), gpuwheel::scalar_type<accumulate_t<T>>);
    if (x.numel() != 0) forward_cpu<T>(y, sum, scale, x, residual, weight, eps);
  });
  return {y, sum, scale};
}

void check_backward(const Tensor& grad_y, const std::optional<Tensor>& grad_sum, const Tensor& sum, const Tensor& weight, const Tensor& scale) {
  const Tensor& through = grad_sum ? *grad_sum : grad_y;
  gpuwheel::check_min_dim(kBackward, {"sum", sum}, 1);
  gpuwheel::check_same_device(kBackward, {{"sum", sum}, {"grad_y", grad_y}, {"grad_sum", through}, {"weight", weight}, {"scale", scale}});
  gpuwheel::check_same_dtype(kBackward, {{"sum", sum}, {"grad_y", grad_y}, {"grad_sum", through}, {"weight", weight}});
  gpuwheel::check_same_shape(kBackward, {{"sum", sum}, {"grad_y", grad_y}, {"grad_sum", through}});
  gpuwheel::check_shape(kBackward, {"weight", weight}, {sum.size(-1)});
}

template <typename T>
void backward_cuda(Tensor& grad_x, Tensor& grad_weight, const Tensor& grad_y, const std::optional<Tensor>& grad_sum, const Tensor& sum,
                   const Tensor& weight, const Tensor& scale) {
  constexpr int VEC = 16 / sizeof(T);
  const int64_t size = sum.size(-1), rows = sum.numel() / size;
  const gpuwheel::Stream stream = gpuwheel::current_stream(sum);
  const bool vectors = vectors_fit<T>(size, grad_x, grad_y, grad_sum ? *grad_sum : grad_y, sum, weight);
  const RowBlock block = row_block(vectors ? size / VEC : size, vectors);
  const int64_t grid = filling_grid(ceil_div(rows, block.rows), kRowThreads / (block.threads * block.rows), stream.device);
  Tensor partials = torch::stable::new_empty(sum, {grid, size}, torch::headeronly::ScalarType::Float);
  const gpuwheel::LaunchConfig config{grid, {block.threads, block.rows}, stream};
  const auto launch = [&](auto& kernel) {
    kernel.launch(config, grad_x.mutable_data_ptr<T>(), partials.mutable_data_ptr<float>(), grad_y.const_data_ptr<T>(),
                  grad_sum ? grad_sum->const_data_ptr<T>() : nullptr, sum.const_data_ptr<T>(), weight.const_data_ptr<T>(),
                  scale.const_data_ptr<float>(), rows, row_size(kBackward, size));
  };
  if (!vectors) {
    launch(kernels::add_rms_norm_backward_long<T, 1>);
  } else {
    block.held ? launch(kernels::add_rms_norm_backward<T, VEC>) : launch(kernels::add_rms_norm_backward_long<T, VEC>);
  }
  sum_partials<T>(grad_weight, partials, stream);
}

template <typename T>
void backward_cpu(Tensor& grad_x, Tensor& grad_weight, const Tensor& grad_y, const std::optional<Tensor>& grad_sum, const Tensor& sum,
                  const Tensor& weight, const Tensor& scale) {
  using A = accumulate_t<T>;
  using Op = AddRmsNorm<A>;
  const int64_t size = sum.size(-1), rows = sum.numel() / size;
  const T *grads = grad_y.const_data_ptr<T>(), *through = grad_sum ? grad_sum->const_data_ptr<T>() : nullptr;
  const T *sums = sum.const_data_ptr<T>(), *weights = weight.const_data_ptr<T>();
  const A* scales = scale.const_data_ptr<A>();
  T* grad_xs = grad_x.mutable_data_ptr<T>();
  cpu::sum_columns(rows, size, grad_weight.mutable_data_ptr<T>(), [&](int64_t row, A* weight_grads) {
    const int64_t offset = row * size;
    const A factor = scales[row];
    const auto grad = [&](int64_t i) { return static_cast<A>(grads[offset + i]); };
    const auto normalised = [&](int64_t i) { return static_cast<A>(sums[offset + i]) * factor; };
    const auto weight_at = [&](int64_t i) { return static_cast<A>(weights[i]); };
    const A mean = cpu::sum<A>(size, [&](int64_t i) { return Op::projection(grad(i), weight_at(i), normalised(i)); }) / static_cast<A>(size);
    for (int64_t i = 0; i < size; ++i) {
      const A value = Op::input_gradient(grad(i), weight_at(i), normalised(i), factor, mean);
      grad_xs[offset + i] = static_cast<T>(through ? value + static_cast<A>(through[offset + i]) : value);
      weight_grads[i] += Op::weight_gradient(grad(i), normalised(i));
    }
  });
}

std::tuple<Tensor, Tensor> add_rms_norm_backward_cuda(const Tensor& grad_y_, const std::optional<Tensor>& grad_sum_, const Tensor& sum_,
                                                      const Tensor& weight_, const Tensor& scale_) {
  check_backward(grad_y_, grad_sum_, sum_, weight_, scale_);
  gpuwheel::check_dtype(kBackward, {"scale", scale_}, torch::headeronly::ScalarType::Float);
  const gpuwheel::DeviceGuard guard(sum_);
  const Tensor grad_y = gpuwheel::contiguous(grad_y_), sum = gpuwheel::contiguous(sum_), weight = gpuwheel::contiguous(weight_), scale = gpuwheel::contiguous(scale_);
  const std::optional<Tensor> grad_sum = grad_sum_ ? std::optional(gpuwheel::contiguous(*grad_sum_)) : std::nullopt;
  Tensor grad_x = empty_like(sum), grad_weight = empty_like(weight);
  if (sum.numel() == 0) torch::stable::zero_(grad_weight);
  gpuwheel::dispatch<gpuwheel::Floats>(kBackward, sum, [&](auto zero) {
    if (sum.numel() != 0) backward_cuda<decltype(zero)>(grad_x, grad_weight, grad_y, grad_sum, sum, weight, scale);
  });
  return {grad_x, grad_weight};
}

std::tuple<Tensor, Tensor> add_rms_norm_backward_cpu(const Tensor& grad_y_, const std::optional<Tensor>& grad_sum_, const Tensor& sum_,
                                                     const Tensor& weight_, const Tensor& scale_) {
  check_backward(grad_y_, grad_sum_, sum_, weight_, scale_);
  const Tensor grad_y = gpuwheel::contiguous(grad_y_), sum = gpuwheel::contiguous(sum_), weight = gpuwheel::contiguous(weight_), scale = gpuwheel::contiguous(scale_);
  const std::optional<Tensor> grad_sum = grad_sum_ ? std::optional(gpuwheel::contiguous(*grad_sum_)) : std::nullopt;
  Tensor grad_x = empty_like(sum), grad_weight = empty_like(weight);
  if (sum.numel() == 0) torch::stable::zero_(grad_weight);
  gpuwheel::dispatch<gpuwheel::FloatsAndDouble>(kBackward, sum, [&](auto zero) {
    using T = decltype(zero);
    gpuwheel::check_dtype(kBackward, {"scale", scale}, gpuwheel::scalar_type<accumulate_t<T>>);
    if (sum.numel() != 0) backward_cpu<T>(grad_x, grad_weight, grad_y, grad_sum, sum, weight, scale);
  });
  return {grad_x, grad_weight};
}

}  // namespace
}  // namespace gpuwheel_sample

STABLE_TORCH_LIBRARY_FRAGMENT(gpuwheel_sample, m) {
  m.def("add_rms_norm(Tensor x, Tensor residual, Tensor weight, float eps) -> (Tensor y, Tensor sum, Tensor scale)");
  m.def(
      "add_rms_norm_backward(Tensor grad_y, Tensor? grad_sum, Tensor sum, Tensor weight, Tensor scale) -> "
      "(Tensor grad_x, Tensor grad_weight)");
}
STABLE_TORCH_LIBRARY_IMPL(gpuwheel_sample, CPU, m) {
  m.impl("add_rms_norm", TORCH_BOX(&gpuwheel_sample::add_rms_norm_cpu));
  m.impl("add_rms_norm_backward", TORCH_BOX(&gpuwheel_sample::add_rms_norm_backward_cpu));
}
STABLE_TORCH_LIBRARY_IMPL(gpuwheel_sample, CUDA, m) {
  m.impl("add_rms_norm", TORCH_BOX(&gpuwheel_sample::add_rms_norm_cuda));
  m.impl("add_rms_norm_backward", TORCH_BOX(&gpuwheel_sample::add_rms_norm_backward_cuda));
}
