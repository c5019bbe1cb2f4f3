// Elementwise kernels: every thread has kFlatUnroll vectors of each input in flight; the grid fills the device and walks
// over what is left.
#pragma once

#include <gpuwheel/device.h>

#include "geometry.h"
#include "rows.cuh"

namespace gpuwheel_sample {

// out[j] = f(in[0][j], ...) for the elements of one vector. f(const float (&in)[IN], float (&out)[OUT]).
template <int VEC, int IN, int OUT, typename T, typename F>
__device__ __forceinline__ void apply(const Vector<T, VEC> (&in)[IN], T* const (&out)[OUT], int64_t i, const F& f) {
  Vector<T, VEC> results[OUT];
#pragma unroll
  for (int j = 0; j < VEC; ++j) {
    float arguments[IN], values[OUT];
#pragma unroll
    for (int n = 0; n < IN; ++n) arguments[n] = static_cast<float>(in[n][j]);
    f(arguments, values);
#pragma unroll
    for (int n = 0; n < OUT; ++n) results[n][j] = static_cast<T>(values[n]);
  }
#pragma unroll
  for (int n = 0; n < OUT; ++n) store(out[n], i, results[n]);
}

// The same for `count` elements in order; pointers are multiples of a vector, `count` need not be.
template <int VEC, int IN, int OUT, typename T, typename F>
__device__ __forceinline__ void for_elements(const T* const (&in)[IN], T* const (&out)[OUT], int64_t count, const F& f) {
  const int64_t vectors = count / VEC, stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  int64_t i = first;
#pragma unroll 1
  for (; i + (kFlatUnroll - 1) * stride < vectors; i += kFlatUnroll * stride) {
    Vector<T, VEC> loaded[kFlatUnroll][IN];
#pragma unroll
    for (int k = 0; k < kFlatUnroll; ++k) {
#pragma unroll
      for (int n = 0; n < IN; ++n) loaded[k][n] = load<VEC>(in[n], i + k * stride);
    }
#pragma unroll
    for (int k = 0; k < kFlatUnroll; ++k) apply<VEC>(loaded[k], out, i + k * stride, f);
  }
#pragma unroll 1
  for (; i < vectors; i += stride) {
    Vector<T, VEC> loaded[IN];
#pragma unroll
    for (int n = 0; n < IN; ++n) loaded[n] = load<VEC>(in[n], i);
    apply<VEC>(loaded, out, i, f);
  }
  if (VEC > 1 && first < count % VEC) {  // the elements after the last whole vector
    Vector<T, 1> loaded[IN];
#pragma unroll
    for (int n = 0; n < IN; ++n) loaded[n] = load<1>(in[n], vectors * VEC + first);
    apply<1>(loaded, out, vectors * VEC + first, f);
  }
}

// out = f(x, bias) for rows of `size` elements, whole vectors: f(const float (&x_and_bias)[2], float (&out)[1]).
template <int VEC, typename T, typename F>
__device__ __forceinline__ void for_elements_and_bias(T* out, const T* x, const T* bias, int64_t rows, int size, const F& f) {
  T* const outs[1] = {out};
  const int row_vectors = size / VEC;
  const int64_t vectors = rows * row_vectors, stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  // The column of a thread moves by a constant: one division per thread instead of one per vector.
  const int step = static_cast<int>(stride % row_vectors);
  int column = static_cast<int>(i % row_vectors);
  const auto next_column = [&] {
    const int current = column;
    column = step < row_vectors - column ? column + step : column - (row_vectors - step);
    return current;
  };
#pragma unroll 1
  for (; i + (kFlatUnroll - 1) * stride < vectors; i += kFlatUnroll * stride) {
    Vector<T, VEC> loaded[kFlatUnroll][2];
#pragma unroll
    for (int k = 0; k < kFlatUnroll; ++k) {
      loaded[k][0] = load<VEC>(x, i + k * stride);
      loaded[k][1] = load<VEC>(bias, next_column());
    }
#pragma unroll
    for (int k = 0; k < kFlatUnroll; ++k) apply<VEC>(loaded[k], outs, i + k * stride, f);
  }
#pragma unroll 1
  for (; i < vectors; i += stride) {
    const Vector<T, VEC> loaded[2] = {load<VEC>(x, i), load<VEC>(bias, next_column())};
    apply<VEC>(loaded, outs, i, f);
  }
}

// grad_x = f(grad, x, bias), and one row of `partials` per blockIdx.y: the sums of its columns over the rows this block
// sees. blockDim.x threads share a row of the tile of columns blockIdx.x; rows go round blockDim.y and gridDim.y.
template <int VEC, typename T, typename F>
__device__ __forceinline__ void bias_gradients(T* grad_x, float* partials, const T* grad, const T* x, const T* bias, int64_t rows, int size, const F& f) {
  const int vectors = size / VEC, column = blockIdx.x * blockDim.x + threadIdx.x;
  float sums[VEC] = {};
  if (column < vectors) {
    const Vector<T, VEC> b = load<VEC>(bias, column);
    const auto add_row = [&](int64_t row, const Vector<T, VEC>& g, const Vector<T, VEC>& v) {
      Vector<T, VEC> out;
#pragma unroll
      for (int j = 0; j < VEC; ++j) {
        const float value = f(static_cast<float>(g[j]), static_cast<float>(v[j]), static_cast<float>(b[j]));
        sums[j] += value;
        out[j] = static_cast<T>(value);
      }
      store(grad_x + row * size, column, out);
    };
    const int64_t stride = static_cast<int64_t>(gridDim.y) * blockDim.y;
    int64_t row = static_cast<int64_t>(blockIdx.y) * blockDim.y + threadIdx.y;
#pragma unroll 1
    for (; row + (kFlatUnroll - 1) * stride < rows; row += kFlatUnroll * stride) {
      Vector<T, VEC> g[kFlatUnroll], v[kFlatUnroll];
#pragma unroll
      for (int k = 0; k < kFlatUnroll; ++k) {
        g[k] = load<VEC>(grad + (row + k * stride) * size, column);
        v[k] = load<VEC>(x + (row + k * stride) * size, column);
      }
#pragma unroll
      for (int k = 0; k < kFlatUnroll; ++k) add_row(row + k * stride, g[k], v[k]);
    }
#pragma unroll 1
    for (; row < rows; row += stride) add_row(row, load<VEC>(grad + row * size, column), load<VEC>(x + row * size, column));
  }
  block_rows_sum(sums);
  if (threadIdx.y == 0 && column < vectors) {
    float* partial = partials + static_cast<int64_t>(blockIdx.y) * size + static_cast<int64_t>(column) * VEC;
#pragma unroll
    for (int j = 0; j < VEC; ++j) partial[j] = sums[j];
  }
}

}  // namespace gpuwheel_sample

// A kernel for each element type that CUDA tensors may have, with loads of 16 bytes and of one element.
#define GPUWHEEL_SAMPLE_INSTANTIATE(kernel)               \
  GPUWHEEL_INSTANTIATE(kernel<float, 4>);                 \
  GPUWHEEL_INSTANTIATE(kernel<float, 1>);                 \
  GPUWHEEL_INSTANTIATE(kernel<gpuwheel::half, 8>);        \
  GPUWHEEL_INSTANTIATE(kernel<gpuwheel::half, 1>);        \
  GPUWHEEL_INSTANTIATE(kernel<gpuwheel::bfloat16, 8>);    \
  GPUWHEEL_INSTANTIATE(kernel<gpuwheel::bfloat16, 1>)
