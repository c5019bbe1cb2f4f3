#include "cross_entropy.h"

#include <gpuwheel/torch.h>

#include <limits>
#include <optional>
#include <string_view>
#include <tuple>

#include "cpu.h"
#include "fused.kernels.h"
#include "launches.h"

namespace gpuwheel_sample {
namespace {

using gpuwheel::Tensor;
using torch::headeronly::ScalarType;
using torch::stable::empty_like;
using torch::stable::new_empty;

constexpr const char* kName = "cross_entropy";
constexpr const char* kBackward = "cross_entropy_backward";

enum class Reduction { kNone, kMean, kSum };

Reduction reduction_of(std::string_view name) {
  STD_TORCH_CHECK(name == "none" || name == "mean" || name == "sum", kName, ": reduction is '", std::string(name),
                  "', 'mean', 'sum' or 'none' is expected");
  return name == "none" ? Reduction::kNone : name == "mean" ? Reduction::kMean : Reduction::kSum;
}

std::vector<int64_t> row_shape(const Tensor& logits) {
  const auto sizes = logits.sizes();
  return {sizes.begin(), sizes.end() - 1};
}

void check(const Tensor& logits, const Tensor& target) {
  gpuwheel::check_min_dim(kName, {"logits", logits}, 1);
  gpuwheel::check_same_device(kName, {{"logits", logits}, {"target", target}});
  gpuwheel::check_dtype(kName, {"target", target}, ScalarType::Long);
  STD_TORCH_CHECK(gpuwheel::same_sizes(target.sizes(), row_shape(logits)), kName, ": target has shape ",
                  gpuwheel::shape_text(target.sizes()), ", ", gpuwheel::shape_text(row_shape(logits)),
                  " is expected: that of logits without the classes");
  STD_TORCH_CHECK(logits.size(-1) > 0 || target.numel() == 0, kName, ": logits has no classes: its last dimension is 0");
}

// What the forward returns.
struct Outputs {
  Tensor loss;      // one number, or one per row
  Tensor gradient;  // of the sum of losses, GradientScale times; empty if not asked for
  Tensor valid;     // how many targets count, where the loss is their mean; else empty
  Tensor losses;    // one per row: `loss` itself if nothing is reduced

