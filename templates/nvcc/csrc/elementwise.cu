// Bias and activation, and the activation's derivative: kernels that are limited by memory.
#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "activations.h"
#include "cuda_error.h"
#include "kernels.h"

namespace {

using gpuwheel::accumulate_t;
using gpuwheel::bfloat16;
using gpuwheel::half;

constexpr int kThreads = 256;
// Enough for any GPU: with more rows, each thread has several and reads its bias once.
constexpr int64_t kMaxGridY = 2048;

template <typename T, int kSize>
struct alignas(sizeof(T) * kSize) Vector {
  T values[kSize];
};

// A thread owns kSize columns, keeps their bias in registers and walks down the rows.
template <typename Act, typename T, int kSize>
__global__ void bias_act(Vector<T, kSize>* y, Vector<T, kSize>* pre, const Vector<T, kSize>* x,
                         const Vector<T, kSize>* bias, int64_t rows, int64_t width) {
  using A = accumulate_t<T>;
  const int64_t column = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (column >= width) return;
  const Vector<T, kSize> b = bias[column];
  for (int64_t row = int64_t(blockIdx.y) * blockDim.y + threadIdx.y; row < rows;
       row += int64_t(gridDim.y) * blockDim.y) {
    const Vector<T, kSize> in = x[row * width + column];
    Vector<T, kSize> z, out;
#pragma unroll
    for (int i = 0; i < kSize; ++i) {
      const A sum = static_cast<A>(in.values[i]) + static_cast<A>(b.values[i]);
      z.values[i] = static_cast<T>(sum);
      out.values[i] = static_cast<T>(Act::value(sum));
    }
    if (pre != nullptr) pre[row * width + column] = z;
    y[row * width + column] = out;
  }
}

template <typename Act, typename T, int kSize>
__global__ void act_backward(Vector<T, kSize>* grad_x, const Vector<T, kSize>* grad, const Vector<T, kSize>* saved,
                             const Vector<T, kSize>* bias, int64_t rows, int64_t width) {
  using A = accumulate_t<T>;
  const int64_t column = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (column >= width) return;
  const Vector<T, kSize> b = bias != nullptr ? bias[column] : Vector<T, kSize>{};
  for (int64_t row = int64_t(blockIdx.y) * blockDim.y + threadIdx.y; row < rows;
       row += int64_t(gridDim.y) * blockDim.y) {
    const Vector<T, kSize> g = grad[row * width + column], s = saved[row * width + column];
    Vector<T, kSize> out;
#pragma unroll
    for (int i = 0; i < kSize; ++i) {
      const A z = static_cast<A>(s.values[i]) + static_cast<A>(b.values[i]);
      out.values[i] = static_cast<T>(static_cast<A>(g.values[i]) * Act::derivative(z));
    }
    grad_x[row * width + column] = out;
  }
}

// Calls f with an activation, a value of the element type, and how many elements a thread reads at once.
template <typename Problem, typename F>
void dispatch(const Problem& problem, bool aligned, const F& f) {
  const auto with_size = [&](auto act, auto zero) {
    constexpr int kSize = 16 / sizeof(zero);
    if (aligned && problem.columns % kSize == 0) {
      f(act, zero, std::integral_constant<int, kSize>{});
    } else {
      f(act, zero, std::integral_constant<int, 1>{});
    }
  };
  const auto with_type = [&](auto act) {
    switch (problem.type) {
      case Type::float32: return with_size(act, float{});
      case Type::float16: return with_size(act, half{});
      case Type::bfloat16: return with_size(act, bfloat16{});
    }
  };
  problem.activation == Activation::relu ? with_type(Relu{}) : with_type(Gelu{});
}

template <typename... Pointers>
bool aligned(Pointers... pointers) {
  return (reinterpret_cast<std::uintptr_t>(pointers) | ...) % 16 == 0;
}

struct Launch {
  dim3 grid, block;
};

// Blocks as wide as the rows, up to 256 threads, and of as many rows as make them 256.
Launch cover(int64_t rows, int64_t width) {
  int64_t across = 1;
  while (across < kThreads && across < width) across *= 2;
  const int64_t down = kThreads / across;
  return {dim3(static_cast<unsigned>((width + across - 1) / across),
               static_cast<unsigned>(std::min((rows + down - 1) / down, kMaxGridY))),
          dim3(static_cast<unsigned>(across), static_cast<unsigned>(down))};
}

}  // namespace

void launch_bias_act(const BiasAct& p, cudaStream_t stream) {
  if (p.rows == 0 || p.columns == 0) return;
  dispatch(p, aligned(p.y, p.pre, p.x, p.bias), [&](auto act, auto zero, auto size) {
    using V = Vector<decltype(zero), size>;
    const int64_t width = p.columns / size;
    const auto [grid, block] = cover(p.rows, width);
    bias_act<decltype(act), decltype(zero), size>
        <<<grid, block, 0, stream>>>(static_cast<V*>(p.y), static_cast<V*>(p.pre), static_cast<const V*>(p.x),
                                     static_cast<const V*>(p.bias), p.rows, width);
  });
  check(cudaGetLastError(), "launching bias_act");
}

void launch_act_backward(const ActBackward& p, cudaStream_t stream) {
  if (p.rows == 0 || p.columns == 0) return;
  dispatch(p, aligned(p.grad_x, p.grad, p.saved, p.bias), [&](auto act, auto zero, auto size) {
    using V = Vector<decltype(zero), size>;
    const int64_t width = p.columns / size;
    const auto [grid, block] = cover(p.rows, width);
    act_backward<decltype(act), decltype(zero), size>
        <<<grid, block, 0, stream>>>(static_cast<V*>(p.grad_x), static_cast<const V*>(p.grad),
                                     static_cast<const V*>(p.saved), static_cast<const V*>(p.bias), p.rows, width);
  });
  check(cudaGetLastError(), "launching act_backward");
}
