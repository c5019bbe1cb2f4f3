// x / sqrt(mean(x^2) + eps) * weight (Zhang and Sennrich 2019) for each row of x, and its gradients.
//
// A row belongs to the blockDim.x threads of a line of the block: one warp, with further rows beside it, or the whole
// block. Lines walk over the rows; the second pass over a row finds it in the caches.
#include <gpuwheel/math.h>

#include "vectors.cuh"

constexpr int kWarp = 32;
constexpr int kMostThreads = 1024;

__device__ __forceinline__ int64_t first_row() { return static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; }
__device__ __forceinline__ int64_t row_step() { return static_cast<int64_t>(gridDim.x) * blockDim.y; }

// The sum of `value` over the threads of a row, in all of them.
__device__ __forceinline__ float row_sum(float value) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  if (blockDim.x == kWarp) return value;
  __shared__ float warp_sums[kWarp];
  const int lane = threadIdx.x % kWarp;
  __syncthreads();  // an earlier sum may still be being read
  if (lane == 0) warp_sums[threadIdx.x / kWarp] = value;
  __syncthreads();
  value = lane < blockDim.x / kWarp ? warp_sums[lane] : 0.0f;
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  return value;
}

// sums[j] += values[j]
template <int N>
__device__ __forceinline__ void add(float* sums, const float (&values)[N]) {
  constexpr int kPart = N < 4 ? N : 4;
#pragma unroll
  for (int j = 0; j < N; j += kPart) {
    auto part = load<kPart>(sums + j);
#pragma unroll
    for (int k = 0; k < kPart; ++k) part[k] += values[j + k];
    store(sums + j, part);
  }
}

template <typename T, int VEC>
__global__ void __launch_bounds__(kMostThreads)
    rms_norm(T* __restrict__ out, const T* __restrict__ x, const T* __restrict__ weight, int64_t rows, int64_t size,
             int64_t x_stride, float eps) {
  const int64_t begin = threadIdx.x * VEC, step = blockDim.x * VEC;
  for (int64_t row = first_row(); row < rows; row += row_step()) {
    const T* const from = x + row * x_stride;
    T* const to = out + row * size;
    float squares = 0.0f;
    for (int64_t i = begin; i < size; i += step) {
      const auto v = load<VEC>(from + i);
#pragma unroll
      for (int j = 0; j < VEC; ++j) squares += static_cast<float>(v[j]) * static_cast<float>(v[j]);
    }
    const float scale = gpuwheel::math::rsqrt(row_sum(squares) / static_cast<float>(size) + eps);
    for (int64_t i = begin; i < size; i += step) {
      const auto v = load<VEC>(from + i), w = load<VEC>(weight + i);
      Vector<T, VEC> y;
#pragma unroll
      for (int j = 0; j < VEC; ++j) y[j] = static_cast<T>(static_cast<float>(v[j]) * scale * static_cast<float>(w[j]));
      store(to + i, y);
    }
  }
}
INSTANTIATE(rms_norm);

// With n = x * scale: grad_x = scale * (grad * weight - n * mean(grad * weight * n)), and each block leaves its share
// of grad_weight, the sum of grad * n over its rows, as a row of `partials`. A thread meets the same columns in every
// row, so their sums are its own: in shared memory where blockDim.y * size floats fit (`in_shared`), else in
// `partials`.
template <typename T, int VEC>
__global__ void __launch_bounds__(kMostThreads)
    rms_norm_backward(T* __restrict__ grad_x, float* __restrict__ partials, const T* __restrict__ grad,
                      const T* __restrict__ x, const T* __restrict__ weight, int64_t rows, int64_t size,
                      int64_t grad_stride, int64_t x_stride, float eps, bool in_shared) {
  extern __shared__ __align__(16) float shared_sums[];
  float* const partial = partials + blockIdx.x * size;
  float* const sums = in_shared ? shared_sums + threadIdx.y * size : partial;
  const int64_t begin = threadIdx.x * VEC, step = blockDim.x * VEC;
  for (int64_t i = begin; i < size; i += step) {
#pragma unroll
    for (int j = 0; j < VEC; ++j) sums[i + j] = 0.0f;
  }
  for (int64_t row = first_row(); row < rows; row += row_step()) {
    const T *const dy = grad + row * grad_stride, *const from = x + row * x_stride;
    T* const to = grad_x + row * size;
    float squares = 0.0f, projection = 0.0f;
    for (int64_t i = begin; i < size; i += step) {
      const auto d = load<VEC>(dy + i), v = load<VEC>(from + i), w = load<VEC>(weight + i);
#pragma unroll
      for (int j = 0; j < VEC; ++j) {
        const float a = static_cast<float>(v[j]);
        squares += a * a;
        projection += a * static_cast<float>(d[j]) * static_cast<float>(w[j]);
      }
    }
    const float count = static_cast<float>(size);
    const float scale = gpuwheel::math::rsqrt(row_sum(squares) / count + eps);
    const float mean = row_sum(projection) / count * scale;
    for (int64_t i = begin; i < size; i += step) {
      const auto d = load<VEC>(dy + i), v = load<VEC>(from + i), w = load<VEC>(weight + i);
      Vector<T, VEC> dx;
      float share[VEC];
#pragma unroll
      for (int j = 0; j < VEC; ++j) {
        const float g = static_cast<float>(d[j]), n = static_cast<float>(v[j]) * scale;
        dx[j] = static_cast<T>(scale * (g * static_cast<float>(w[j]) - n * mean));
        share[j] = g * n;
      }
      store(to + i, dx);
      add(sums + i, share);
    }
  }
  if (!in_shared) return;
  __syncthreads();  // the columns of a thread are others from here on
  for (int64_t i = threadIdx.y * blockDim.x + threadIdx.x; i < size; i += blockDim.x * blockDim.y) {
    float sum = 0.0f;
    for (int line = 0; line < blockDim.y; ++line) sum += shared_sums[line * size + i];
    partial[i] = sum;
  }
}
INSTANTIATE(rms_norm_backward);
