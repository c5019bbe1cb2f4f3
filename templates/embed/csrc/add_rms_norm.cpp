#include "add_rms_norm.h"

#include "host.h"

namespace {

constexpr int64_t kWarp = 32;
constexpr int64_t kMostThreads = 1024;         // of a block, and per multiprocessor in the backward
constexpr int64_t kMostShared = 64 * 1024;     // bytes that a block of every architecture can have
constexpr int64_t kMostParts = 64;             // of the CPU's sums over rows

struct Block {
  int64_t threads, rows;
};

// For rows of `vectors` vectors. It depends on nothing else, so a row gives the same bits whatever is beside it.
Block block_for(int64_t vectors) {
  if (vectors <= 4 * kWarp) return {kWarp, 4};
  return {std::min(kMostThreads, kWarp * ceil_div(vectors, 2 * kWarp)), 1};
}

// f(0) + ... + f(size - 1) in sixteen interleaved sums: faster, and more exact than one after the other.
template <typename A, typename F>
A sum_of(int64_t size, const F& f) {
  constexpr int kLanes = 16;
  A lanes[kLanes] = {}, total = 0;
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] += f(i + lane);
  }
  for (; i < size; ++i) lanes[i % kLanes] += f(i);
  for (const A lane : lanes) total += lane;
  return total;
}

}  // namespace

std::tuple<Tensor, Tensor, Tensor> add_rms_norm(const Tensor& x_, const Tensor& residual_, const Tensor& weight_, double eps) {
  constexpr const char* op = "add_rms_norm";
  gpuwheel::check_min_dim(op, {"x", x_}, 1);
  gpuwheel::check_same_device(op, {{"x", x_}, {"residual", residual_}, {"weight", weight_}});
  gpuwheel::check_same_dtype(op, {{"x", x_}, {"residual", residual_}, {"weight", weight_}});
  gpuwheel::check_same_shape(op, {{"x", x_}, {"residual", residual_}});
  gpuwheel::check_shape(op, {"weight", weight_}, {x_.size(-1)});
  const Tensor x = gpuwheel::contiguous(x_), residual = gpuwheel::contiguous(residual_), weight = gpuwheel::contiguous(weight_);
  const int64_t size = x.size(-1), rows = size == 0 ? 0 : x.numel() / size;
  const std::vector<int64_t> row_shape(x.sizes().begin(), x.sizes().end() - 1);
  const bool wide = x.scalar_type() == gpuwheel::scalar_type<double>;
  Tensor y = torch::stable::empty_like(x), sum = torch::stable::empty_like(x);
  Tensor scale = torch::stable::new_empty(x, row_shape, wide ? gpuwheel::scalar_type<double> : gpuwheel::scalar_type<float>);
  const auto cuda = [&](auto zero) {
    using T = decltype(zero);
    const auto launch = [&](auto n) {
      const Block block = block_for(size / n);
      kernels::add_rms_norm<T, n>.launch({ceil_div(rows, block.rows), {block.threads, block.rows}, gpuwheel::current_stream(x)},
                                         y.mutable_data_ptr<T>(), sum.mutable_data_ptr<T>(), scale.mutable_data_ptr<float>(),
                                         x.const_data_ptr<T>(), residual.const_data_ptr<T>(), weight.const_data_ptr<T>(), rows, size,
                                         static_cast<float>(eps));
    };
    with_vectors<T>(size, launch, y, sum, x, residual, weight);
  };
  const auto cpu = [&](auto zero) {
    using T = decltype(zero);
    using A = gpuwheel::accumulate_t<T>;
    parallel(rows, size, [&, scales = scale.mutable_data_ptr<A>()](int64_t row) {
      const T *xs = x.const_data_ptr<T>() + row * size, *residuals = residual.const_data_ptr<T>() + row * size;
      const T* weights = weight.const_data_ptr<T>();
      T *ys = y.mutable_data_ptr<T>() + row * size, *sums = sum.mutable_data_ptr<T>() + row * size;
      for (int64_t i = 0; i < size; ++i) sums[i] = static_cast<T>(static_cast<A>(xs[i]) + static_cast<A>(residuals[i]));
      const A squares = sum_of<A>(size, [&](int64_t i) { return static_cast<A>(sums[i]) * static_cast<A>(sums[i]); });
      const A factor = scales[row] = AddRmsNorm<A>::scale(squares, static_cast<A>(size), static_cast<A>(eps));
      for (int64_t i = 0; i < size; ++i) ys[i] = static_cast<T>(static_cast<A>(sums[i]) * factor * static_cast<A>(weights[i]));
    });
  };
  dispatch(op, x, cuda, cpu);
  return {y, sum, scale};
}

