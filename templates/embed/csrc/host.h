// What the host half of every operator needs.
#pragma once

#include <gpuwheel/torch.h>

#include <algorithm>
#include <type_traits>

#include "fused.kernels.h"  // written by gpuwheel, from the compiled kernels
#include "operators.h"

template <typename T>
const T* in(const Tensor& tensor) {
  return tensor.const_data_ptr<T>();
}
template <typename T>
T* out(Tensor& tensor) {
  return tensor.mutable_data_ptr<T>();
}

// What x is computed in.
inline torch::headeronly::ScalarType accumulate_type(const Tensor& x) {
  constexpr auto kDouble = gpuwheel::scalar_type<double>;
  return x.scalar_type() == kDouble ? kDouble : gpuwheel::scalar_type<float>;
}

// A tensor as rows of `size` elements, `stride` elements apart: read where it lies if its rows only have gaps between
// them (the halves that x.chunk(2, -1) gives), else copied.
struct Rows {
  Rows(const Tensor& x, int64_t size) : tensor(x), stride(size) {
    bool is_rows = x.dim() == 0 || size == 1 || x.stride(x.dim() - 1) == 1;
    int64_t next = -1;  // the stride that the next dimension outwards has if the rows go on in one step
    for (int64_t i = x.dim() - 2; i >= 0 && is_rows; --i) {
      if (x.size(i) == 1) continue;
      if (next < 0) stride = x.stride(i);
      is_rows = next < 0 || x.stride(i) == next;
      next = x.stride(i) * x.size(i);
    }
    if (is_rows) return;
    tensor = gpuwheel::contiguous(x);
    stride = size;
  }

  Tensor tensor;
  int64_t stride;
};

// The elements in a row: of the last dimension.
inline int64_t row_size(const Tensor& x) { return x.dim() == 0 ? 1 : std::max<int64_t>(1, x.size(x.dim() - 1)); }

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Calls cuda(zero) or cpu(zero) with a value of x's element type, unless x is empty.
template <typename Cuda, typename Cpu>
void dispatch(const char* op, const Tensor& x, const Cuda& cuda, const Cpu& cpu) {
  if (x.is_cuda()) {
    const gpuwheel::DeviceGuard guard(x);
    gpuwheel::dispatch<gpuwheel::Floats>(op, x, [&](auto zero) { if (x.numel() != 0) cuda(zero); });
  } else {
    gpuwheel::dispatch<gpuwheel::FloatsAndDouble>(op, x, [&](auto zero) { if (x.numel() != 0) cpu(zero); });
  }
}

// Calls launch(n), n a constant: the elements that a thread can load at once from tensors with `size` elements per row.
template <typename T, typename Launch, typename... Tensors>
void with_vectors(int64_t size, const Launch& launch, const Tensors&... tensors) {
  constexpr int kWidest = 16 / sizeof(T);
  if (size % kWidest == 0 && gpuwheel::aligned(16, tensors...)) return launch(std::integral_constant<int, kWidest>());
  launch(std::integral_constant<int, 1>());
}

// f(i) for i < count, on torch's CPU threads. `work`: elements that a call handles.
template <typename F>
void parallel(int64_t count, int64_t work, const F& f) {
  gpuwheel::parallel_for(0, count, std::max<int64_t>(1, 16384 / work), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) f(i);
  });
}
