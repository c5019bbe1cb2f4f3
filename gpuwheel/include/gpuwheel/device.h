// For device code (.cu files) only. Compiles under NVRTC and under nvcc.
#pragma once

#if !defined(__CUDACC__)
#error gpuwheel: <gpuwheel/device.h> is for .cu files; host code includes <gpuwheel/torch.h>, and both include <gpuwheel/dtype.h>
#endif

#include <gpuwheel/dtype.h>

#include <cstdint>

// GPUWHEEL_INSTANTIATE(add_rms_norm<float, 4>); compiles this instantiation of a kernel template; the generated header
// offers it to the host under the same name. Stands in the namespace of the template.
#define GPUWHEEL_INSTANTIATE(...) template __global__ decltype(__VA_ARGS__) __VA_ARGS__

GPUWHEEL_NAMESPACE_BEGIN

// N elements that are read and written by one instruction (up to 16 bytes): their address must be a multiple of the size.
template <typename T, int N>
struct alignas(sizeof(T) * N) Vector {
  static_assert(N > 0 && (N & (N - 1)) == 0 && sizeof(T) * N <= 16, "gpuwheel: a vector has 1, 2, 4 ... elements in at most 16 bytes");
  T values[N];

  __device__ __forceinline__ T& operator[](int i) { return values[i]; }
  __device__ __forceinline__ const T& operator[](int i) const { return values[i]; }
};

GPUWHEEL_NAMESPACE_END
