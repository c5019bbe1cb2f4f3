#include "add_rms_norm.h"

#include <gpuwheel/device.h>

#include "geometry.h"
#include "rows.cuh"

namespace gpuwheel_sample::kernels {

using Op = AddRmsNorm<float>;

// x + residual, unrounded.
template <typename T, int VEC>
__device__ __forceinline__ void add(float (&sum)[VEC], const Vector<T, VEC>& x, const Vector<T, VEC>& residual) {
#pragma unroll
  for (int j = 0; j < VEC; ++j) sum[j] = static_cast<float>(x[j]) + static_cast<float>(residual[j]);
}

template <typename T, int VEC>
__device__ __forceinline__ Vector<T, VEC> rounded(const float (&values)[VEC]) {
  Vector<T, VEC> v;
#pragma unroll
  for (int j = 0; j < VEC; ++j) v[j] = static_cast<T>(values[j]);
  return v;
}

template <int VEC>
__device__ __forceinline__ float squares(const float (&values)[VEC]) {
  float sum = 0.0f;
#pragma unroll
  for (int j = 0; j < VEC; ++j) sum += values[j] * values[j];
  return sum;
}

template <typename T, int VEC>
__device__ __forceinline__ Vector<T, VEC> output(const float (&sum)[VEC], float scale, const Vector<T, VEC>& weight) {
  Vector<T, VEC> y;
#pragma unroll
  for (int j = 0; j < VEC; ++j) y[j] = static_cast<T>(Op::output(sum[j], scale, static_cast<float>(weight[j])));
  return y;
}

// Rows of up to kHeld vectors per thread: they stay in registers, global memory is read once.
template <typename T, int VEC>
__global__ void __launch_bounds__(kRowThreads)
    add_rms_norm(T* __restrict__ y, T* __restrict__ sum, float* __restrict__ scale, const T* __restrict__ x,
                 const T* __restrict__ residual, const T* __restrict__ weight, int64_t rows, int size, float eps) {
  const int vectors = size / VEC;
  for_rows(rows, [&](int64_t row, bool inside) {
    const int64_t offset = row * size;
    const int end = inside ? vectors : 0;
    Vector<T, VEC> a[kHeld], b[kHeld];
#pragma unroll
    for (int k = 0, i = threadIdx.x; k < kHeld; ++k, i += blockDim.x) {
      if (i < end) {
        a[k] = load<VEC>(x + offset, i);
        b[k] = load<VEC>(residual + offset, i);
      }
    }
    float held[kHeld][VEC];
    float total = 0.0f;
#pragma unroll
    for (int k = 0, i = threadIdx.x; k < kHeld; ++k, i += blockDim.x) {
      if (i < end) {
        add(held[k], a[k], b[k]);
        total += squares(held[k]);
        store(sum + offset, i, rounded<T>(held[k]));
      }
    }
    const float factor = Op::scale(row_sum(total), static_cast<float>(size), eps);
    if (inside && threadIdx.x == 0) scale[row] = factor;
#pragma unroll
    for (int k = 0, i = threadIdx.x; k < kHeld; ++k, i += blockDim.x) {
      if (i < end) store(y + offset, i, output(held[k], factor, load<VEC>(weight, i)));
    }
  });
}

// Longer rows, and those that are not whole vectors (VEC = 1): read twice, the second time from the caches.
template <typename T, int VEC>
__global__ void __launch_bounds__(kRowThreads)
    add_rms_norm_long(T* __restrict__ y, T* __restrict__ sum, float* __restrict__ scale, const T* __restrict__ x,
                      const T* __restrict__ residual, const T* __restrict__ weight, int64_t rows, int size, float eps) {
  const int vectors = size / VEC;
  for_rows(rows, [&](int64_t row, bool inside) {
    const int64_t offset = row * size;
    const int end = inside ? vectors : 0;
    float values[VEC];
    float total = 0.0f;
#pragma unroll 2
    for (int i = threadIdx.x; i < end; i += blockDim.x) {
      add(values, load<VEC>(x + offset, i), load<VEC>(residual + offset, i));
      total += squares(values);
      store(sum + offset, i, rounded<T>(values));
    }
    const float factor = Op::scale(row_sum(total), static_cast<float>(size), eps);
    if (inside && threadIdx.x == 0) scale[row] = factor;
#pragma unroll 2
    for (int i = threadIdx.x; i < end; i += blockDim.x) {
      add(values, load<VEC>(x + offset, i), load<VEC>(residual + offset, i));
      store(y + offset, i, output(values, factor, load<VEC>(weight, i)));
    }
  });
}

// What a thread's elements add to the mean that the gradient of a row needs.
template <typename T, int VEC>
__device__ __forceinline__ float projection(const Vector<T, VEC>& grad, const Vector<T, VEC>& sum, const Vector<T, VEC>& weight, float scale) {
  float total = 0.0f;
#pragma unroll
  for (int j = 0; j < VEC; ++j) {
    total += Op::projection(static_cast<float>(grad[j]), static_cast<float>(weight[j]), static_cast<float>(sum[j]) * scale);
  }
  return total;
}

// The gradient of x; adds that of weight to `weight_grad`. `through` is the gradient that arrives at x + residual itself.
template <typename T, int VEC>
__device__ __forceinline__ Vector<T, VEC> gradient(const Vector<T, VEC>& grad, const Vector<T, VEC>& sum, const Vector<T, VEC>& weight,
                                                   const Vector<T, VEC>& through, float scale, float mean, float* weight_grad) {
  Vector<T, VEC> out;
#pragma unroll
  for (int j = 0; j < VEC; ++j) {
    const float g = static_cast<float>(grad[j]), normalised = static_cast<float>(sum[j]) * scale;
    out[j] = static_cast<T>(Op::input_gradient(g, static_cast<float>(weight[j]), normalised, scale, mean) + static_cast<float>(through[j]));
    weight_grad[j] += Op::weight_gradient(g, normalised);
  }
  return out;
}

template <int VEC, typename T>
__device__ __forceinline__ Vector<T, VEC> load_or_zero(const T* tensor, int64_t offset, int i) {
  if (tensor != nullptr) return load<VEC>(tensor + offset, i);
  Vector<T, VEC> zero;
#pragma unroll
  for (int j = 0; j < VEC; ++j) zero[j] = static_cast<T>(0.0f);
  return zero;
}

// Blocks walk over the rows with a stride and keep the gradient of weight for their columns in registers; each leaves it
// as one row of `partials` (gridDim.x rows), which sum_partials adds up. `grad_sum` may be null.
template <typename T, int VEC>
__global__ void __launch_bounds__(kRowThreads)
    add_rms_norm_backward(T* __restrict__ grad_x, float* __restrict__ partials, const T* __restrict__ grad_y, const T* __restrict__ grad_sum,
                          const T* __restrict__ sum, const T* __restrict__ weight, const float* __restrict__ scale, int64_t rows, int size) {
  const int vectors = size / VEC;
  float weight_grad[kHeld][VEC] = {};
  for_rows(rows, [&](int64_t row, bool inside) {
    const int64_t offset = row * size;
    const int end = inside ? vectors : 0;
    const float factor = inside ? scale[row] : 0.0f;
    Vector<T, VEC> g[kHeld], s[kHeld];
#pragma unroll
    for (int k = 0, i = threadIdx.x; k < kHeld; ++k, i += blockDim.x) {
      if (i < end) {
        g[k] = load<VEC>(grad_y + offset, i);
        s[k] = load<VEC>(sum + offset, i);
      }
    }
    float total = 0.0f;
#pragma unroll
    for (int k = 0, i = threadIdx.x; k < kHeld; ++k, i += blockDim.x) {
      if (i < end) total += projection(g[k], s[k], load<VEC>(weight, i), factor);
    }
    const float mean = row_sum(total) / static_cast<float>(size);
#pragma unroll
    for (int k = 0, i = threadIdx.x; k < kHeld; ++k, i += blockDim.x) {
      if (i < end) {
        const auto through = load_or_zero<VEC>(grad_sum, offset, i);
        store(grad_x + offset, i, gradient(g[k], s[k], load<VEC>(weight, i), through, factor, mean, weight_grad[k]));
      }
    }
  });
  float* partial = partials + static_cast<int64_t>(blockIdx.x) * size;
#pragma unroll
  for (int k = 0, i = threadIdx.x; k < kHeld; ++k, i += blockDim.x) {
    block_rows_sum(weight_grad[k]);
    if (threadIdx.y == 0 && i < vectors) {
#pragma unroll
      for (int j = 0; j < VEC; ++j) partial[i * VEC + j] = weight_grad[k][j];
    }
  }
}

// Longer rows, and those that are not whole vectors: the sums over rows live in `partials`, where each thread has columns
// of its own (one row per block; geometry of launches.h).
template <typename T, int VEC>
__global__ void __launch_bounds__(kRowThreads)
    add_rms_norm_backward_long(T* __restrict__ grad_x, float* __restrict__ partials, const T* __restrict__ grad_y, const T* __restrict__ grad_sum,
                               const T* __restrict__ sum, const T* __restrict__ weight, const float* __restrict__ scale, int64_t rows, int size) {
  const int vectors = size / VEC;
  float* partial = partials + static_cast<int64_t>(blockIdx.x) * size;
#pragma unroll 1
  for (int i = threadIdx.x; i < size; i += blockDim.x) partial[i] = 0.0f;
  __syncthreads();  // the columns of a thread are others from here on
  for_rows(rows, [&](int64_t row, bool) {
    const int64_t offset = row * size;
    const float factor = scale[row];
    float total = 0.0f;
#pragma unroll 2
    for (int i = threadIdx.x; i < vectors; i += blockDim.x) {
      total += projection(load<VEC>(grad_y + offset, i), load<VEC>(sum + offset, i), load<VEC>(weight, i), factor);
    }
    const float mean = row_sum(total) / static_cast<float>(size);
#pragma unroll 2
    for (int i = threadIdx.x; i < vectors; i += blockDim.x) {
      const auto through = load_or_zero<VEC>(grad_sum, offset, i);
      store(grad_x + offset, i, gradient(load<VEC>(grad_y + offset, i), load<VEC>(sum + offset, i), load<VEC>(weight, i), through, factor, mean, partial + i * VEC));
    }
  });
}

#define INSTANTIATE(T)                                          \
  GPUWHEEL_INSTANTIATE(add_rms_norm<T, 16 / sizeof(T)>);        \
  GPUWHEEL_INSTANTIATE(add_rms_norm_long<T, 16 / sizeof(T)>);   \
  GPUWHEEL_INSTANTIATE(add_rms_norm_long<T, 1>);                \
  GPUWHEEL_INSTANTIATE(add_rms_norm_backward<T, 16 / sizeof(T)>);      \
  GPUWHEEL_INSTANTIATE(add_rms_norm_backward_long<T, 16 / sizeof(T)>); \
  GPUWHEEL_INSTANTIATE(add_rms_norm_backward_long<T, 1>)

INSTANTIATE(float);
INSTANTIATE(gpuwheel::half);
INSTANTIATE(gpuwheel::bfloat16);

}  // namespace gpuwheel_sample::kernels