  Outputs(const Tensor& logits, Reduction reduction, bool with_gradient, ScalarType wide)
      : loss(reduction == Reduction::kNone ? new_empty(logits, row_shape(logits), wide) : new_empty(logits, {}, wide)),
        gradient(with_gradient ? empty_like(logits) : new_empty(logits, {0})),
        valid(reduction == Reduction::kMean ? new_empty(logits, {}, wide) : new_empty(logits, {0}, wide)),
        losses(reduction == Reduction::kNone ? loss : new_empty(logits, row_shape(logits), wide)) {}
};

// How a row is read: threads, and bytes of it that stay in shared memory for the second pass.
struct LossBlock {
  int64_t threads, shared_bytes;
};

LossBlock loss_block(int64_t row_bytes, int64_t vectors, bool with_gradient, int device) {
  constexpr int64_t kReserved = 2048;       // static shared memory and what the driver takes
  constexpr int64_t kCached = 96 * 1024;    // of a row per block that the L2 cache is trusted to keep
  const int64_t threads = std::min<int64_t>(kLossThreads, ceil_div(vectors, 32) * 32);
  if (!with_gradient) return {std::max<int64_t>(32, threads), 0};
  const int64_t all = gpuwheel::driver::device_attribute(gpuwheel::driver::kMaxSharedPerBlockOptin, device);
  const int64_t half = all / 2 - kReserved;
  if (row_bytes <= half + kCached) return {std::max<int64_t>(32, threads), std::min(half, row_bytes) / 16 * 16};  // two blocks share a multiprocessor
  return {kLongLossThreads, std::min(all - kReserved, row_bytes) / 16 * 16};
}

const long long* indices(const Tensor& target) {
  static_assert(sizeof(long long) == sizeof(int64_t));  // the type of 64-bit integers in device code
  return reinterpret_cast<const long long*>(target.const_data_ptr<int64_t>());
}

template <typename T>
void forward_cuda(Outputs& out, const Tensor& logits, const Tensor& target, int64_t ignore_index, bool with_gradient) {
  constexpr int VEC = 16 / sizeof(T);
  const int64_t size = logits.size(-1), rows = logits.numel() / size;
  const gpuwheel::Stream stream = gpuwheel::current_stream(logits);
  // The logits' rows may begin anywhere: the kernel finds the vectors in them. The gradient's must begin in step.
  const bool vectors = !with_gradient || gpuwheel::aligned(16, logits, out.gradient);
  const LossBlock block = loss_block(size * static_cast<int64_t>(sizeof(T)), vectors ? ceil_div(size, VEC) : size, with_gradient, stream.device);
  gpuwheel::LaunchConfig config{std::min(rows, kLargestGrid), block.threads, stream};
  config.shared_bytes = static_cast<unsigned>(block.shared_bytes);
  const auto launch = [&](auto& kernel, int64_t vector_bytes) {
    kernel.launch(config, out.losses.mutable_data_ptr<float>(), with_gradient ? out.gradient.mutable_data_ptr<T>() : nullptr,
                  logits.const_data_ptr<T>(), indices(target), rows, row_size(kName, size), ignore_index,
                  static_cast<int>(block.shared_bytes / vector_bytes));
  };
  vectors ? launch(kernels::cross_entropy<T, VEC>, 16) : launch(kernels::cross_entropy<T, 1>, sizeof(T));
}

void total_cuda(Outputs& out, const Tensor& logits, const Tensor& target, int64_t ignore_index, Reduction reduction) {
  if (reduction == Reduction::kNone) return;
  kernels::total_loss.launch({1, kLongLossThreads, gpuwheel::current_stream(logits)}, out.loss.mutable_data_ptr<float>(),
                             reduction == Reduction::kMean ? out.valid.mutable_data_ptr<float>() : nullptr, out.losses.const_data_ptr<float>(),
                             indices(target), target.numel(), ignore_index);
}

// One row: its loss, and its gradient unless `gradient` is null.
template <typename T>
accumulate_t<T> row_cpu(const T* logits, T* gradient, int64_t size, int64_t target) {
  using A = accumulate_t<T>;
  constexpr A kLowest = std::numeric_limits<A>::lowest();
  A largest = -std::numeric_limits<A>::infinity();
  for (int64_t i = 0; i < size; ++i) largest = larger(largest, static_cast<A>(logits[i]));
  const A base = Softmax<A>::base(largest, kLowest);
  const Softmax<A> softmax{largest, cpu::sum<A>(size, [&](int64_t i) { return quick_exp(static_cast<A>(logits[i]) - base); })};
  if (gradient != nullptr) {
    const A inverse = A(1) / softmax.sum;
    for (int64_t i = 0; i < size; ++i) {
      const A probability = softmax.probability(static_cast<A>(logits[i]), inverse);
      gradient[i] = static_cast<T>(A(GradientScale<T>::value) * (i == target ? probability - A(1) : probability));
    }
  }
  return softmax.loss(static_cast<A>(logits[target]));
}

template <typename T>
void forward_cpu(Outputs& out, const Tensor& logits, const Tensor& target, int64_t ignore_index, bool with_gradient) {
  using A = accumulate_t<T>;
  const int64_t size = logits.size(-1), rows = logits.numel() / size;
  const T* all = logits.const_data_ptr<T>();
  const int64_t* targets = target.const_data_ptr<int64_t>();
  for (int64_t row = 0; row < rows; ++row) {
    STD_TORCH_CHECK(targets[row] == ignore_index || (targets[row] >= 0 && targets[row] < size), kName, ": target ", targets[row],
                    " is out of range, there are ", size, " classes");
  }
  A* losses = out.losses.mutable_data_ptr<A>();
  T* gradient = with_gradient ? out.gradient.mutable_data_ptr<T>() : nullptr;
  cpu::for_rows(rows, size, [&](int64_t row) {
    T* gradient_row = gradient == nullptr ? nullptr : gradient + row * size;
    if (targets[row] == ignore_index) {
      losses[row] = A(0);
      if (gradient_row != nullptr) std::fill(gradient_row, gradient_row + size, static_cast<T>(0.0f));
    } else {
      losses[row] = row_cpu(all + row * size, gradient_row, size, targets[row]);
    }
  });
}

template <typename A>
void total_cpu(Outputs& out, const Tensor& target, int64_t ignore_index, Reduction reduction) {
  if (reduction == Reduction::kNone) return;
  const int64_t rows = target.numel();
  const A* losses = out.losses.const_data_ptr<A>();
  const A sum = cpu::sum<A>(rows, [&](int64_t row) { return losses[row]; });
  if (reduction == Reduction::kMean) {
    const int64_t* targets = target.const_data_ptr<int64_t>();
    const A counted = static_cast<A>(rows - std::count(targets, targets + rows, ignore_index));
    *out.valid.mutable_data_ptr<A>() = counted;
    *out.loss.mutable_data_ptr<A>() = sum / counted;
  } else {
    *out.loss.mutable_data_ptr<A>() = sum;
  }
}

std::tuple<Tensor, Tensor, Tensor> cross_entropy_cuda(const Tensor& logits_, const Tensor& target_, int64_t ignore_index, std::string_view reduction_name,
                                                      bool with_gradient) {
  const Reduction reduction = reduction_of(reduction_name);
  check(logits_, target_);
  const gpuwheel::DeviceGuard guard(logits_);
  const Tensor logits = gpuwheel::contiguous(logits_), target = gpuwheel::contiguous(target_);
  Outputs out(logits, reduction, with_gradient, ScalarType::Float);
  gpuwheel::dispatch<gpuwheel::Floats>(kName, logits, [&](auto zero) {
    if (logits.numel() != 0) forward_cuda<decltype(zero)>(out, logits, target, ignore_index, with_gradient);
  });
  total_cuda(out, logits, target, ignore_index, reduction);
  return {out.loss, out.gradient, out.valid};
}

std::tuple<Tensor, Tensor, Tensor> cross_entropy_cpu(const Tensor& logits_, const Tensor& target_, int64_t ignore_index, std::string_view reduction_name,
                                                     bool with_gradient) {
  const Reduction reduction = reduction_of(reduction_name);
  check(logits_, target_);
  const Tensor logits = gpuwheel::contiguous(logits_), target = gpuwheel::contiguous(target_);
  std::optional<Outputs> out;
  gpuwheel::dispatch<gpuwheel::FloatsAndDouble>(kName, logits, [&](auto zero) {
    using T = decltype(zero);
    out.emplace(logits, reduction, with_gradient, gpuwheel::scalar_type<accumulate_t<T>>);
    if (logits.numel() != 0) forward_cpu<T>(*out, logits, target, ignore_index, with_gradient);
    total_cpu<accumulate_t<T>>(*out, target, ignore_index, reduction);
  });
  return {out->loss, out->gradient, out->valid};
}

// Whether there is one loss per row; a single row counts as one number.
bool check_backward(const Tensor& grad_loss, const Tensor& gradient, const Tensor& valid) {
  gpuwheel::check_min_dim(kBackward, {"gradient", gradient}, 1);
  gpuwheel::check_same_device(kBackward, {{"gradient", gradient}, {"grad_loss", grad_loss}, {"valid", valid}});
  gpuwheel::check_same_dtype(kBackward, {{"grad_loss", grad_loss}, {"valid", valid}});
  if (grad_loss.dim() == 0) return false;
  STD_TORCH_CHECK(valid.numel() == 0 && gpuwheel::same_sizes(grad_loss.sizes(), row_shape(gradient)), kBackward, ": grad_loss has shape ",
                  gpuwheel::shape_text(grad_loss.sizes()), ", (), or with reduction='none' ",
                  gpuwheel::shape_text(row_shape(gradient)), ", is expected");
  return true;
}

template <typename T>
void backward_cuda(Tensor& out, const Tensor& grad_loss, const Tensor& gradient, const Tensor& valid, bool per_row) {
  constexpr int VEC = 16 / sizeof(T);
  const int64_t size = gradient.size(-1), rows = gradient.numel() / size;
  const gpuwheel::Stream stream = gpuwheel::current_stream(gradient);
  if (per_row) {
    const bool vectors = vectors_fit<T>(size, out, gradient);
    const int64_t threads = std::min<int64_t>(kLossThreads, ceil_div(vectors ? size / VEC : size, 32) * 32);
    const auto launch = [&](auto& kernel) {
      kernel.launch({std::min(rows, kLargestGrid), threads, stream}, out.mutable_data_ptr<T>(), gradient.const_data_ptr<T>(),
                    grad_loss.const_data_ptr<float>(), rows, row_size(kBackward, size));
    };
    vectors ? launch(kernels::cross_entropy_backward_rows<T, VEC>) : launch(kernels::cross_entropy_backward_rows<T, 1>);
  } else {
    const int64_t count = gradient.numel();
    const bool vectors = gpuwheel::aligned(16, out, gradient);
    const auto launch = [&](auto& kernel) {
      kernel.launch(flat_launch(vectors ? ceil_div(count, VEC) : count, stream), out.mutable_data_ptr<T>(), gradient.const_data_ptr<T>(),
                    grad_loss.const_data_ptr<float>(), valid.numel() != 0 ? valid.const_data_ptr<float>() : nullptr, count);
    };
    vectors ? launch(kernels::cross_entropy_backward<T, VEC>) : launch(kernels::cross_entropy_backward<T, 1>);
  }
}

template <typename T>
void backward_cpu(Tensor& out, const Tensor& grad_loss, const Tensor& gradient, const Tensor& valid, bool per_row) {
  using A = accumulate_t<T>;
  const int64_t size = gradient.size(-1);
  const A* grad_losses = grad_loss.const_data_ptr<A>();
  const A counted = valid.numel() != 0 ? *valid.const_data_ptr<A>() : A(1);
  const T* stored = gradient.const_data_ptr<T>();
  T* grads = out.mutable_data_ptr<T>();
  cpu::for_rows(gradient.numel() / size, size, [&](int64_t row) {
    const A scale = counted > A(0) ? grad_losses[per_row ? row : 0] / A(GradientScale<T>::value) / counted : A(0);
    for (int64_t i = row * size; i < (row + 1) * size; ++i) grads[i] = static_cast<T>(static_cast<A>(stored[i]) * scale);
  });
}

Tensor cross_entropy_backward_cuda(const Tensor& grad_loss_, const Tensor& gradient_, const Tensor& valid) {
  const bool per_row = check_backward(grad_loss_, gradient_, valid);
  gpuwheel::check_dtype(kBackward, {"grad_loss", grad_loss_}, ScalarType::Float);
  const gpuwheel::DeviceGuard guard(gradient_);
  const Tensor grad_loss = gpuwheel::contiguous(grad_loss_), gradient = gpuwheel::contiguous(gradient_);
  Tensor out = empty_like(gradient);
  gpuwheel::dispatch<gpuwheel::Floats>(kBackward, gradient, [&](auto zero) {
    if (gradient.numel() != 0) backward_cuda<decltype(zero)>(out, grad_loss, gradient, valid, per_row);
  });
  return out;
}

Tensor cross_entropy_backward_cpu(const Tensor& grad_loss_, const Tensor& gradient_, const Tensor& valid) {
  const bool per_row = check_backward(grad_loss_, gradient_, valid);
  const Tensor grad_loss = gpuwheel::contiguous(grad_loss_), gradient = gpuwheel::contiguous(gradient_);
  Tensor out = empty_like(gradient);
  gpuwheel::dispatch<gpuwheel::FloatsAndDouble>(kBackward, gradient, [&](auto zero) {
    using T = decltype(zero);
    gpuwheel::check_dtype(kBackward, {"grad_loss", grad_loss}, gpuwheel::scalar_type<accumulate_t<T>>);
    if (gradient.numel() != 0) backward_cpu<T>(out, grad_loss, gradient, valid, per_row);
  });
  return out;
}

}  // namespace
}  // namespace gpuwheel_sample

STABLE_TORCH_LIBRARY_FRAGMENT(gpuwheel_sample, m) {
  m.def(
      "cross_entropy(Tensor logits, Tensor target, int ignore_index, str reduction, bool with_gradient) -> "
      "(Tensor loss, Tensor gradient, Tensor valid)");
  m.def("cross_entropy_backward(Tensor grad_loss, Tensor gradient, Tensor valid) -> Tensor");
}
STABLE_TORCH_LIBRARY_IMPL(gpuwheel_sample, CPU, m) {
  m.impl("cross_entropy", TORCH_BOX(&gpuwheel_sample::cross_entropy_cpu));
  m.impl("cross_entropy_backward", TORCH_BOX(&gpuwheel_sample::cross_entropy_backward_cpu));
}
STABLE_TORCH_LIBRARY_IMPL(gpuwheel_sample, CUDA, m) {
  m.impl("cross_entropy", TORCH_BOX(&gpuwheel_sample::cross_entropy_cuda));
  m.impl("cross_entropy_backward", TORCH_BOX(&gpuwheel_sample::cross_entropy_backward_cuda));
}
