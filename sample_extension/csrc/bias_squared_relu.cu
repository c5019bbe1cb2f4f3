#include "bias_squared_relu.h"

#include "flat.cuh"

namespace gpuwheel_sample::kernels {

template <typename T, int VEC>
__global__ void __launch_bounds__(kFlatThreads, kFlatBlocks)
    bias_squared_relu(T* __restrict__ y, const T* __restrict__ x, const T* __restrict__ bias, int64_t rows, int size) {
  for_elements_and_bias<VEC>(y, x, bias, rows, size, [](const float(&in)[2], float(&out)[1]) { out[0] = BiasSquaredRelu<float>::forward(in[0], in[1]); });
}

template <typename T, int VEC>
__global__ void __launch_bounds__(kGroupThreads, kColumnBlocks)
    bias_squared_relu_backward(T* __restrict__ grad_x, float* __restrict__ partials, const T* __restrict__ grad, const T* __restrict__ x,
                       const T* __restrict__ bias, int64_t rows, int size) {
  bias_gradients<VEC>(grad_x, partials, grad, x, bias, rows, size, [](float g, float v, float b) { return BiasSquaredRelu<float>::backward(g, v, b); });
}

GPUWHEEL_SAMPLE_INSTANTIATE(bias_squared_relu);
GPUWHEEL_SAMPLE_INSTANTIATE(bias_squared_relu_backward);

}  // namespace gpuwheel_sample::kernels
