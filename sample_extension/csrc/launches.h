// How many threads and blocks a launch gets.
#pragma once

#include <gpuwheel/torch.h>

#include <algorithm>
#include <atomic>
#include <tuple>

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
    return {threads, kGroupThreads / threads, true};
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

// For `vectors` vectors in kernels of flat.cuh.
inline gpuwheel::LaunchConfig flat_launch(int64_t vectors, const gpuwheel::Stream& stream) {
  constexpr int64_t kBlocks = 2048 / kFlatThreads;  // as many threads as a multiprocessor can hold
  return {filling_grid(ceil_div(vectors, kFlatThreads), kBlocks, stream.device), kFlatThreads, stream};
}

// Launch an elementwise kernel (outputs..., inputs..., count) on contiguous tensors of one size: the one that loads
// vectors if every tensor starts at a multiple of 16 bytes.
template <typename T, typename Vectors, typename Single, typename... Outputs, typename... Inputs>
void launch_flat(Vectors& by_vectors, Single& by_one, const std::tuple<Outputs&...>& outputs, const Inputs&... inputs) {
  constexpr int64_t kElements = 16 / sizeof(T);
  std::apply([&](const auto& first, const auto&... others) {
    const int64_t count = first.numel();
    if (count == 0) return;
    const bool vectors = gpuwheel::aligned(16, first, others..., inputs...);
    const gpuwheel::LaunchConfig config = flat_launch(vectors ? ceil_div(count, kElements) : count, gpuwheel::current_stream(first));
    const auto launch = [&](auto& kernel) {
      kernel.launch(config, first.template mutable_data_ptr<T>(), others.template mutable_data_ptr<T>()..., inputs.template const_data_ptr<T>()..., count);
    };
    vectors ? launch(by_vectors) : launch(by_one);
  }, outputs);
}

// For bias_gradients of flat.cuh: blocks over tiles of columns (x) and over rows (y); one row of partial sums per y.
inline gpuwheel::LaunchConfig column_launch(int64_t rows, int64_t row_vectors, bool vectors, const gpuwheel::Stream& stream) {
  const int64_t widest = vectors ? 32 : kGroupThreads;
  int64_t width = 1;
  while (width < row_vectors && width < widest) width *= 2;
  const int64_t tiles = ceil_div(row_vectors, width), height = kGroupThreads / width;
  const int64_t parts = std::min(ceil_div(rows, height), ceil_div(2 * kColumnBlocks * multiprocessors(stream.device), tiles));
  return {{tiles, std::min<int64_t>(parts, 65535)}, {width, height}, stream};
}

// out = the sum over the rows of `partials`: the second stage of a sum over rows.
template <typename T>
void sum_partials(const gpuwheel::Tensor& out, const gpuwheel::Tensor& partials, const gpuwheel::Stream& stream) {
  const int64_t size = partials.size(1);
  const gpuwheel::LaunchConfig config{ceil_div(size, 32), {32, 32}, stream};
  kernels::sum_partials<T>.launch(config, out.mutable_data_ptr<T>(), partials.const_data_ptr<float>(), partials.size(0), size);
}

}  // namespace gpuwheel_sample
