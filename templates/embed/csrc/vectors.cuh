// Vectors of N elements that a thread loads and stores at once: 16 bytes, or one element (see with_vectors in host.h).
#pragma once

#include <gpuwheel/device.h>

namespace kernels {

using gpuwheel::Vector;

// Vector number i.
template <int N, typename T>
__device__ __forceinline__ Vector<T, N> load(const T* data, int64_t i) {
  return reinterpret_cast<const Vector<T, N>*>(data)[i];
}
template <int N, typename T>
__device__ __forceinline__ void store(T* data, int64_t i, const Vector<T, N>& vector) {
  reinterpret_cast<Vector<T, N>*>(data)[i] = vector;
}

}  // namespace kernels

// A kernel template <T, N> for each element type of CUDA tensors.
#define INSTANTIATE(kernel)                            \
  GPUWHEEL_INSTANTIATE(kernel<float, 4>);              \
  GPUWHEEL_INSTANTIATE(kernel<float, 1>);              \
  GPUWHEEL_INSTANTIATE(kernel<gpuwheel::half, 8>);     \
  GPUWHEEL_INSTANTIATE(kernel<gpuwheel::half, 1>);     \
  GPUWHEEL_INSTANTIATE(kernel<gpuwheel::bfloat16, 8>); \
  GPUWHEEL_INSTANTIATE(kernel<gpuwheel::bfloat16, 1>)
