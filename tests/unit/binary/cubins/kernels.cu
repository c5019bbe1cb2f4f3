// Compiled by NVRTC 12.9.86 with --gpu-architecture=sm_75, sm_90, sm_100 into kernels.sm_XX.cubin beside this file.
template <typename T, int N>
__global__ void reverse(T* x, unsigned n) {
  __shared__ T s[N];
  s[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = s[n - threadIdx.x];
}
template __global__ void reverse<float, 64>(float*, unsigned);
extern "C" __global__ void framed(int* x, short n, long long index) {
  volatile int local[8];
  for (int i = 0; i < n; ++i) local[i] = x[i];
  x[index] = local[n - 1];
}
