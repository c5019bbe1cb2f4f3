#include <gpuwheel/device.h>

namespace first_wheel {

template <typename T>
__global__ void axpy(T* __restrict__ out, const T* __restrict__ x, const T* __restrict__ y, float alpha, int64_t count) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride) {
    out[i] = static_cast<T>(alpha * static_cast<float>(x[i]) + static_cast<float>(y[i]));
  }
}

GPUWHEEL_INSTANTIATE(axpy<float>);
GPUWHEEL_INSTANTIATE(axpy<gpuwheel::half>);
GPUWHEEL_INSTANTIATE(axpy<gpuwheel::bfloat16>);

}  // namespace first_wheel
