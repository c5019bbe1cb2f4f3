// The benchmark's stand-in for gpuwheel's header of this name: torch's own 16-bit types on both sides, as extensions built
// by torch.utils.cpp_extension have them (it switches the conversions of CUDA's __half off).
#pragma once

#include <gpuwheel/namespace.h>

#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#if defined(__CUDACC__)
#define GPUWHEEL_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define GPUWHEEL_HOST_DEVICE inline
#endif

namespace gpuwheel {

using half = torch::headeronly::Half;
using bfloat16 = torch::headeronly::BFloat16;

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

template <typename T>
using accumulate_t = typename detail::Accumulator<T>::type;

}  // namespace gpuwheel
