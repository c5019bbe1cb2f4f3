// Kernels with one mistake each, and their correct twins: NAME_wrong and NAME_right. What must be reported is said in
// test_checks.py. All take: y (n floats that nothing wrote), x (n floats), k (64 ints that are zero), n.
#include <cassert>
#include <cstdint>

#define PAIR(name)                                                                                     \
  extern "C" __global__ void name##_wrong(float* y, float* x, int* k, int n) { name<true>(y, x, k, n); } \
  extern "C" __global__ void name##_right(float* y, float* x, int* k, int n) { name<false>(y, x, k, n); }
#define CASE template <bool WRONG> __device__ __forceinline__ void
#define ARGUMENTS float *y, float *x, int *k, int n

__device__ __forceinline__ int global_index() { return blockIdx.x * blockDim.x + threadIdx.x; }
template <int BYTES>
__device__ __forceinline__ void copy_async(void* to, const void* from) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(to))), "l"(from), "n"(BYTES) : "memory");
}
__device__ __forceinline__ void commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int LEFT>
__device__ __forceinline__ void wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}
__device__ __forceinline__ void named_barrier(int number, int threads) { asm volatile("bar.sync %0, %1;" ::"r"(number), "r"(threads) : "memory"); }

// ---- bounds

CASE off_by_one(ARGUMENTS) {
  const int i = global_index();
  if (WRONG ? i <= n : i < n) y[i] = x[i] * 2;
}
PAIR(off_by_one)

CASE before_start(ARGUMENTS) {
  const int i = global_index();
  if (i < n) y[i] = WRONG || i > 0 ? x[i - 1] : 0;
}
PAIR(before_start)

CASE no_guard(ARGUMENTS) {
  const int i = global_index();
  if (WRONG || i < n) y[i] = 1;
}
PAIR(no_guard)

CASE wrong_pitch(ARGUMENTS) {  // n = 32 rows of 32
  const int row = threadIdx.x / 32, column = threadIdx.x % 32;
  y[row * (WRONG ? 33 : 32) + column] = x[threadIdx.x];
}
PAIR(wrong_pitch)

CASE index_overflow(ARGUMENTS) {
  const int i = global_index() + 1;
  if (i > n) return;
  if (WRONG) y[i * 0x10000000 / 0x10000000 - 1] = 1;
  else y[static_cast<int64_t>(i) * 0x10000000 / 0x10000000 - 1] = 1;
}
PAIR(index_overflow)

CASE null_pointer(ARGUMENTS) {
  float* to = WRONG && n > 0 ? nullptr : y;
  if (global_index() < n) to[global_index()] = 1;
}
PAIR(null_pointer)

CASE misaligned_load(ARGUMENTS) {
  const int i = threadIdx.x;
  const float4 v = *reinterpret_cast<const float4*>(x + (WRONG ? 1 : 0) + 4 * i);
  y[i] = v.x + v.w;
}
PAIR(misaligned_load)

CASE misaligned_store(ARGUMENTS) {
  *reinterpret_cast<double*>(y + 2 * threadIdx.x + (WRONG ? 1 : 0)) = x[threadIdx.x];
}
PAIR(misaligned_store)

