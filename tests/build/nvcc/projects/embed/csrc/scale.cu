#include <gpuwheel/device.h>
#include "scale.h"

namespace tiny {
template <typename T>
__global__ void scale(T* out, const T* x, int64_t n, float factor) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n) out[i] = scaled(x[i], factor);
}
GPUWHEEL_INSTANTIATE(scale<float>);
}  // namespace tiny
