// The threads of a row go over it twice, the second time from the caches.
#include "add_rms_norm.h"

#include "rows.cuh"

namespace kernels {

using Op = AddRmsNorm<float>;

template <typename T, int N>
__global__ void __launch_bounds__(1024)
    add_rms_norm(T* __restrict__ y, T* __restrict__ sum, float* __restrict__ scale, const T* __restrict__ x,
                 const T* __restrict__ residual, const T* __restrict__ weight, int64_t rows, int64_t size, float eps) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y, start = row * size;
  if (row >= rows) return;  // a whole warp
  float squares = 0.0f;
  for (int64_t i = threadIdx.x; i < size / N; i += blockDim.x) {
    const Vector<T, N> a = load<N>(x + start, i), b = load<N>(residual + start, i);
    Vector<T, N> s;
    for (int j = 0; j < N; ++j) {
      s[j] = static_cast<T>(static_cast<float>(a[j]) + static_cast<float>(b[j]));
      squares += static_cast<float>(s[j]) * static_cast<float>(s[j]);
    }
    store(sum + start, i, s);
  }
  const float factor = Op::scale(row_sum(squares), static_cast<float>(size), eps);
  if (threadIdx.x == 0) scale[row] = factor;
  for (int64_t i = threadIdx.x; i < size / N; i += blockDim.x) {
    const Vector<T, N> s = load<N>(sum + start, i), w = load<N>(weight, i);  // s: what this thread has stored
    Vector<T, N> out;
    for (int j = 0; j < N; ++j) out[j] = static_cast<T>(static_cast<float>(s[j]) * factor * static_cast<float>(w[j]));
    store(y + start, i, out);
  }
}

// sums[j] += values[j], four at once.
template <int N>
__device__ __forceinline__ void accumulate(float* sums, const float (&values)[N]) {
  constexpr int kWidth = N < 4 ? N : 4;
  for (int k = 0; k < N / kWidth; ++k) {
    Vector<float, kWidth> v = load<kWidth>(sums, k);
    for (int j = 0; j < kWidth; ++j) v[j] += values[k * kWidth + j];
    store(sums, k, v);
  }
}

// A block takes every gridDim.x-th group of rows and adds up the gradient of weight over them: in shared memory (a row
// of floats per row of the block) or, with `in_shared` = 0, in its row of `partials`, where the sum ends up. `grad_sum`
// is the gradient that arrives at s itself; it may be null.
template <typename T, int N>
__global__ void __launch_bounds__(1024)
    add_rms_norm_backward(T* __restrict__ grad_x, float* __restrict__ partials, const T* __restrict__ grad_y,
                          const T* __restrict__ grad_sum, const T* __restrict__ sum, const T* __restrict__ weight,
                          const float* __restrict__ scale, int64_t rows, int64_t size, int in_shared) {
  extern __shared__ __align__(16) float shared[];
  float* partial = partials + blockIdx.x * size;
  float* weight_grad = in_shared ? shared + threadIdx.y * size : partial;
  for (int64_t i = threadIdx.x; i < size; i += blockDim.x) weight_grad[i] = 0.0f;
  __syncthreads();
  const int64_t first_row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  for (int64_t row = first_row; row < rows; row += static_cast<int64_t>(gridDim.x) * blockDim.y) {
    const int64_t start = row * size;
    const float factor = scale[row];
    float total = 0.0f;
    for (int64_t i = threadIdx.x; i < size / N; i += blockDim.x) {
      const Vector<T, N> g = load<N>(grad_y + start, i), s = load<N>(sum + start, i), w = load<N>(weight, i);
      for (int j = 0; j < N; ++j) {
        total += Op::projection(static_cast<float>(g[j]), static_cast<float>(w[j]), static_cast<float>(s[j]) * factor);
      }
    }
    const float mean = row_sum(total) / static_cast<float>(size);
    for (int64_t i = threadIdx.x; i < size / N; i += blockDim.x) {
      const Vector<T, N> g = load<N>(grad_y + start, i), s = load<N>(sum + start, i), w = load<N>(weight, i);
      Vector<T, N> through = {}, out;
      if (grad_sum != nullptr) through = load<N>(grad_sum + start, i);
      float to_weight[N];
      for (int j = 0; j < N; ++j) {
        const float gj = static_cast<float>(g[j]), normalised = static_cast<float>(s[j]) * factor;
        const float value = Op::gradient(gj, static_cast<float>(w[j]), normalised, factor, mean);
        out[j] = static_cast<T>(value + static_cast<float>(through[j]));
        to_weight[j] = gj * normalised;
      }
      store(grad_x + start, i, out);
      accumulate(weight_grad + i * N, to_weight);
    }
  }
  if (!in_shared) return;
  __syncthreads();
  for (int64_t i = threadIdx.y * blockDim.x + threadIdx.x; i < size; i += blockDim.x * blockDim.y) {
    float total = 0.0f;
    for (int y = 0; y < blockDim.y; ++y) total += shared[y * size + i];
    partial[i] = total;
  }
}

INSTANTIATE(add_rms_norm);
INSTANTIATE(add_rms_norm_backward);

}  // namespace kernels