std::tuple<Tensor, Tensor> add_rms_norm_backward(const Tensor& grad_y_, const std::optional<Tensor>& grad_sum_, const Tensor& sum_,
                                                 const Tensor& weight_, const Tensor& scale_) {
  constexpr const char* op = "add_rms_norm_backward";
  const Tensor& through_ = grad_sum_ ? *grad_sum_ : grad_y_;  // checked alike, read only if it is given
  gpuwheel::check_min_dim(op, {"sum", sum_}, 1);
  gpuwheel::check_same_device(op, {{"sum", sum_}, {"grad_y", grad_y_}, {"grad_sum", through_}, {"weight", weight_}, {"scale", scale_}});
  gpuwheel::check_same_dtype(op, {{"sum", sum_}, {"grad_y", grad_y_}, {"grad_sum", through_}, {"weight", weight_}});
  gpuwheel::check_same_shape(op, {{"sum", sum_}, {"grad_y", grad_y_}, {"grad_sum", through_}});
  gpuwheel::check_shape(op, {"weight", weight_}, {sum_.size(-1)});
  const Tensor grad_y = gpuwheel::contiguous(grad_y_), through = gpuwheel::contiguous(through_), sum = gpuwheel::contiguous(sum_), weight = gpuwheel::contiguous(weight_);
  const Tensor scale = gpuwheel::contiguous(scale_);
  const int64_t size = sum.size(-1), rows = size == 0 ? 0 : sum.numel() / size;
  Tensor grad_x = torch::stable::empty_like(sum);
  Tensor partials = torch::stable::new_empty(sum, {0, size}, scale.scalar_type());  // each row: sums over some of the rows
  const auto cuda = [&](auto zero) {
    using T = decltype(zero);
    const auto launch = [&](auto n) {
      const gpuwheel::Stream stream = gpuwheel::current_stream(sum);
      const Block block = block_for(size / n);
      const int64_t processors = gpuwheel::driver::device_attribute(gpuwheel::driver::kMultiprocessorCount, stream.device);
      const int64_t blocks = std::min(ceil_div(rows, block.rows), processors * (kMostThreads / (block.threads * block.rows)));
      const int64_t shared = block.rows * size * static_cast<int64_t>(sizeof(float));
      const bool in_shared = shared <= kMostShared;
      partials = torch::stable::new_empty(sum, {blocks, size}, scale.scalar_type());
      kernels::add_rms_norm_backward<T, n>.launch(
          {blocks, {block.threads, block.rows}, stream, static_cast<unsigned>(in_shared ? shared : 0)}, grad_x.mutable_data_ptr<T>(),
          partials.mutable_data_ptr<float>(), grad_y.const_data_ptr<T>(), grad_sum_ ? through.const_data_ptr<T>() : nullptr,
          sum.const_data_ptr<T>(), weight.const_data_ptr<T>(), scale.const_data_ptr<float>(), rows, size, static_cast<int>(in_shared));
    };
    with_vectors<T>(size, launch, grad_x, grad_y, through, sum, weight);
  };
  const auto cpu = [&](auto zero) {
    using T = decltype(zero);
    using A = gpuwheel::accumulate_t<T>;
    using Op = AddRmsNorm<A>;
    const int64_t parts = std::min(rows, kMostParts);
    partials = torch::stable::new_zeros(sum, {parts, size}, scale.scalar_type());
    const T *grads = grad_y.const_data_ptr<T>(), *throughs = through.const_data_ptr<T>(), *sums = sum.const_data_ptr<T>();
    const T* weights = weight.const_data_ptr<T>();
    const A* scales = scale.const_data_ptr<A>();
    T* grad_xs = grad_x.mutable_data_ptr<T>();
    parallel(parts, ceil_div(rows, parts) * size, [&, all = partials.mutable_data_ptr<A>()](int64_t part) {
      A* weight_grads = all + part * size;
      for (int64_t row = part; row < rows; row += parts) {
        const int64_t start = row * size;
        const auto grad = [&](int64_t i) { return static_cast<A>(grads[start + i]); };
        const auto weight_at = [&](int64_t i) { return static_cast<A>(weights[i]); };
        const auto normalised = [&](int64_t i) { return static_cast<A>(sums[start + i]) * scales[row]; };
        const A mean = sum_of<A>(size, [&](int64_t i) { return Op::projection(grad(i), weight_at(i), normalised(i)); }) / static_cast<A>(size);
        for (int64_t i = 0; i < size; ++i) {
          const A value = Op::gradient(grad(i), weight_at(i), normalised(i), scales[row], mean);
          grad_xs[start + i] = static_cast<T>(grad_sum_ ? value + static_cast<A>(throughs[start + i]) : value);
          weight_grads[i] += grad(i) * normalised(i);
        }
      }
    });
  };
  dispatch(op, sum, cuda, cpu);
  const std::vector<int64_t> over_parts = {0};
  return {grad_x, torch::stable::to(torch::stable::sum(partials, over_parts), weight.scalar_type())};
}
