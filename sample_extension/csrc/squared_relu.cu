#include "squared_relu.h"

#include "flat.cuh"

namespace gpuwheel_sample::kernels {

template <typename T, int VEC>
__global__ void __launch_bounds__(kFlatThreads, kFlatBlocks) squared_relu(T* __restrict__ y, const T* __restrict__ x, int64_t count) {
  const T* const in[] = {x};
  T* const out[] = {y};
  for_elements<VEC>(in, out, count, [](const float(&a)[1], float(&b)[1]) { b[0] = SquaredRelu<float>::forward(a[0]); });
}

template <typename T, int VEC>
__global__ void __launch_bounds__(kFlatThreads, kFlatBlocks)
    squared_relu_backward(T* __restrict__ grad_x, const T* __restrict__ grad, const T* __restrict__ x, int64_t count) {
  const T* const in[] = {grad, x};
  T* const out[] = {grad_x};
  for_elements<VEC>(in, out, count, [](const float(&a)[2], float(&b)[1]) { b[0] = SquaredRelu<float>::backward(a[0], a[1]); });
}

GPUWHEEL_SAMPLE_INSTANTIATE(squared_relu);
GPUWHEEL_SAMPLE_INSTANTIATE(squared_relu_backward);

}  // namespace gpuwheel_sample::kernels
