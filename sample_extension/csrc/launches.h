// How many threads and blocks a launch gets.
#pragma once

#include <gpuwheel/torch.h>

#include <algorithm>
#include <atomic>

#include "fused.kernels.h"
#include "geometry.h"

namespace gpuwheel_sample {

constexpr int64_t kLargestGrid = 0x7fffffff;  // blocks; kernels loop over what is left

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Threads of one row, rows of one block, and whether the threads can keep the row in registers.
struct RowBlock {
  int64_t threads, rows;
  bool held;
};

// For rows of `vectors` vectors. Depends on the length of the row alone, so that the result for a row does not depend on
// the rows beside it.
inline RowBlock row_block(int64_t vectors, bool can_hold) {
  if (can_hold && vectors <= 32 * kHeld) {
    int64_t threads = 1;
    while (threads < vectors && threads < 32) threads *= 2;
    return {threads, kSmallRowThreads / threads, true};
  }
  const bool held = can_hold && vectors <= kHeld * kRowThreads;
  const int64_t wanted = held ? ceil_div(vectors, kHeld) : vectors;
  return {std::min<int64_t>(kRowThreads, ceil_div(wanted, 32) * 32), 1, held};
}

// The length of a row as the kernels take it; the offset of a row is 64 bits wide, a row itself is not.
inline int row_size(const char* op, int64_t size) {
  STD_TORCH_CHECK(size <= 0x7fffffff - 0xffff, op, ": the last dimension has ", size, " elements: the CUDA kernels take less than 2^31 - 2^16");
  return static_cast<int>(size);
}

// Elements per load: 16 bytes, or 1 where a row or a pointer is not a multiple of that.
template <typename T, typename... Tensors>
bool vectors_fit(int64_t size, const Tensors&... tensors) {
  return size % (16 / static_cast<int64_t>(sizeof(T))) == 0 && gpuwheel::aligned(16, tensors...);
}

// Multiprocessors of a device; asked once.
inline int64_t multiprocessors(int device) {
  constexpr int kCached = 64;
  static std::atomic<int> counts[kCached];
  if (device >= kCached) return gpuwheel::driver::device_attribute(gpuwheel::driver::kMultiprocessorCount, device);
  int count = counts[device].load(std::memory_order_relaxed);
  if (count == 0) {
    count = gpuwheel::driver::device_attribute(gpuwheel::driver::kMultiprocessorCount, device);
    counts[device].store(count, std::memory_order_relaxed);
  }
  return count;
}

// A grid for kernels that loop over their work: enough blocks to fill the device, no more than there is work for.
inline int64_t filling_grid(int64_t blocks_of_work, int64_t blocks_per_multiprocessor, int device) {
  return std::max<int64_t>(1, std::min(blocks_of_work, blocks_per_multiprocessor * multiprocessors(device)));
}

// out = the sum over the rows of `partials`: the second stage of a sum over rows.
template <typename T>
void sum_partials(const gpuwheel::Tensor& out, const gpuwheel::Tensor& partials, const gpuwheel::Stream& stream) {
  const int64_t size = partials.size(1);
  const gpuwheel::LaunchConfig config{ceil_div(size, 32), {32, 32}, stream};
  kernels::sum_partials<T>.launch(config, out.mutable_data_ptr<T>(), partials.const_data_ptr<float>(), partials.size(0), size);
}

}  // namespace gpuwheel_sample
