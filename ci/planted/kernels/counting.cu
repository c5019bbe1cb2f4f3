// Atomics, votes and shuffles: histograms, compaction, sums over blocks with the last block at the end.
#include <cstdint>

// counts[bin] += how many of x fall into it; a table of each block in shared memory first.
extern "C" __global__ void histogram(unsigned* counts, const unsigned* x, int count, int bins) {
  extern __shared__ unsigned table[];
  for (int bin = threadIdx.x; bin < bins; bin += blockDim.x) {
    table[bin] = 0;
  }
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
    atomicAdd(&table[x[i] % bins], 1u);
  }
  __syncthreads();
  for (int bin = threadIdx.x; bin < bins; bin += blockDim.x) {
    if (table[bin] > 0) atomicAdd(&counts[bin], table[bin]);
  }
}

// The places of x that are not zero, in any order; `found` is their number, zero before.
extern "C" __global__ void compact(int* places, unsigned* found, const int* x, int count) {
  __shared__ unsigned from[32];
  const int i = blockIdx.x * blockDim.x + threadIdx.x, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const bool keep = i < count && x[i] != 0;
  const unsigned mine = __ballot_sync(0xffffffffu, keep);
  if (lane == 0) {
    from[warp] = atomicAdd(&found[0], __popc(mine));
  }
  __syncwarp();
  const unsigned before = mine & ((1u << lane) - 1);
  if (keep) places[from[warp] + __popc(before)] = i;
}

// total[0] = the sum of x. Each block leaves its sum; the last that comes adds them up.
extern "C" __global__ void sum_by_last_block(float* total, float* sums, unsigned* arrived, const float* x, int count) {
  __shared__ float warps[32];
  __shared__ unsigned last[1];
  float sum = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) sum += x[i];
  for (int step = 16; step > 0; step /= 2) sum += __shfl_down_sync(0xffffffffu, sum, step);
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    float all = 0;
    for (int warp = 0; warp < blockDim.x / 32; ++warp) all += warps[warp];
    sums[blockIdx.x] = all;
    __threadfence();
    last[0] = atomicAdd(&arrived[0], 1u) == gridDim.x - 1;
  }
  __syncthreads();
  if (last[0] == 0) return;
  __threadfence();
  if (threadIdx.x == 0) {
    float all = 0;
    for (int block = 0; block < gridDim.x; ++block) all += *(volatile float*)(sums + block);
    *total = all;
    arrived[0] = 0;
  }
}

// out[i] = x[0] + ... + x[i] within each block of blockDim.x elements.
extern "C" __global__ void block_scan(int* out, const int* x, int count) {
  __shared__ int sums[32];
  const int i = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int value = i < count ? x[i] : 0;
  for (int step = 1; step < 32; step *= 2) {
    const int other = __shfl_up_sync(0xffffffffu, value, step);
    if (lane >= step) value += other;
  }
  if (lane == 31) sums[warp] = value;
  __syncthreads();
  if (warp == 0) {
    int total = lane < blockDim.x / 32 ? sums[lane] : 0;
    for (int step = 1; step < 32; step *= 2) {
      const int other = __shfl_up_sync(0xffffffffu, total, step);
      if (lane >= step) total += other;
    }
    __syncwarp();
    sums[lane] = total;
  }
  __syncthreads();
  if (warp > 0) value += sums[warp - 1];
  if (i < count) out[i] = value;
}
