// N neighbouring elements, loaded and stored by one instruction.
#pragma once

#include <gpuwheel/device.h>

#include <cstdint>

using gpuwheel::Vector;
using std::int64_t;

template <int N, typename T>
__device__ __forceinline__ Vector<T, N> load(const T* at) {
  return *reinterpret_cast<const Vector<T, N>*>(at);
}

template <int N, typename T>
__device__ __forceinline__ void store(T* at, const Vector<T, N>& values) {
  *reinterpret_cast<Vector<T, N>*>(at) = values;
}

// A kernel for each element type that CUDA tensors may have, with loads of 16 bytes and of one element.
#define INSTANTIATE(kernel)                            \
  GPUWHEEL_INSTANTIATE(kernel<float, 4>);              \
  GPUWHEEL_INSTANTIATE(kernel<float, 1>);              \
  GPUWHEEL_INSTANTIATE(kernel<gpuwheel::half, 8>);     \
  GPUWHEEL_INSTANTIATE(kernel<gpuwheel::half, 1>);     \
  GPUWHEEL_INSTANTIATE(kernel<gpuwheel::bfloat16, 8>); \
  GPUWHEEL_INSTANTIATE(kernel<gpuwheel::bfloat16, 1>)
