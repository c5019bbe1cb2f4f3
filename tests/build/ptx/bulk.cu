// What the async proxy does: copies in bulk, told by mbarriers or in groups, within a cluster too; st.async and red.async.
#include <cooperative_groups.h>
#include <cuda/barrier>
#include <cuda/ptx>

namespace cg = cooperative_groups;
namespace ptx = cuda::ptx;
using Barrier = cuda::barrier<cuda::thread_scope_block>;

__device__ unsigned shared_address(const void* at) { return (unsigned)__cvta_generic_to_shared(at); }

__device__ void wait(unsigned barrier, unsigned parity) {
  asm volatile("{ .reg .pred p; W: mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1; @!p bra W; }" ::"r"(barrier), "r"(parity) : "memory");
}

extern "C" {

// As the CUDA C++ programming guide has it: through cuda::barrier.
__global__ void guide(int* data) {
  __shared__ alignas(16) int buffer[256];
  __shared__ Barrier bar;
  if (threadIdx.x == 0) {
    init(&bar, blockDim.x);
    cuda::device::experimental::fence_proxy_async_shared_cta();
  }
  __syncthreads();
  Barrier::arrival_token token;
  if (threadIdx.x == 0) {
    cuda::memcpy_async(buffer, data + blockIdx.x * 256, cuda::aligned_size_t<16>(sizeof buffer), bar);
  }
  token = bar.arrive();
  bar.wait(std::move(token));
  for (int i = threadIdx.x; i < 256; i += blockDim.x) buffer[i] += 1;
  cuda::device::experimental::fence_proxy_async_shared_cta();
  __syncthreads();
  if (threadIdx.x == 0) {
    cuda::device::experimental::cp_async_bulk_shared_to_global(data + blockIdx.x * 256, buffer, sizeof buffer);
    cuda::device::experimental::cp_async_bulk_commit_group();
    cuda::device::experimental::cp_async_bulk_wait_group_read<0>();
  }
}

// Two stages, filled by one warp while the others read; what is read without a wait is NaN.
__global__ void stages(float* y, const float* x, int waits) {
  __shared__ alignas(128) float s[2][64];
  __shared__ alignas(8) unsigned long long full[2], empty[2];
  const int t = threadIdx.x;
  if (t == 0) {
    for (int k = 0; k < 2; ++k) {
      ptx::mbarrier_init(&full[k], 1);
      ptx::mbarrier_init(&empty[k], 64);
    }
    asm volatile("fence.mbarrier_init.release.cluster;");
  }
  __syncthreads();
  for (int r = 0; r < 4; ++r) {
    const int k = r & 1;
    if (t == 64) {
      if (r >= 2) wait(shared_address(&empty[k]), (r / 2 - 1) & 1);
      asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], 256;" ::"r"(shared_address(&full[k])) : "memory");
      asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], 256, [%2];" ::"r"(shared_address(s[k])),
                   "l"(x + 64 * r), "r"(shared_address(&full[k]))
                   : "memory");
    } else if (t < 64) {
      if (waits) wait(shared_address(&full[k]), (r / 2) & 1);
      y[64 * r + t] = s[k][63 - t] + 1;
      asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(&empty[k])) : "memory");
    }
  }
}

// One block reads for all of its cluster.
__global__ void __cluster_dims__(4, 1, 1) multicast(float* y, const float* x) {
  __shared__ alignas(128) float s[32];
  __shared__ alignas(8) unsigned long long bar;
  const unsigned at = shared_address(&bar);
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(&bar, 1);
    asm volatile("fence.mbarrier_init.release.cluster;");
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], 128;" ::"r"(at) : "memory");
  }
  cg::this_cluster().sync();
  if (blockIdx.x % 4 == 1 && threadIdx.x == 0) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1], 128, [%2], %3;" ::"r"(shared_address(s)),
                 "l"(x + blockIdx.x / 4 * 32), "r"(at), "h"((unsigned short)0xb)
                 : "memory");
  }
  if (blockIdx.x % 4 != 2) {
    wait(at, 0);
    y[blockIdx.x * 32 + threadIdx.x] = s[threadIdx.x];
  }
  cg::this_cluster().sync();
}

// Each block sends to the next of its cluster: in bulk, by values, and by additions.
__global__ void __cluster_dims__(2, 1, 1) sends(int* y) {
  __shared__ alignas(128) int from[32], to[32], values[64], sum[2];
  __shared__ alignas(8) unsigned long long bar;
  const unsigned t = threadIdx.x, other = cg::this_cluster().block_rank() ^ 1;
  from[t] = blockIdx.x * 100 + t;
  if (t < 2) sum[t] = 1000;
  if (t == 0) {
    ptx::mbarrier_init(&bar, 1);
    asm volatile("fence.mbarrier_init.release.cluster;");
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(&bar)), "r"(128 + 32 * 8 + 32 * 4) : "memory");
  }
  asm volatile("fence.proxy.async.shared::cta;");
  cg::this_cluster().sync();
  unsigned far_to, far_bar, far_values, far_sum;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(far_to) : "r"(shared_address(to)), "r"(other));
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(far_bar) : "r"(shared_address(&bar)), "r"(other));
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(far_values) : "r"(shared_address(&values[2 * t])), "r"(other));
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(far_sum) : "r"(shared_address(&sum[t & 1])), "r"(other));
  if (t == 0) {
    asm volatile("cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%0], [%1], 128, [%2];" ::"r"(far_to), "r"(shared_address(from)),
                 "r"(far_bar)
                 : "memory");
  }
  asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v2.b32 [%0], {%1, %2}, [%3];" ::"r"(far_values), "r"(t), "r"(-t), "r"(far_bar)
               : "memory");
  asm volatile("red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add.s32 [%0], %1, [%2];" ::"r"(far_sum), "r"(t), "r"(far_bar) : "memory");
  wait(shared_address(&bar), 0);
  int* const mine = y + blockIdx.x * 160;
  mine[t] = to[t];
  mine[32 + 2 * t] = values[2 * t];
  mine[33 + 2 * t] = values[2 * t + 1];
  mine[96 + t] = sum[t & 1];
  cg::this_cluster().sync();
}

// The source may not be written before the group that reads it was waited for.
__global__ void written_too_early(float* y, int waits) {
  __shared__ alignas(128) float s[32];
  s[threadIdx.x] = threadIdx.x;
  asm volatile("fence.proxy.async.shared::cta;");
  __syncthreads();
  if (threadIdx.x == 0) {
    asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], 128;\ncp.async.bulk.commit_group;" ::"l"(y), "r"(shared_address(s)) : "memory");
    if (waits) asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory");
  }
  __syncthreads();
  s[threadIdx.x] = -1;
}
}
