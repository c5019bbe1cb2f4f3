// What the machine must get right, each in one kernel: calls, divergence, lanes together, barriers, spaces of memory.
#include <cooperative_groups.h>
#include <cuda/barrier>

namespace cg = cooperative_groups;

__device__ int table[4] = {5, 6, 7, 8};
__device__ int* where = table + 1;
__constant__ float factor = 2.5f;
__device__ int counter;

__device__ __noinline__ float twice(float x, int n) {
  float kept[8];
  for (int i = 0; i < 8; ++i) kept[i] = x * i;
  return kept[n & 7] * 2;
}

__device__ __noinline__ int fibonacci(int n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

__device__ float fold(float* v, int n) {
  if (n == 0) return v[0];
  float mine[4];
  for (int i = 0; i < 4; ++i) mine[i] = v[i & 3] + n;
  v[0] += 1;
  const float rest = fold(mine, n - 1);
  return rest + mine[0] * v[0];
}

__device__ __noinline__ int is_odd(int n);
__device__ __noinline__ int is_even(int n) { return n == 0 ? 1 : is_odd(n - 1); }
__device__ __noinline__ int is_odd(int n) { return n == 0 ? 0 : is_even(n - 1); }
__device__ __noinline__ int deeper(int n) {
  if (n > 100000) asm volatile("exit;");
  volatile int kept[16];
  kept[n & 15] = n;
  return deeper(n + 1) + kept[n & 15];
}
__device__ __noinline__ int leaves(int n) {
  if (n == 0) asm volatile("exit;");
  return leaves(n - 1) + n;
}

typedef float (*Operation)(float, int);
__device__ float plus(float a, int b) { return a + b; }
__device__ float times(float a, int b) { return a * b; }
__device__ Operation operations[2] = {plus, times};

struct Shape {
  int tag;
  __device__ Shape() : tag(1) {}
  __device__ virtual float area(float s) const { return s; }
};
struct Square : Shape {
  float k;
  __device__ Square(float k) : k(k) {}
  __device__ float area(float s) const override { return k * s * s; }
};
struct Nested : Shape {
  const Shape* of;
  __device__ Nested(const Shape* of) : of(of) {}
  __device__ float area(float s) const override { return 3 * of->area(s); }
};
__device__ __noinline__ float measured(const Shape& shape, float x) { return shape.area(x) + shape.tag; }

extern "C" {

__global__ void folded(float* y) {
  float v[4] = {1, 2, 3, 4};
  y[threadIdx.x] = fold(v, threadIdx.x % 7) + v[0];
}

__global__ void parity(int* y) { y[threadIdx.x] = is_even(threadIdx.x) + 2 * is_odd(threadIdx.x); }

__global__ void too_deep(int* y) { y[0] = deeper(0); }

__global__ void leaves_from_calls(int* y, const float* x) {
  y[blockIdx.x * 32 + threadIdx.x] = 7;
  if (threadIdx.x & 1) y[blockIdx.x * 32 + threadIdx.x] = leaves(threadIdx.x % 5);
  float v[4] = {1, 1, 1, 1};
  y[blockIdx.x * 32 + threadIdx.x] = (int)fold(v, 2);
}

__global__ void pointed(float* y, const float* x, int which) {
  const int i = threadIdx.x;
  const Operation operation = i % 3 == 2 ? nullptr : operations[(i + which) & 1];
  y[i] = operation ? operation(x[i], i) : -1;
}

__global__ void pointed_by_argument(float* y, const float* x, Operation operation) { y[threadIdx.x] = operation(x[threadIdx.x], 3); }

__global__ void gives_pointers(Operation* to) { to[threadIdx.x] = threadIdx.x ? times : plus; }

__global__ void virtuals(float* y, const float* x) {
  const int i = threadIdx.x;
  const Shape plain;
  const Square square(2);
  const Nested nested(&square), twice(&nested);
  const Shape* const shapes[4] = {&plain, &square, &nested, &twice};
  y[i] = measured(*shapes[i & 3], x[i]);
}

__global__ void calls(float* y, const float* x) {
  const int i = threadIdx.x;
  y[i] = (i & 1) ? twice(x[i], i) : twice(-x[i], i + 1);
}

__global__ void recursion(int* y) { y[threadIdx.x] = fibonacci(threadIdx.x); }

__global__ void diverge(int* y) {
  int s = 0;
  for (int k = 0; k < threadIdx.x; ++k) {
    if (k % 3 == 0) continue;
    if (k > 20) break;
    s += k;
    switch (s % 5) {
      case 0: s += 1; break;
      case 1: s += 2;
      case 2: s += 3; break;
      case 3: s ^= 5; break;
      default: s -= 1;
    }
  }
  y[threadIdx.x] = s;
}

__global__ void votes(unsigned* y, const unsigned* x) {
  const unsigned i = threadIdx.x;
  y[i] = __ballot_sync(~0u, x[i] & 1);
  y[32 + i] = __match_any_sync(~0u, x[i]);
  y[64 + i] = __any_sync(~0u, x[i] == 3) + 2 * __all_sync(~0u, x[i] < 7);
  int same;
  y[96 + i] = __match_all_sync(~0u, x[i] < 100, &same) + same;
  if (i % 3 == 0) y[128 + i] = __reduce_add_sync(0x49249249, i) + __reduce_max_sync(0x49249249, x[i]);
}

__global__ void shuffles(float* y, const float* x) {
  float v = x[threadIdx.x];
  if (threadIdx.x < 16) v += __shfl_down_sync(0xffff, v, 4, 8);
  else v += __shfl_up_sync(0xffff0000, v, 4, 8);
  y[threadIdx.x] = v + __shfl_sync(~0u, v, 5) + __shfl_xor_sync(~0u, v, 9);
}

__global__ void histogram(int* y, float* f, const int* x, int n) {
  __shared__ int h[16];
  if (threadIdx.x < 16) h[threadIdx.x] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
    atomicAdd(&h[x[i] & 15], 1);
    atomicAdd(f, 1.0f);
    atomicMax(&y[16], x[i]);
    atomicCAS(&y[17], 0, 5);
    atomicInc(reinterpret_cast<unsigned*>(&y[18]), 6);
  }
  __syncthreads();
  if (threadIdx.x < 16) atomicAdd(&y[threadIdx.x], h[threadIdx.x]);
}

__global__ void says(int n) {
  if (threadIdx.x == 3) printf("hello %d %s %.3f %lld %c %5u|%x %%\n", n, "world", 2.5, 1234567890123ll, 'q', 42u, 255);
}

__global__ void traps(int* y) {
  y[0] = 1;
  __trap();
  y[1] = 2;
}

__global__ void grid_sync(int* y, int n) {
  auto g = cg::this_grid();
  y[blockIdx.x * blockDim.x + threadIdx.x] = 1;
  g.sync();
  int s = 0;
  for (int i = 0; i < n; ++i) s += y[i];
  g.sync();
  y[blockIdx.x * blockDim.x + threadIdx.x] = s;
}

__global__ void __cluster_dims__(4, 1, 1) clusters(int* y) {
  __shared__ int s[32];
  auto c = cg::this_cluster();
  s[threadIdx.x] = blockIdx.x * 100 + threadIdx.x;
  c.sync();
  const int* other = c.map_shared_rank(s, (c.block_rank() + 1) % 4);
  y[blockIdx.x * 32 + threadIdx.x] = other[threadIdx.x];
  c.sync();
}

__global__ void named_barriers(int* y) {
  __shared__ int s[64];
  if (threadIdx.x < 64) {
    s[threadIdx.x] = threadIdx.x;
    asm volatile("bar.sync 1, 64;");
    y[threadIdx.x] = s[63 - threadIdx.x];
  }
  y[64 + threadIdx.x] = __syncthreads_count(threadIdx.x % 3 == 0) * 100 + __syncthreads_or(threadIdx.x == 5) * 10 +
                        __syncthreads_and(threadIdx.x < 60);
}

__global__ void dynamic_shared(float* y, const float* x) {
  extern __shared__ float d[];
  __shared__ double q[3];
  if (threadIdx.x < 3) q[threadIdx.x] = threadIdx.x;
  d[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  float* generic = threadIdx.x & 1 ? d : y + 128; /* neither the compiler nor the instruction knows the space */
  if (threadIdx.x & 1) y[threadIdx.x] = generic[blockDim.x - 1 - threadIdx.x] + (float)q[threadIdx.x % 3];
  else generic[threadIdx.x] = x[threadIdx.x];
}

__global__ void variables(float* y) {
  y[threadIdx.x] = table[threadIdx.x & 3] * factor + where[0];
  if (threadIdx.x == 0) counter += 3;
}

__global__ void spin_lock(int* lock, int* y) {
  for (int done = 0; !done;) {
    if (atomicCAS(lock, 0, 1) == 0) {
      y[0] += 1;
      __threadfence();
      atomicExch(lock, 0);
      done = 1;
    }
  }
}

__global__ void warp_lock(int* m, volatile int* v) {
  while (atomicCAS(m, 0, 1) != 0) __nanosleep(100);
  *v += 1;
  __threadfence();
  atomicExch(m, 0);
}

__global__ void handed_over(volatile int* flags, int* y) {
  if (threadIdx.x < 16) {
    while (flags[threadIdx.x + 16] == 0) {
    }
    y[threadIdx.x] = 1;
  } else {
    flags[threadIdx.x] = 1;
    y[threadIdx.x] = 2;
  }
}

__global__ void __cluster_dims__(2, 1, 1) split_cluster_barrier(int* y) {
  __shared__ int s[32];
  auto c = cg::this_cluster();
  s[threadIdx.x] = blockIdx.x * 100 + threadIdx.x;
  auto token = c.barrier_arrive();
  __syncthreads();
  c.barrier_wait(std::move(token));
  y[blockIdx.x * 32 + threadIdx.x] = c.map_shared_rank(s, c.block_rank() ^ 1)[threadIdx.x];
  c.sync();
}

__global__ void cold_path(int* v, const int* a) {
  int k = a[threadIdx.x];
  if (__builtin_expect(k < 0, 0)) {
    k = -k * 3;
    v[64 + threadIdx.x] = k;
  }
  __syncthreads();
  v[threadIdx.x] = k;
  if (threadIdx.x >= 40) return;
  __syncthreads();
  v[threadIdx.x] += 1;
}

__global__ void last_block(int* count, int* data, int* out) {
  __shared__ bool last;
  data[blockIdx.x * blockDim.x + threadIdx.x] = threadIdx.x;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    atomicAdd(&count[1 + blockIdx.x], 1);
    last = atomicAdd(count, 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (last && threadIdx.x == 0) {
    int sum = 0;
    for (int i = 0; i < gridDim.x * blockDim.x; ++i) sum += data[i];
    *out = sum;
  }
}

/* Sums from the last block to the first, each after the one behind it: all that live at once on a GPU may do so. */
__global__ void from_the_last(int* flags, int* sums) {
  if (threadIdx.x == 0) {
    int there = blockIdx.x == gridDim.x - 1;
    while (!there) asm volatile("ld.global.acquire.gpu.b32 %0, [%1];" : "=r"(there) : "l"(&flags[blockIdx.x + 1]) : "memory");
  }
  __syncthreads();
  const int before = blockIdx.x == gridDim.x - 1 ? 0 : sums[(blockIdx.x + 1) * blockDim.x + threadIdx.x];
  sums[blockIdx.x * blockDim.x + threadIdx.x] = before + blockIdx.x;
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    atomicExch(&flags[blockIdx.x], 1);
  }
}

__global__ void pipeline(float* y, const float* x) {
  __shared__ float s[2][128];
  for (int k = 0; k < 2; ++k) {
    const unsigned at = (unsigned)__cvta_generic_to_shared(&s[k][threadIdx.x * 4]);
    if (threadIdx.x < 32) {
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16;\ncp.async.commit_group;" ::"r"(at), "l"(x + k * 128 + threadIdx.x * 4));
    }
  }
  asm volatile("cp.async.wait_group 1;");
  __syncthreads();
  y[threadIdx.x] = s[0][threadIdx.x];
  asm volatile("cp.async.wait_group 0;");
  __syncthreads();
  y[128 + threadIdx.x] = s[1][127 - threadIdx.x];
}

__global__ void arrivals(int* y) {
  __shared__ cuda::barrier<cuda::thread_scope_block> b;
  __shared__ int s[64];
  if (threadIdx.x == 0) init(&b, 64);
  __syncthreads();
  for (int r = 0; r < 3; ++r) {
    s[threadIdx.x] = threadIdx.x + r;
    b.arrive_and_wait();
    const int v = s[63 - threadIdx.x];
    b.arrive_and_wait();
    y[threadIdx.x] = v;
  }
}

// As tiles of several warps of cooperative groups do.
__global__ void in_reserved_memory(int* y) {
  __shared__ int s[64];
  unsigned start;
  asm("mov.u32 %0, %%reserved_smem_offset_1;" : "=r"(start));
  asm volatile("st.shared.u32 [%0], %1;" ::"r"(start + 4 * threadIdx.x), "r"(threadIdx.x) : "memory");
  s[threadIdx.x] = 100;
  __syncthreads();
  int v;
  asm volatile("ld.shared.u32 %0, [%1];" : "=r"(v) : "r"(start + 4 * (63 - threadIdx.x)) : "memory");
  y[threadIdx.x] = v + s[threadIdx.x];
}

__global__ void on_the_heap(int* y) {
  int* const room = (int*)malloc(4 * y[0]);
  room[threadIdx.x] = 1;
  y[threadIdx.x] = room[threadIdx.x];
  free(room);
}

__global__ void never_ends(volatile int* y) {
  while (y[0] == 0) {
  }
}

__global__ void one_warp_never_ends(volatile int* y) {
  while (threadIdx.x >= 32 && y[0] == 0) {
  }
  __syncthreads();
}

}
