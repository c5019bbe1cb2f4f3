#include "swiglu.h"

#include "flat.cuh"

namespace gpuwheel_sample::kernels {

template <typename T, int VEC>
__global__ void __launch_bounds__(kFlatThreads, kFlatBlocks)
    swiglu(T* __restrict__ y, const T* __restrict__ gate, const T* __restrict__ up, int64_t count) {
  const T* const in[] = {gate, up};
  T* const out[] = {y};
  for_elements<VEC>(in, out, count, [](const float(&a)[2], float(&b)[1]) { b[0] = SwiGlu<float>::forward(a[0], a[1]); });
}

template <typename T, int VEC>
__global__ void __launch_bounds__(kFlatThreads, kFlatBlocks)
    swiglu_backward(T* __restrict__ grad_gate, T* __restrict__ grad_up, const T* __restrict__ grad, const T* __restrict__ gate,
                    const T* __restrict__ up, int64_t count) {
  const T* const in[] = {grad, gate, up};
  T* const out[] = {grad_gate, grad_up};
  for_elements<VEC>(in, out, count, [](const float(&a)[3], float(&b)[2]) {
    b[0] = SwiGlu<float>::gate_gradient(a[0], a[1], a[2]);
    b[1] = SwiGlu<float>::up_gradient(a[0], a[1]);
  });
}

GPUWHEEL_SAMPLE_INSTANTIATE(swiglu);
GPUWHEEL_SAMPLE_INSTANTIATE(swiglu_backward);

}  // namespace gpuwheel_sample::kernels