CASE shared_overrun(ARGUMENTS) {
  __shared__ float s[64];
  s[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = s[WRONG ? threadIdx.x + 1 : (threadIdx.x + 1) % 64];
}
PAIR(shared_overrun)

CASE dynamic_overrun(ARGUMENTS) {  // 64 floats at the launch
  extern __shared__ float d[];
  for (int i = threadIdx.x; i < (WRONG ? 65 : 64); i += blockDim.x) d[i] = 1;
  __syncthreads();
  y[threadIdx.x] = d[63 - threadIdx.x];
}
PAIR(dynamic_overrun)

CASE before_shared(ARGUMENTS) {
  __shared__ float s[64];
  s[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = WRONG || threadIdx.x > 0 ? s[static_cast<int>(threadIdx.x) - 1] : 0;
}
PAIR(before_shared)

CASE into_neighbour(ARGUMENTS) {  // from one array into another
  __shared__ float s[64];
  __shared__ float others[64];
  s[threadIdx.x] = others[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  const int next = WRONG ? threadIdx.x + 1 : (threadIdx.x + 1) % 64;
  const float a = s[next];
  const float b = others[next];
  y[threadIdx.x] = a + b;
}
PAIR(into_neighbour)

CASE local_overrun(ARGUMENTS) {
  volatile float held[8];
  for (int i = 0; i < 8; ++i) held[i] = x[i];
  y[threadIdx.x] = held[static_cast<int>(threadIdx.x % 4) + (WRONG ? n / 8 : 0)];
}
PAIR(local_overrun)

// ---- what nothing wrote

CASE uninitialised_shared(ARGUMENTS) {
  __shared__ float s[64];
  if (threadIdx.x < (WRONG ? 63 : 64)) s[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
}
PAIR(uninitialised_shared)

CASE uninitialised_half(ARGUMENTS) {  // two bytes of each word
  __shared__ unsigned short s[128];
  s[2 * threadIdx.x] = 1;
  if (!WRONG) s[2 * threadIdx.x + 1] = 1;
  __syncthreads();
  y[threadIdx.x] = reinterpret_cast<unsigned*>(s)[threadIdx.x];
}
PAIR(uninitialised_half)

CASE uninitialised_counter(ARGUMENTS) {
  __shared__ int s[32];
  if (threadIdx.x < (WRONG ? 16 : 32)) s[threadIdx.x] = 0;
  __syncthreads();
  atomicAdd(&s[threadIdx.x % 32], 1);
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x % 32];
}
PAIR(uninitialised_counter)

CASE uninitialised_local(ARGUMENTS) {
  volatile float held[8];
  for (int i = WRONG ? 1 : 0; i < 8; ++i) held[i] = x[i];
  y[threadIdx.x] = held[threadIdx.x % 8];
}
PAIR(uninitialised_local)

CASE uninitialised_global(ARGUMENTS) {
  if (!WRONG) y[threadIdx.x] = 0;
  y[threadIdx.x] += x[threadIdx.x];
}
PAIR(uninitialised_global)

CASE uninitialised_element(ARGUMENTS) {  // the last of each four
  if (WRONG ? threadIdx.x % 4 < 3 : true) y[threadIdx.x] = 1;
  __syncthreads();
  if (threadIdx.x < 16) {
    const float4 v = reinterpret_cast<float4*>(y)[threadIdx.x];
    x[threadIdx.x] = v.x + v.y + v.z + v.w;
  }
}
PAIR(uninitialised_element)

// ---- races in shared memory

CASE no_barrier(ARGUMENTS) {
  __shared__ float s[256];
  s[threadIdx.x] = x[threadIdx.x];
  if (!WRONG) __syncthreads();
  y[threadIdx.x] = s[255 - threadIdx.x];
}
PAIR(no_barrier)

CASE no_second_barrier(ARGUMENTS) {  // n = 4 rows of 256
  __shared__ float s[8];
  for (int row = 0; row < n / 256; ++row) {
    float v = x[row * 256 + threadIdx.x];
    for (int step = 16; step > 0; step /= 2) v += __shfl_xor_sync(0xffffffffu, v, step);
    if (threadIdx.x % 32 == 0) s[threadIdx.x / 32] = v;
    __syncthreads();
    float sum = 0;
    for (int i = 0; i < 8; ++i) sum += s[i];
    y[row * 256 + threadIdx.x] = sum;
    if (!WRONG) __syncthreads();
  }
}
PAIR(no_second_barrier)

CASE warp_race(ARGUMENTS) {
  __shared__ float s[32];
  s[threadIdx.x] = x[threadIdx.x];
  if (!WRONG) __syncwarp();
  y[threadIdx.x] = s[threadIdx.x ^ 1];
}
PAIR(warp_race)

CASE early_barrier(ARGUMENTS) {
  __shared__ float s[64];
  if (WRONG) __syncthreads();
  s[threadIdx.x] = x[threadIdx.x];
  if (!WRONG) __syncthreads();
  y[threadIdx.x] = s[63 - threadIdx.x];
}
PAIR(early_barrier)

CASE partial_barrier(ARGUMENTS) {  // 128 threads, of which 64 meet
  __shared__ float s[128];
  s[threadIdx.x] = x[threadIdx.x];
  if (threadIdx.x < 64) named_barrier(1, 64);
  else named_barrier(2, 64);
  y[threadIdx.x] = s[WRONG ? 127 - threadIdx.x : threadIdx.x / 64 * 64 + 63 - threadIdx.x % 64];
}
PAIR(partial_barrier)

CASE many_writers(ARGUMENTS) {
  __shared__ int s[1];
  s[0] = WRONG ? threadIdx.x : 7;  // the same from all is left alone
  __syncthreads();
  y[threadIdx.x] = s[0];
}
PAIR(many_writers)

CASE tree(ARGUMENTS) {
  __shared__ float s[128];
  s[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  for (int step = 64; step > 0; step /= 2) {
    if (threadIdx.x < step) s[threadIdx.x] += s[threadIdx.x + step];
    if (!WRONG) __syncthreads();
  }
  if (threadIdx.x == 0) y[0] = s[0];
}
PAIR(tree)

CASE atomic_and_plain(ARGUMENTS) {
  __shared__ int s[1];
  if (threadIdx.x == 0) s[0] = 0;
  __syncthreads();
  atomicAdd(&s[0], 1);
  if (!WRONG) __syncthreads();
  y[threadIdx.x] = *(int*)s;
}
PAIR(atomic_and_plain)

CASE reset_and_atomic(ARGUMENTS) {
  __shared__ int s[1];
  if (threadIdx.x == 0) s[0] = 0;
  if (!WRONG) __syncthreads();
  atomicAdd(&s[0], 1);
  __syncthreads();
  y[threadIdx.x] = s[0];
}
PAIR(reset_and_atomic)

CASE plain_counter(ARGUMENTS) {
  __shared__ int s[16];
  if (threadIdx.x < 16) s[threadIdx.x] = 0;
  __syncthreads();
  if (WRONG) s[threadIdx.x % 16] += 1;
  else atomicAdd(&s[threadIdx.x % 16], 1);
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x % 16];
}
PAIR(plain_counter)

CASE scan_in_place(ARGUMENTS) {
  __shared__ float s[128];
  s[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  for (int step = 1; step < 128; step *= 2) {
    const float other = threadIdx.x >= step ? s[threadIdx.x - step] : 0;
    if (!WRONG) __syncthreads();
    s[threadIdx.x] += other;
    __syncthreads();
  }
  y[threadIdx.x] = s[threadIdx.x];
}
PAIR(scan_in_place)

CASE bytes_of_a_word(ARGUMENTS) {  // neighbours write bytes of one word: no race
  __shared__ unsigned char s[64];
  s[threadIdx.x] = static_cast<unsigned char>(threadIdx.x);
  if (!WRONG) __syncthreads();
  y[threadIdx.x] = s[WRONG ? (threadIdx.x + 32) % 64 : threadIdx.x ^ 1];
}
PAIR(bytes_of_a_word)

// ---- meetings of some lanes, arrivals of some: they order nothing for the others

CASE half_meets(ARGUMENTS) {  // a warp, in halves
  __shared__ float s[32];
  s[threadIdx.x] = x[threadIdx.x];
  __syncwarp(threadIdx.x < 16 ? 0xffffu : 0xffff0000u);
  y[threadIdx.x] = s[threadIdx.x ^ (WRONG ? 16 : 1)];
}
PAIR(half_meets)

CASE shuffle_of_eight(ARGUMENTS) {
  __shared__ float s[32];
  const int first = threadIdx.x & 24;
  s[threadIdx.x] = x[threadIdx.x];
  float sum = s[threadIdx.x];
  for (int step = 4; step > 0; step /= 2) sum += __shfl_xor_sync(0xffu << first, sum, step, 8);
  y[threadIdx.x] = sum + s[WRONG ? (first + 8 + threadIdx.x % 8) % 32 : first + (threadIdx.x + 3) % 8];
}
PAIR(shuffle_of_eight)

CASE vote_of_pair(ARGUMENTS) {
  __shared__ float s[32];
  s[threadIdx.x] = x[threadIdx.x];
  const bool some = __any_sync(3u << (threadIdx.x & 30), s[threadIdx.x] > 0);
  y[threadIdx.x] = some + s[WRONG ? (threadIdx.x + 2) % 32 : threadIdx.x ^ 1];
}
PAIR(vote_of_pair)

CASE read_by_a_tile(ARGUMENTS) {  // the lanes of each half read what its first lane changes
  __shared__ float s[2];
  const int half = threadIdx.x / 16;
  const unsigned mask = 0xffffu << 16 * half;
  float sum = 0;
  for (int turn = 0; turn < 3; ++turn) {
    if (threadIdx.x % 16 == 0) s[half] = x[threadIdx.x] * (turn + 1);
    __syncwarp(mask);
    sum += s[half];
    if (!WRONG || turn == 2) __syncwarp(mask);
    else __syncwarp(threadIdx.x % 16 < 8 ? 0xffu << 16 * half : 0xff00u << 16 * half);
  }
  y[threadIdx.x] = sum;
}
PAIR(read_by_a_tile)

CASE told_on(ARGUMENTS) {  // the first of each half hand on what all have written
  __shared__ float s[32];
  s[threadIdx.x] = x[threadIdx.x];
  __syncwarp(threadIdx.x < 16 ? 0xffffu : 0xffff0000u);
  if (threadIdx.x % 16 == 0) __syncwarp(0x00010001u);
  if (!WRONG) __syncwarp(threadIdx.x < 16 ? 0xffffu : 0xffff0000u);
  y[threadIdx.x] = s[threadIdx.x ^ 16];
}
PAIR(told_on)

CASE halves_at_a_barrier(ARGUMENTS) {  // of two warps: the first halves meet, and the second ones
  __shared__ float s[64];
  s[threadIdx.x] = x[threadIdx.x];
  if (threadIdx.x % 32 < 16) asm volatile("barrier.sync 1, 32;" ::: "memory");
  else asm volatile("barrier.sync 2, 32;" ::: "memory");
  y[threadIdx.x] = s[WRONG ? 63 - threadIdx.x : (threadIdx.x + 32) % 64];
}
PAIR(halves_at_a_barrier)

CASE halves_at_one_barrier(ARGUMENTS) {
  __shared__ float s[64];
  s[threadIdx.x] = x[threadIdx.x];
  if (threadIdx.x % 32 < 16) {
    asm volatile("barrier.sync 1, 64;" ::: "memory");
  } else {
    if (WRONG) s[threadIdx.x] = x[threadIdx.x] + 1;
    asm volatile("barrier.sync 1, 64;" ::: "memory");
    if (WRONG) s[threadIdx.x] = x[threadIdx.x] + 2;
  }
  y[threadIdx.x] = s[63 - threadIdx.x];
}
PAIR(halves_at_one_barrier)

__device__ __forceinline__ void begin_arrivals(uint64_t* at, int count) {
  asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(at))), "r"(count) : "memory");
}
__device__ __forceinline__ void arrive(uint64_t* at) {
  asm volatile("{.reg .b64 t; mbarrier.arrive.shared.b64 t, [%0];}" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(at))) : "memory");
}
__device__ __forceinline__ void wait_for(uint64_t* at, int parity) {
  int there = 0;
  while (!there) {
    asm volatile("{.reg .pred p; mbarrier.test_wait.parity.shared.b64 p, [%1], %2; selp.s32 %0, 1, 0, p;}"
                 : "=r"(there) : "r"(static_cast<unsigned>(__cvta_generic_to_shared(at))), "r"(parity) : "memory");
  }
}

