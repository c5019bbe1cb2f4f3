// Elementwise: a thread computes one vector of N elements; the grid covers all of them.
#include "swiglu.h"

#include "vectors.cuh"

namespace kernels {

using Op = SwiGlu<float>;

__device__ __forceinline__ int64_t thread_index() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

// Where vector number i is, of rows of `size` vectors that are `stride` vectors apart.
__device__ __forceinline__ int64_t place(int64_t i, int64_t size, int64_t stride) {
  return stride == size ? i : i / size * stride + i % size;
}

template <typename T, int N>
__global__ void swiglu(T* __restrict__ y, const T* __restrict__ gate, const T* __restrict__ up, int64_t vectors,
                       int64_t size, int64_t gate_stride, int64_t up_stride) {
  const int64_t i = thread_index();
  if (i >= vectors) return;
  const Vector<T, N> a = load<N>(gate, place(i, size, gate_stride)), b = load<N>(up, place(i, size, up_stride));
  Vector<T, N> out;
  for (int j = 0; j < N; ++j) out[j] = static_cast<T>(Op::forward(static_cast<float>(a[j]), static_cast<float>(b[j])));
  store(y, i, out);
}

template <typename T, int N>
__global__ void swiglu_backward(T* __restrict__ grad_gate, T* __restrict__ grad_up, const T* __restrict__ grad,
                                const T* __restrict__ gate, const T* __restrict__ up, int64_t vectors, int64_t size,
                                int64_t grad_stride, int64_t gate_stride, int64_t up_stride) {
  const int64_t i = thread_index();
  if (i >= vectors) return;
  const Vector<T, N> g = load<N>(grad, place(i, size, grad_stride)), a = load<N>(gate, place(i, size, gate_stride));
  const Vector<T, N> b = load<N>(up, place(i, size, up_stride));
  Vector<T, N> to_gate, to_up;
  for (int j = 0; j < N; ++j) {
    const float gj = static_cast<float>(g[j]), aj = static_cast<float>(a[j]);
    to_gate[j] = static_cast<T>(Op::gate_gradient(gj, aj, static_cast<float>(b[j])));
    to_up[j] = static_cast<T>(Op::up_gradient(gj, aj));
  }
  store(grad_gate, i, to_gate);
  store(grad_up, i, to_up);
}

INSTANTIATE(swiglu);
INSTANTIATE(swiglu_backward);

}  // namespace kernels
