// Shuffles of a warp, and sums over a warp and a block. The first are without a namespace, as in torch.
#pragma once

#include <gpuwheel_compat/cuda_errors.h>

#ifdef __CUDACC__
__device__ __forceinline__ unsigned int ACTIVE_MASK() { return __activemask(); }
__device__ __forceinline__ void WARP_SYNC(unsigned mask = 0xffffffff) { __syncwarp(mask); }
__device__ __forceinline__ unsigned int WARP_BALLOT(int predicate, unsigned mask = 0xffffffff) {
  return __ballot_sync(mask, predicate);
}
// CUDA shuffles numbers of 32 and 64 bits; torch's 16-bit types go as their bits, complex numbers in two parts.
#define GWC_SHUFFLE(NAME, INTRINSIC, BY)                                                                          \
  template <class T>                                                                                              \
  __device__ __forceinline__ T NAME(T value, BY by, int width = warpSize, unsigned mask = 0xffffffff) {           \
    if constexpr (std::is_same_v<T, c10::Half> || std::is_same_v<T, c10::BFloat16>)                               \
      return T(static_cast<unsigned short>(INTRINSIC(mask, static_cast<unsigned>(value.x), by, width)),           \
               typename T::from_bits_t{});                                                                        \
    else                                                                                                          \
      return INTRINSIC(mask, value, by, width);                                                                   \
  }                                                                                                               \
  template <class T>                                                                                              \
  __device__ __forceinline__ c10::complex<T> NAME(c10::complex<T> value, BY by, int width = warpSize,             \
                                                  unsigned mask = 0xffffffff) {                                   \
    return c10::complex<T>(INTRINSIC(mask, value.real_, by, width), INTRINSIC(mask, value.imag_, by, width));     \
  }
GWC_SHUFFLE(WARP_SHFL, __shfl_sync, int)
GWC_SHUFFLE(WARP_SHFL_XOR, __shfl_xor_sync, int)
GWC_SHUFFLE(WARP_SHFL_UP, __shfl_up_sync, unsigned)
GWC_SHUFFLE(WARP_SHFL_DOWN, __shfl_down_sync, unsigned)
#undef GWC_SHUFFLE
template <class T>
__device__ __forceinline__ T doLdg(const T* p) {
  return __ldg(p);
}

namespace gpuwheel_compat::native::cuda_utils {
constexpr int kCUDABlockReduceNumThreads = 512;
constexpr int kCUDABlockReduceMaxThreads = C10_WARP_SIZE * C10_WARP_SIZE;
/// The sum over a warp, in its first lane.
template <class T>
__inline__ __device__ T WarpReduceSum(T value) {
#pragma unroll
  for (int offset = C10_WARP_SIZE >> 1; offset > 0; offset >>= 1) value += WARP_SHFL_DOWN(value, offset);
  return value;
}
template <class T, class Op>
__inline__ __device__ T WarpReduce(T value, const Op& op) {
#pragma unroll
  for (int offset = C10_WARP_SIZE >> 1; offset > 0; offset >>= 1) value = op.combine(value, op.warp_shfl_down(value, offset));
  return value;
}
/// The sum over a block of one dimension, in its first thread; `shared` has a place for each warp.
template <class T>
__inline__ __device__ T BlockReduceSum(T value, T* shared) {
  const int lane = threadIdx.x % C10_WARP_SIZE, warp = threadIdx.x / C10_WARP_SIZE;
  value = WarpReduceSum(value);
  __syncthreads();  // a second sum must not write over what the first still reads
  if (lane == 0) shared[warp] = value;
  __syncthreads();
  value = threadIdx.x < blockDim.x / C10_WARP_SIZE ? shared[lane] : T(0);
  if (warp == 0) value = WarpReduceSum(value);
  return value;
}
}  // namespace gpuwheel_compat::native::cuda_utils
namespace at::native {
using namespace gpuwheel_compat::native;
}
#endif
