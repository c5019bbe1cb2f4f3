// silu(gate) * up (Shazeer 2020) and its gradients, one vector of VEC elements per thread.
#include "vectors.cuh"

constexpr int kThreads = 256;  // of a block (THREADS in _launch.py)

// Where a thread works: in rows of `size` elements, each covered by `tiles` blocks.
struct Place {
  int64_t row, first;

  __device__ __forceinline__ Place(int tiles, int vector)
      : row(blockIdx.x / tiles), first((static_cast<int64_t>(blockIdx.x % tiles) * kThreads + threadIdx.x) * vector) {}
};

// By the two instructions of the hardware: the exact functions would cost more than the memory.
__device__ __forceinline__ float sigmoid(float x) { return __fdividef(1.0f, 1.0f + __expf(-x)); }

template <int N, typename T>
__device__ __forceinline__ void forward(T* out, const T* gate, const T* up) {
  const auto g = load<N>(gate), u = load<N>(up);
  Vector<T, N> y;
#pragma unroll
  for (int j = 0; j < N; ++j) {
    const float a = static_cast<float>(g[j]);
    y[j] = static_cast<T>(a * sigmoid(a) * static_cast<float>(u[j]));
  }
  store(out, y);
}

template <int N, typename T>
__device__ __forceinline__ void backward(T* grad_gate, T* grad_up, const T* grad, const T* gate, const T* up) {
  const auto dy = load<N>(grad), g = load<N>(gate), u = load<N>(up);
  Vector<T, N> dg, du;
#pragma unroll
  for (int j = 0; j < N; ++j) {
    const float d = static_cast<float>(dy[j]), a = static_cast<float>(g[j]), s = sigmoid(a);
    dg[j] = static_cast<T>(d * static_cast<float>(u[j]) * s * (1.0f + a * (1.0f - s)));
    du[j] = static_cast<T>(d * a * s);
  }
  store(grad_gate, dg);
  store(grad_up, du);
}

// The rows of `out` follow each other, those of `gate` and `up` lie a stride apart. Rows begin at multiples of a
// vector; the elements after the last whole one are worked on singly.
template <typename T, int VEC>
__global__ void __launch_bounds__(kThreads)
    swiglu(T* __restrict__ out, const T* __restrict__ gate, const T* __restrict__ up, int64_t size, int64_t gate_stride,
           int64_t up_stride, int tiles) {
  const Place at(tiles, VEC);
  out += at.row * size;
  gate += at.row * gate_stride;
  up += at.row * up_stride;
  int64_t i = at.first;
  if (i + VEC <= size) return forward<VEC>(out + i, gate + i, up + i);
  for (; i < size; ++i) forward<1>(out + i, gate + i, up + i);
}
INSTANTIATE(swiglu);

template <typename T, int VEC>
__global__ void __launch_bounds__(kThreads)
    swiglu_backward(T* __restrict__ grad_gate, T* __restrict__ grad_up, const T* __restrict__ grad,
                    const T* __restrict__ gate, const T* __restrict__ up, int64_t size, int64_t grad_stride,
                    int64_t gate_stride, int64_t up_stride, int tiles) {
  const Place at(tiles, VEC);
  grad_gate += at.row * size;
  grad_up += at.row * size;
  grad += at.row * grad_stride;
  gate += at.row * gate_stride;
  up += at.row * up_stride;
  int64_t i = at.first;
  if (i + VEC <= size) return backward<VEC>(grad_gate + i, grad_up + i, grad + i, gate + i, up + i);
  for (; i < size; ++i) backward<1>(grad_gate + i, grad_up + i, grad + i, gate + i, up + i);
}
INSTANTIATE(swiglu_backward);
