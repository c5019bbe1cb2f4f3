#include "add_rms_norm.h"

#include "rows.h"

namespace {

constexpr int64_t kMostShared = 64 * 1024;  // bytes that a block can have on every architecture
constexpr int64_t kMostParts = 64;          // of the CPU's sums over rows

}  // namespace

std::tuple<Tensor, Tensor, Tensor> add_rms_norm(const Tensor& x_, const Tensor& residual_, const Tensor& weight_,
                                                double eps) {
  constexpr const char* op = "add_rms_norm";
  check_rows(op, {{"x", x_}, {"residual", residual_}}, {"weight", weight_});
  const Tensor x = gpuwheel::contiguous(x_), residual = gpuwheel::contiguous(residual_);
  const Tensor weight = gpuwheel::contiguous(weight_);
  const int64_t size = x.size(-1), rows = row_count(x);
  const std::vector<int64_t> row_shape(x.sizes().begin(), x.sizes().end() - 1);
  Tensor y = torch::stable::empty_like(x), sum = torch::stable::empty_like(x);
  Tensor scale = torch::stable::new_empty(x, row_shape, accumulate_type(x));
  const auto cuda = [&](auto zero) {
    using T = decltype(zero);
    const auto launch = [&](auto n) {
      const Block block = block_for(size / n);
      const int64_t blocks = ceil_div(rows, block.rows);
      kernels::add_rms_norm<T, n>.launch({blocks, {block.threads, block.rows}, gpuwheel::current_stream(x)}, out<T>(y),
                                         out<T>(sum), out<float>(scale), in<T>(x), in<T>(residual), in<T>(weight), rows,
                                         size, static_cast<float>(eps));
    };
    with_vectors<T>(size, launch, y, sum, x, residual, weight);
  };
  const auto cpu = [&](auto zero) {
    using T = decltype(zero);
    using A = gpuwheel::accumulate_t<T>;
    parallel(rows, size, [&, scales = out<A>(scale), weights = in<T>(weight)](int64_t row) {
      const T *xs = in<T>(x) + row * size, *residuals = in<T>(residual) + row * size;
      T *ys = out<T>(y) + row * size, *sums = out<T>(sum) + row * size;
      for (int64_t i = 0; i < size; ++i) sums[i] = static_cast<T>(static_cast<A>(xs[i]) + static_cast<A>(residuals[i]));
      const auto s = [&](int64_t i) { return static_cast<A>(sums[i]); };
      const A squares = sum_of<A>(size, [&](int64_t i) { return s(i) * s(i); });
      scales[row] = AddRmsNorm<A>::scale(squares, static_cast<A>(size), static_cast<A>(eps));
      for (int64_t i = 0; i < size; ++i) ys[i] = static_cast<T>(s(i) * scales[row] * static_cast<A>(weights[i]));
    });
  };
  dispatch(op, x, cuda, cpu);
  return {y, sum, scale};
}

std::tuple<Tensor, Tensor> add_rms_norm_backward(const Tensor& grad_y_, const std::optional<Tensor>& grad_sum_,
                                                 const Tensor& sum_, const Tensor& weight_, const Tensor& scale_) {
  constexpr const char* op = "add_rms_norm_backward";
  const Tensor& through_ = grad_sum_ ? *grad_sum_ : grad_y_;  // checked alike, read only if it is given
  check_rows(op, {{"sum", sum_}, {"grad_y", grad_y_}, {"grad_sum", through_}}, {"weight", weight_});
  gpuwheel::check_same_device(op, {{"sum", sum_}, {"scale", scale_}});
  gpuwheel::check_dtype(op, {"scale", scale_}, accumulate_type(sum_));
  const int64_t size = sum_.size(-1), rows = row_count(sum_);
  STD_TORCH_CHECK(size == 0 || scale_.numel() == rows, op, ": scale has ", scale_.numel(), " elements, ", rows,
                  " are expected");
  const Tensor grad_y = gpuwheel::contiguous(grad_y_), through = gpuwheel::contiguous(through_);
  const Tensor sum = gpuwheel::contiguous(sum_), weight = gpuwheel::contiguous(weight_);
  const Tensor scale = gpuwheel::contiguous(scale_);
  Tensor grad_x = torch::stable::empty_like(sum);
  Tensor partials = torch::stable::new_empty(sum, {0, size}, scale.scalar_type());  // in each row the sum of some rows
  const auto cuda = [&](auto zero) {
    using T = decltype(zero);
    const auto launch = [&](auto n) {
      const gpuwheel::Stream stream = gpuwheel::current_stream(sum);
      const Block block = block_for(size / n);
      namespace driver = gpuwheel::driver;
      const int64_t processors = driver::device_attribute(driver::kMultiprocessorCount, stream.device);
      const int64_t most_blocks = processors * (kMostThreads / (block.threads * block.rows));
      const int64_t blocks = std::min(ceil_div(rows, block.rows), most_blocks);
      const int64_t shared = block.rows * size * static_cast<int64_t>(sizeof(float));
      const bool in_shared = shared <= kMostShared;
      partials = torch::stable::new_empty(sum, {blocks, size}, scale.scalar_type());
      kernels::add_rms_norm_backward<T, n>.launch(
          {blocks, {block.threads, block.rows}, stream, static_cast<unsigned>(in_shared ? shared : 0)}, out<T>(grad_x),
          out<float>(partials), in<T>(grad_y), grad_sum_ ? in<T>(through) : nullptr, in<T>(sum), in<T>(weight),
          in<float>(scale), rows, size, static_cast<int>(in_shared));
    };
    with_vectors<T>(size, launch, grad_x, grad_y, through, sum, weight);
  };
  const auto cpu = [&](auto zero) {
    using T = decltype(zero);
    using A = gpuwheel::accumulate_t<T>;
    using Op = AddRmsNorm<A>;
    const int64_t parts = std::min(rows, kMostParts);
    partials = torch::stable::new_zeros(sum, {parts, size}, scale.scalar_type());
    parallel(parts, ceil_div(rows, parts) * size, [&, weights = in<T>(weight)](int64_t part) {
      A* weight_grads = out<A>(partials) + part * size;
      for (int64_t row = part; row < rows; row += parts) {
        const T *grads = in<T>(grad_y) + row * size, *throughs = in<T>(through) + row * size;
        const T* sums = in<T>(sum) + row * size;
        T* grad_xs = out<T>(grad_x) + row * size;
        const A factor = in<A>(scale)[row];
        const auto g = [&](int64_t i) { return static_cast<A>(grads[i]); };
        const auto w = [&](int64_t i) { return static_cast<A>(weights[i]); };
        const auto normalised = [&](int64_t i) { return static_cast<A>(sums[i]) * factor; };
        const auto projection = [&](int64_t i) { return Op::projection(g(i), w(i), normalised(i)); };
        const A mean = sum_of<A>(size, projection) / static_cast<A>(size);
        for (int64_t i = 0; i < size; ++i) {
          const A value = Op::gradient(g(i), w(i), normalised(i), factor, mean);
          grad_xs[i] = static_cast<T>(grad_sum_ ? value + static_cast<A>(throughs[i]) : value);
          weight_grads[i] += g(i) * normalised(i);
        }
      }
    });
  };
  dispatch(op, sum, cuda, cpu);
  const std::vector<int64_t> over_parts = {0};
  return {grad_x, torch::stable::to(torch::stable::sum(partials, over_parts), weight.scalar_type())};
}
