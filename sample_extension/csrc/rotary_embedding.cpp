#include "rotary_embedding.h"

#include <gpuwheel/torch.h>

#include "cpu.h"
#include "fused.kernels.h"
#include "launches.h"

namespace gpuwheel_sample {
namespace {

using gpuwheel::Tensor;
using torch::stable::empty_like;

constexpr const char* kName = "rotary_embedding";
constexpr const char* kBackward = "rotary_embedding_backward";

void check(const char* name, const Tensor& x, const Tensor& cos, const Tensor& sin) {
  STD_TORCH_CHECK(x.dim() == 4, name, ": x has ", x.dim(), " dimensions, 4 are expected: (batch, sequence, heads, size)");
  STD_TORCH_CHECK(x.size(3) % 2 == 0, name, ": the last dimension of x has ", x.size(3), " elements, an even number is expected");
  gpuwheel::check_same_device(name, {{"x", x}, {"cos", cos}, {"sin", sin}});
  gpuwheel::check_same_dtype(name, {{"x", x}, {"cos", cos}, {"sin", sin}});
  gpuwheel::check_shape(name, {"cos", cos}, {x.size(1), x.size(3) / 2});
  gpuwheel::check_shape(name, {"sin", sin}, {x.size(1), x.size(3) / 2});
}

template <typename T>
void rotate_cuda(Tensor& y, const Tensor& x, const Tensor& cos, const Tensor& sin, float direction) {
  constexpr int VEC = 16 / sizeof(T);
  const int64_t positions = x.size(1), heads = x.size(2), half = x.size(3) / 2, tokens = x.size(0) * positions;
  row_size(kName, heads * 2 * half);
  const bool vectors = vectors_fit<T>(half, y, x, cos, sin);
  const int64_t pairs = heads * (vectors ? half / VEC : half);
  const int64_t threads = std::min<int64_t>(kFlatThreads, ceil_div(pairs, 32) * 32), height = kFlatThreads / threads;
  const gpuwheel::LaunchConfig config{std::min(ceil_div(tokens, height), kLargestGrid), {threads, height}, gpuwheel::current_stream(x)};
  const auto launch = [&](auto& kernel) {
    kernel.launch(config, y.mutable_data_ptr<T>(), x.const_data_ptr<T>(), cos.const_data_ptr<T>(), sin.const_data_ptr<T>(), tokens, positions,
                  static_cast<int>(heads), static_cast<int>(half), direction);
  };
  vectors ? launch(kernels::rotary_embedding<T, VEC>) : launch(kernels::rotary_embedding<T, 1>);
}

template <typename T>
void rotate_cpu(Tensor& y, const Tensor& x, const Tensor& cos, const Tensor& sin, float direction) {
  using A = accumulate_t<T>;
  using Op = RotaryEmbedding<A>;
  const int64_t positions = x.size(1), heads = x.size(2), half = x.size(3) / 2;
  const T *xs = x.const_data_ptr<T>(), *cosines = cos.const_data_ptr<T>(), *sines = sin.const_data_ptr<T>();
  T* ys = y.mutable_data_ptr<T>();
  cpu::for_rows(x.size(0) * positions * heads, 2 * half, [&](int64_t row) {
    const int64_t position = row / heads % positions, start = row * 2 * half;
    for (int64_t i = 0; i < half; ++i) {
      const A x1 = static_cast<A>(xs[start + i]), x2 = static_cast<A>(xs[start + half + i]);
      const A c = static_cast<A>(cosines[position * half + i]), s = A(direction) * static_cast<A>(sines[position * half + i]);
      ys[start + i] = static_cast<T>(Op::first(x1, x2, c, s));
      ys[start + half + i] = static_cast<T>(Op::second(x1, x2, c, s));
    }
  });
}

Tensor rotated_cuda(const char* name, const Tensor& x_, const Tensor& cos_, const Tensor& sin_, float direction) {
  check(name, x_, cos_, sin_);
  const gpuwheel::DeviceGuard guard(x_);
  const Tensor x = gpuwheel::contiguous(x_), cos = gpuwheel::contiguous(cos_), sin = gpuwheel::contiguous(sin_);
  Tensor y = empty_like(x);
  gpuwheel::dispatch<gpuwheel::Floats>(name, x, [&](auto zero) {
    if (x.numel() != 0) rotate_cuda<decltype(zero)>(y, x, cos, sin, direction);
  });
  return y;
}

Tensor rotated_cpu(const char* name, const Tensor& x_, const Tensor& cos_, const Tensor& sin_, float direction) {
  check(name, x_, cos_, sin_);
  const Tensor x = gpuwheel::contiguous(x_), cos = gpuwheel::contiguous(cos_), sin = gpuwheel::contiguous(sin_);
  Tensor y = empty_like(x);
  gpuwheel::dispatch<gpuwheel::FloatsAndDouble>(name, x, [&](auto zero) {
    if (x.numel() != 0) rotate_cpu<decltype(zero)>(y, x, cos, sin, direction);
  });
  return y;
}

Tensor rotary_embedding_cuda(const Tensor& x, const Tensor& cos, const Tensor& sin) { return rotated_cuda(kName, x, cos, sin, 1.0f); }
Tensor rotary_embedding_cpu(const Tensor& x, const Tensor& cos, const Tensor& sin) { return rotated_cpu(kName, x, cos, sin, 1.0f); }
Tensor rotary_embedding_backward_cuda(const Tensor& grad, const Tensor& cos, const Tensor& sin) {
  return rotated_cuda(kBackward, grad, cos, sin, -1.0f);
}
Tensor rotary_embedding_backward_cpu(const Tensor& grad, const Tensor& cos, const Tensor& sin) {
  return rotated_cpu(kBackward, grad, cos, sin, -1.0f);
}

}  // namespace
}  // namespace gpuwheel_sample

STABLE_TORCH_LIBRARY_FRAGMENT(gpuwheel_sample, m) {
  m.def("rotary_embedding(Tensor x, Tensor cos, Tensor sin) -> Tensor");
  m.def("rotary_embedding_backward(Tensor grad, Tensor cos, Tensor sin) -> Tensor");
}
STABLE_TORCH_LIBRARY_IMPL(gpuwheel_sample, CPU, m) {
  m.impl("rotary_embedding", TORCH_BOX(&gpuwheel_sample::rotary_embedding_cpu));
  m.impl("rotary_embedding_backward", TORCH_BOX(&gpuwheel_sample::rotary_embedding_backward_cpu));
}
STABLE_TORCH_LIBRARY_IMPL(gpuwheel_sample, CUDA, m) {
  m.impl("rotary_embedding", TORCH_BOX(&gpuwheel_sample::rotary_embedding_cuda));
  m.impl("rotary_embedding_backward", TORCH_BOX(&gpuwheel_sample::rotary_embedding_backward_cuda));
}
