#include "kernels.h"

namespace own {
__global__ void scale(float* out, const float* x, long long n, float factor) {
  const long long i = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
  if (i < n) out[i] = x[i] * factor;
}
}  // namespace own

cudaError_t launch_scale(float* out, const float* x, long long n, float factor, void* stream) {
  own::scale<<<(n + 255) / 256, 256, 0, static_cast<cudaStream_t>(stream)>>>(out, x, n, factor);
  return cudaGetLastError();
}
