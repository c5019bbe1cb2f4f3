#include "rotary_embedding.h"

#include <gpuwheel/device.h>

#include "geometry.h"
#include "rows.cuh"

namespace gpuwheel_sample::kernels {

// x: tokens rows of heads * 2 * half elements, token t at position t % positions. A thread rotates a vector of the first
// half of a head with its mate of the second. direction: 1, or -1 for the gradient.
template <typename T, int VEC>
__global__ void __launch_bounds__(kFlatThreads, kFlatBlocks)
    rotary_embedding(T* __restrict__ y, const T* __restrict__ x, const T* __restrict__ cos, const T* __restrict__ sin, int64_t tokens,
                     int64_t positions, int heads, int half, float direction) {
  using Op = RotaryEmbedding<float>;
  const unsigned half_vectors = half / VEC, pairs = heads * half_vectors;
  for_rows(tokens, [&](int64_t token, bool inside) {
    if (!inside) return;
    const int64_t offset = token * heads * 2 * half, position = token % positions * half;
#pragma unroll 2
    for (unsigned pair = threadIdx.x; pair < pairs; pair += blockDim.x) {
      const unsigned head = pair / half_vectors, i = pair % half_vectors;
      const int64_t start = offset + static_cast<int64_t>(head) * 2 * half;
      const Vector<T, VEC> x1 = load<VEC>(x + start, i), x2 = load<VEC>(x + start + half, i);
      const Vector<T, VEC> c = load<VEC>(cos + position, i), s = load<VEC>(sin + position, i);
      Vector<T, VEC> y1, y2;
#pragma unroll
      for (int j = 0; j < VEC; ++j) {
        const float a = static_cast<float>(x1[j]), b = static_cast<float>(x2[j]);
        const float cosine = static_cast<float>(c[j]), sine = direction * static_cast<float>(s[j]);
        y1[j] = static_cast<T>(Op::first(a, b, cosine, sine));
        y2[j] = static_cast<T>(Op::second(a, b, cosine, sine));
      }
      store(y + start, i, y1);
      store(y + start + half, i, y2);
    }
  });
}

GPUWHEEL_INSTANTIATE(rotary_embedding<float, 4>);
GPUWHEEL_INSTANTIATE(rotary_embedding<float, 1>);
GPUWHEEL_INSTANTIATE(rotary_embedding<gpuwheel::half, 8>);
GPUWHEEL_INSTANTIATE(rotary_embedding<gpuwheel::half, 1>);
GPUWHEEL_INSTANTIATE(rotary_embedding<gpuwheel::bfloat16, 8>);
GPUWHEEL_INSTANTIATE(rotary_embedding<gpuwheel::bfloat16, 1>);

}  // namespace gpuwheel_sample::kernels
