// Stands in for <gpuwheel/device.h> where kernels are compiled for the CPU: the threads of a block are coroutines that
// run in turn and change at barriers and warp shuffles, on memory of the host. Not fast, not a GPU; but every index,
// barrier and shuffle of the kernels is executed, and a thread that misses one is found.
#pragma once

#include <gpuwheel/dtype.h>
#include <setjmp.h>
#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#define __global__ inline
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __shared__ static  // one block runs at a time
#define GPUWHEEL_INSTANTIATE(...) template decltype(__VA_ARGS__) __VA_ARGS__

struct Index3 {
  unsigned x, y, z;
};
inline Index3 threadIdx, blockIdx, blockDim, gridDim;

inline float __int_as_float(int bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

namespace emulate {

constexpr unsigned kWarp = 32;

struct Thread {
  ucontext_t first;  // where it begins
  jmp_buf at;        // where it waits: unlike swapcontext, changing there needs no system call
  bool begun = false;
  std::unique_ptr<char[]> stack;
  Index3 index;
  bool done = false;
  unsigned long barriers = 0, shuffles = 0;  // how many it has come to
  unsigned long exchanged[2] = {};           // what it gave to its last two shuffles
};

struct Block {
  std::vector<Thread> threads;
  jmp_buf scheduler;
  unsigned current = 0;
  unsigned long steps = 0;     // barriers and shuffles that threads came to, and threads that ended
  unsigned long barriers = 0;  // that threads came to, all together
  std::vector<unsigned long> shuffles;  // the same of each warp
  std::function<void()> body;
  std::exception_ptr error;

  static Block*& running() {
    static Block* block = nullptr;
    return block;
  }

  // A thread lives as long as the launch and runs the kernel once per block.
  static void entry() {
    Block& block = *running();
    for (;;) {
      try {
        block.body();
      } catch (...) {
        block.error = std::current_exception();
      }
      block.threads[block.current].done = true;
      ++block.steps;
      block.yield();
    }
  }

  void resume() {
    Thread& thread = threads[current];
    threadIdx = thread.index;
    if (_setjmp(scheduler) != 0) return;
    if (thread.begun) _longjmp(thread.at, 1);
    thread.begun = true;
    setcontext(&thread.first);
  }

  void yield() {
    if (_setjmp(threads[current].at) == 0) _longjmp(scheduler, 1);
    threadIdx = threads[current].index;
  }

  // Wait until `arrivals` has come to `wanted`. A thread that ends early lets the others wait for ever: run() sees that.
  void wait(const unsigned long& arrivals, unsigned long wanted) {
    while (arrivals < wanted) yield();
  }

  void begin() {
    constexpr size_t kStack = 64 * 1024;
    running() = this;
    unsigned number = 0;
    for (Thread& thread : threads) {
      thread.index = {number % blockDim.x, number / blockDim.x % blockDim.y, number / blockDim.x / blockDim.y};
      ++number;
      thread.stack.reset(new char[kStack]);
      getcontext(&thread.first);
      thread.first.uc_stack.ss_sp = thread.stack.get();
      thread.first.uc_stack.ss_size = kStack;
      makecontext(&thread.first, &Block::entry, 0);
    }
  }

  void run() {
    barriers = 0;
    shuffles.assign(threads.size() / kWarp + 1, 0);
    for (Thread& thread : threads) {
      thread.done = false;
      thread.barriers = thread.shuffles = 0;
    }
    for (bool left = true; left;) {
      left = false;
      const unsigned long before = steps;
      for (current = 0; current < threads.size(); ++current) {
        if (threads[current].done) continue;
        resume();
        left = left || !threads[current].done;
        if (error) std::rethrow_exception(error);
      }
      if (left && steps == before) throw std::logic_error("threads of a block wait for others that have ended or wait elsewhere");
    }
  }
};

template <typename Kernel, typename... Arguments>
void launch(Kernel* kernel, Index3 grid, Index3 block, Arguments... arguments) {
  gridDim = grid;
  blockDim = block;
  Block state;
  state.threads = std::vector<Thread>(block.x * block.y * block.z);
  state.body = [&] { kernel(arguments...); };
  state.begin();
  for (blockIdx.z = 0; blockIdx.z < grid.z; ++blockIdx.z) {
    for (blockIdx.y = 0; blockIdx.y < grid.y; ++blockIdx.y) {
      for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x) state.run();
    }
  }
}

}  // namespace emulate

inline void __syncthreads() {
  emulate::Block& block = *emulate::Block::running();
  ++block.steps;
  ++block.barriers;
  block.wait(block.barriers, ++block.threads[block.current].barriers * block.threads.size());
}

// All 32 lanes take part. A lane's value stays readable until its second shuffle from here: no lane can be further.
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int step) {
  emulate::Block& block = *emulate::Block::running();
  const unsigned warp = block.current / emulate::kWarp, first = warp * emulate::kWarp;
  if (mask != 0xffffffffu) throw std::logic_error("only shuffles of whole warps are emulated");
  if (first + emulate::kWarp > block.threads.size()) throw std::logic_error("a shuffle in a warp that is not whole");
  emulate::Thread& me = block.threads[block.current];
  const unsigned long slot = me.shuffles++ % 2;
  std::memcpy(&me.exchanged[slot], &value, sizeof value);
  ++block.steps;
  ++block.shuffles[warp];
  block.wait(block.shuffles[warp], me.shuffles * emulate::kWarp);
  T other;
  std::memcpy(&other, &block.threads[first + (block.current % emulate::kWarp ^ static_cast<unsigned>(step))].exchanged[slot], sizeof other);
  return other;
}

GPUWHEEL_NAMESPACE_BEGIN
template <typename T, int N>
struct alignas(sizeof(T) * N) Vector {
  static_assert(N > 0 && (N & (N - 1)) == 0 && sizeof(T) * N <= 16);
  T values[N];
  T& operator[](int i) { return values[check(i)]; }
  const T& operator[](int i) const { return values[check(i)]; }

 private:
  static int check(int i) { return i >= 0 && i < N ? i : throw std::logic_error("an index outside of a vector"); }
};
GPUWHEEL_NAMESPACE_END
