// Compiled by nvcc 13.0.88 -arch=sm_80 -maxrregcount=16 -cubin into spilling.sm_80.cubin; ptxas -v said:
// 40 bytes stack frame, 40 bytes spill stores, 40 bytes spill loads.
extern "C" __global__ void spilling(float* x) {
  float held[24];
#pragma unroll
  for (int i = 0; i < 24; ++i) held[i] = x[i * 32 + threadIdx.x];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 24; ++i) x[i * 64 + threadIdx.x] = held[23 - i] * held[(i * 7) % 24];
}
