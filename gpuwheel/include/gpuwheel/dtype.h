// Element types and function qualifiers that device code and its CPU twin share. Compiled by NVRTC, nvcc and any C++17
// compiler; on the host the 16-bit types are torch's when its headers are there, else small ones of our own.
#pragma once

#include <gpuwheel/namespace.h>

#if defined(__CUDACC__)  // NVRTC defines it too
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#define GPUWHEEL_HOST_DEVICE __host__ __device__ __forceinline__
#elif __has_include(<torch/headeronly/util/Half.h>)
#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>
#define GPUWHEEL_HOST_DEVICE inline
#else
#include <gpuwheel/float16.h>
#define GPUWHEEL_HOST_DEVICE inline
#endif

GPUWHEEL_NAMESPACE_BEGIN

#if defined(__CUDACC__)
using half = __half;
using bfloat16 = __nv_bfloat16;
#elif __has_include(<torch/headeronly/util/Half.h>)
using half = torch::headeronly::Half;
using bfloat16 = torch::headeronly::BFloat16;
#else
using half = float16::Half;
using bfloat16 = float16::BFloat16;
#endif

namespace detail {
template <typename T>
struct Accumulator {
  using type = float;
};
template <>
struct Accumulator<double> {
  using type = double;
};
}  // namespace detail

// The type to add up elements of type T in: float, and double for double.
template <typename T>
using accumulate_t = typename detail::Accumulator<T>::type;

GPUWHEEL_NAMESPACE_END