CASE leader_arrives(ARGUMENTS) {  // one lane tells what its warp has written
  __shared__ float s[32];
  __shared__ uint64_t full;
  if (threadIdx.x == 0) begin_arrivals(&full, 1);
  __syncthreads();
  if (threadIdx.x < 32) {
    s[threadIdx.x] = x[threadIdx.x];
    if (!WRONG) __syncwarp();
    if (threadIdx.x == 0) arrive(&full);
  } else {
    wait_for(&full, 0);
    y[threadIdx.x - 32] = s[63 - threadIdx.x];
  }
}
PAIR(leader_arrives)

CASE leader_waits(ARGUMENTS) {  // one lane waits for its warp
  __shared__ float s[32];
  __shared__ uint64_t full;
  if (threadIdx.x == 0) begin_arrivals(&full, 32);
  __syncthreads();
  if (threadIdx.x < 32) {
    s[threadIdx.x] = x[threadIdx.x];
    arrive(&full);
  } else {
    if (threadIdx.x == 32) wait_for(&full, 0);
    if (!WRONG) __syncwarp();
    y[threadIdx.x - 32] = s[63 - threadIdx.x];
  }
}
PAIR(leader_waits)

CASE writes_after_its_arrival(ARGUMENTS) {
  __shared__ float s[64];
  __shared__ uint64_t full;
  if (threadIdx.x == 0) begin_arrivals(&full, 64);
  s[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  if (!WRONG) s[threadIdx.x] += 1;
  arrive(&full);
  if (WRONG) s[threadIdx.x] += 1;
  wait_for(&full, 0);
  y[threadIdx.x] = s[threadIdx.x ^ 33];
}
PAIR(writes_after_its_arrival)

CASE ring(ARGUMENTS) {  // one warp fills two places in turn, another empties them; one lane of each tells the other
  __shared__ float s[2][32];
  __shared__ uint64_t full[2], empty[2];
  const int lane = threadIdx.x % 32;
  if (threadIdx.x < 2) begin_arrivals(&full[threadIdx.x], 1), begin_arrivals(&empty[threadIdx.x], 1);
  __syncthreads();
  for (int turn = 0; turn < 6; ++turn) {
    const int place = turn % 2, parity = turn / 2 % 2;
    if (threadIdx.x < 32) {
      if (turn >= 2) wait_for(&empty[place], parity ^ 1);
      s[place][lane] = x[lane] * (turn + 1);
      __syncwarp();
      if (lane == 0) arrive(&full[place]);
    } else {
      wait_for(&full[place], parity);
      const float other = s[place][31 - lane];
      if (WRONG ? turn < 3 : true) __syncwarp();
      if (lane == 0) arrive(&empty[place]);
      y[lane] = other;
    }
  }
}
PAIR(ring)

// ---- races of blocks

CASE plain_sum(ARGUMENTS) {
  if (WRONG) k[0] += 1;
  else atomicAdd(&k[0], 1);
}
PAIR(plain_sum)

CASE last_block(ARGUMENTS) {
  __shared__ int last;
  if (threadIdx.x == 0) {
    y[blockIdx.x] = x[blockIdx.x];
    __threadfence();
    last = WRONG ? blockIdx.x == gridDim.x - 1 : atomicAdd(&k[0], 1) == static_cast<int>(gridDim.x) - 1;
  }
  __syncthreads();
  if (last && threadIdx.x == 0) {
    float sum = 0;
    for (int block = 0; block < gridDim.x; ++block) sum += *(volatile float*)(y + block);
    y[gridDim.x] = sum;
  }
}
PAIR(last_block)

CASE warps_of_a_block(ARGUMENTS) {  // through global memory
  y[threadIdx.x] = x[threadIdx.x];
  if (!WRONG) __syncthreads();
  x[threadIdx.x] = y[63 - threadIdx.x];
}
PAIR(warps_of_a_block)

CASE sums_of_warps(ARGUMENTS) {
  if (threadIdx.x % 32 == 0) y[threadIdx.x / 32] = x[threadIdx.x];
  if (!WRONG) __syncthreads();
  if (threadIdx.x == 32) y[32] = y[0] + y[1];
}
PAIR(sums_of_warps)

CASE written_twice(ARGUMENTS) {  // the same values are left alone
  if (threadIdx.x < 32) y[threadIdx.x] = 1;
  else y[threadIdx.x - 32] = WRONG ? 2 : 1;
}
PAIR(written_twice)

CASE halves_of_words(ARGUMENTS) {  // bytes of one word are those of two warps: no race
  short* const to = reinterpret_cast<short*>(y);
  to[threadIdx.x % 32 * 2 + threadIdx.x / 32] = static_cast<short>(threadIdx.x);
  to[threadIdx.x % 32 * 2 + threadIdx.x / 32] += 1;
  if (WRONG && threadIdx.x < 32) y[32 + threadIdx.x] = x[threadIdx.x];
  if (WRONG && threadIdx.x >= 32) to[2 * threadIdx.x] += 1;
}
PAIR(halves_of_words)

CASE lock_in_a_block(ARGUMENTS) {  // warps tell each other by a lock with fences
  if (threadIdx.x % 32 != 0) return;
  if (!WRONG) {
    while (atomicCAS(&k[0], 0, 1) != 0) __nanosleep(20);
    __threadfence();
  }
  k[32] += 1;
  if (!WRONG) {
    __threadfence();
    atomicExch(&k[0], 0);
  }
}
PAIR(lock_in_a_block)

CASE neighbour_block(ARGUMENTS) {
  const int i = global_index();
  x[i] = i;
  if (!WRONG) __syncthreads();
  y[i] = x[WRONG ? (i + blockDim.x) % n : i / blockDim.x * blockDim.x + blockDim.x - 1 - threadIdx.x];
}
PAIR(neighbour_block)

CASE overlapping_tiles(ARGUMENTS) {
  const int i = blockIdx.x * (WRONG ? blockDim.x - 1 : blockDim.x) + threadIdx.x;
  if (i < n) y[i] = blockIdx.x;
}
PAIR(overlapping_tiles)

CASE two_phases(ARGUMENTS) {  // a cooperative launch
  const int i = global_index();
  y[i] = i;
  __syncthreads();
  if (threadIdx.x == 0 && !WRONG) {
    __threadfence();
    atomicAdd(&k[0], 1);
    while (atomicAdd(&k[0], 0) < static_cast<int>(gridDim.x)) __nanosleep(20);
    __threadfence();
  }
  __syncthreads();
  x[i] = y[(i + blockDim.x) % n];
}
PAIR(two_phases)

CASE handed_by_flag(ARGUMENTS) {  // a cooperative launch of two blocks
  if (threadIdx.x != 0) return;
  if (blockIdx.x == 0) {
    y[0] = 3;
    __threadfence();
    *(volatile int*)k = 1;
  } else {
    while (!WRONG && *(volatile int*)k == 0) __nanosleep(20);
    y[1] = y[0];
  }
}
PAIR(handed_by_flag)

// ---- barriers, masks

// One warp writes, another waits for a flag in shared memory.
CASE flag_of_a_warp(ARGUMENTS) {
  __shared__ float s[32];
  __shared__ int flag;
  if (threadIdx.x == 0) flag = 0;
  __syncthreads();
  if (threadIdx.x < 32) {
    s[threadIdx.x] = x[threadIdx.x];
    __syncwarp();
    if (!WRONG) __threadfence_block();
    if (threadIdx.x == 0) *(volatile int*)&flag = 1;
  } else {
    if (threadIdx.x == 32) while (*(volatile int*)&flag == 0) {}
    __syncwarp();
    y[threadIdx.x] = s[threadIdx.x - 32];
  }
}
PAIR(flag_of_a_warp)

// Who comes last adds up what all have written; the counter is polled, too.
CASE last_of_a_block(ARGUMENTS) {
  __shared__ int s[64], count;
  if (threadIdx.x == 0) count = 0;
  __syncthreads();
  s[threadIdx.x] = threadIdx.x;
  unsigned before;
  const unsigned at = (unsigned)__cvta_generic_to_shared(&count);
  if (WRONG) asm volatile("atom.relaxed.cta.shared.add.u32 %0, [%1], 1;" : "=r"(before) : "r"(at) : "memory");
  else asm volatile("atom.acq_rel.cta.shared.add.u32 %0, [%1], 1;" : "=r"(before) : "r"(at) : "memory");
  if (before == 63) {
    int sum = 0;
    for (int i = 0; i < 64; ++i) sum += s[i];
    y[0] = sum;
  }
}
PAIR(last_of_a_block)

CASE polled_counter(ARGUMENTS) {
  __shared__ int count;
  if (threadIdx.x == 0) count = 0;
  __syncthreads();
  int seen = *(volatile int*)&count;
  if (threadIdx.x >= 32 && WRONG) *(volatile int*)&count = seen + threadIdx.x;
  if (threadIdx.x >= 32 && !WRONG) atomicAdd(&count, 1);
  while (!WRONG && seen < 32) seen = *(volatile int*)&count;
  y[threadIdx.x] = seen;
}
PAIR(polled_counter)

// As people did when lanes of a warp ran in step.
CASE volatile_steps(ARGUMENTS) {
  __shared__ float s[64];
  volatile float* const v = s;
  v[threadIdx.x] = x[threadIdx.x];
  v[threadIdx.x + 32] = 0;
  __syncwarp();
  for (int step = 16; step > 0; step /= 2) {
    const float more = v[threadIdx.x + step];
    if (!WRONG) __syncwarp();
    v[threadIdx.x] += more;
    if (!WRONG) __syncwarp();
  }
  if (threadIdx.x == 0) y[0] = v[0];
}
PAIR(volatile_steps)

CASE divergent_barrier(ARGUMENTS) {
  if (WRONG ? threadIdx.x < 40 : threadIdx.x < 32) {
    y[threadIdx.x] = 1;
    __syncthreads();
  } else {
    y[threadIdx.x] = 2;
    __syncthreads();
  }
}
PAIR(divergent_barrier)

CASE barrier_in_loop(ARGUMENTS) {
  for (int turn = 0; turn < (WRONG ? static_cast<int>(threadIdx.x % 2) + 1 : 2); ++turn) {
    y[threadIdx.x] = turn;
    __syncthreads();
  }
  __syncthreads();  // here some wait while others are in the loop
}
PAIR(barrier_in_loop)

CASE ends_in_turns(ARGUMENTS) {  // a barrier waits for those that have not ended
  __shared__ int s[64];
  s[threadIdx.x] = threadIdx.x;
  for (int turn = 0; turn < static_cast<int>(threadIdx.x % 3) + 1; ++turn) {
    __syncthreads();
    y[threadIdx.x] = s[63 - threadIdx.x];
  }
  if (WRONG) __syncthreads();
}
PAIR(ends_in_turns)

CASE odd_barrier(ARGUMENTS) {
  named_barrier(1, WRONG ? n + 8 : n);
  y[threadIdx.x] = 1;
}
PAIR(odd_barrier)

CASE nobody_comes(ARGUMENTS) {  // 128 threads
  if (threadIdx.x < 64) named_barrier(1, WRONG ? 128 : 64);
  y[threadIdx.x] = 1;
}
PAIR(nobody_comes)

CASE absent_lanes(ARGUMENTS) {
  float v = x[threadIdx.x];
  if (threadIdx.x < 16) v += __shfl_down_sync(WRONG ? 0xffffffffu : 0xffffu, v, 8, 16);
  __syncthreads();
  y[threadIdx.x] = v;
}
PAIR(absent_lanes)

CASE beyond_mask(ARGUMENTS) {
  float v = x[threadIdx.x];
  if (threadIdx.x < 16) v += __shfl_xor_sync(0xffffu, v, WRONG ? 16 : 8);
  y[threadIdx.x] = v;
}
PAIR(beyond_mask)

CASE not_in_mask(ARGUMENTS) {
  y[threadIdx.x] = __shfl_xor_sync(WRONG ? 0xffffu : 0xffffffffu, x[threadIdx.x], 1);
}
PAIR(not_in_mask)

CASE vote_of_some(ARGUMENTS) {
  if (x[threadIdx.x] > -100 && threadIdx.x % 2) y[threadIdx.x] = __ballot_sync(WRONG ? 0xffffffffu : 0xaaaaaaaau, x[threadIdx.x] > 0);
  __syncthreads();
}
PAIR(vote_of_some)

CASE warp_barrier_mask(ARGUMENTS) {
  __syncwarp(WRONG ? 0x0000ffffu : 0xffffffffu);
  y[threadIdx.x] = 1;
}
PAIR(warp_barrier_mask)

// ---- copies that land later

CASE no_wait(ARGUMENTS) {
  __shared__ __align__(16) float s[256];
  copy_async<16>(&s[4 * threadIdx.x], x + 4 * threadIdx.x);
  commit();
  if (!WRONG) wait<0>();
  y[threadIdx.x] = s[4 * threadIdx.x];
}
PAIR(no_wait)

CASE too_many_left(ARGUMENTS) {
  __shared__ __align__(16) float s[2][256];
  copy_async<16>(&s[0][4 * threadIdx.x], x + 4 * threadIdx.x);
  commit();
  copy_async<16>(&s[1][4 * threadIdx.x], x + 4 * threadIdx.x);
  commit();
  wait<WRONG ? 2 : 1>();
  y[threadIdx.x] = s[0][4 * threadIdx.x];
  wait<0>();
}
PAIR(too_many_left)

CASE no_commit(ARGUMENTS) {
  __shared__ __align__(16) float s[256];
  copy_async<16>(&s[4 * threadIdx.x], x + 4 * threadIdx.x);
  if (!WRONG) commit();
  wait<0>();
  y[threadIdx.x] = s[4 * threadIdx.x];
}
PAIR(no_commit)

CASE copy_of_others(ARGUMENTS) {
  __shared__ __align__(16) float s[256];
  copy_async<16>(&s[4 * threadIdx.x], x + 4 * threadIdx.x);
  commit();
  wait<0>();
  if (!WRONG) __syncthreads();
  y[threadIdx.x] = s[255 - 4 * threadIdx.x];
}
PAIR(copy_of_others)

CASE copy_over_read(ARGUMENTS) {  // n = 4 rows of 256
  __shared__ __align__(16) float s[256];
  for (int row = 0; row < 4; ++row) {
    copy_async<16>(&s[4 * threadIdx.x], x + row * 256 + 4 * threadIdx.x);
    commit();
    wait<0>();
    __syncthreads();
    y[row * 64 + threadIdx.x] = s[255 - 4 * threadIdx.x];
    if (!WRONG) __syncthreads();
  }
}
PAIR(copy_over_read)

CASE misaligned_copy(ARGUMENTS) {
  __shared__ __align__(16) float s[256];
  if (threadIdx.x < 32) copy_async<16>(&s[4 * threadIdx.x], x + 4 * threadIdx.x + (WRONG ? 1 : 0));
  commit();
  wait<0>();
  if (threadIdx.x < 32) y[threadIdx.x] = s[4 * threadIdx.x];
}
PAIR(misaligned_copy)

// ---- what kernels say themselves

CASE failed_assertion(ARGUMENTS) {
  assert(n == (WRONG ? 0 : 64));
  y[threadIdx.x] = 1;
}
PAIR(failed_assertion)

CASE trapped(ARGUMENTS) {
  if (WRONG && threadIdx.x == 3) __trap();
  y[threadIdx.x] = 1;
}
PAIR(trapped)
