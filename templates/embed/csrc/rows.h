// For operators that reduce rows: checks, how many threads share a row, and sums on the CPU.
#pragma once

#include "host.h"

constexpr int64_t kWarp = 32;
constexpr int64_t kMostThreads = 1024;  // of a block

// `rows`: of one shape (..., size); `weight`: (size,).
inline void check_rows(const char* op, std::initializer_list<gpuwheel::Argument> rows,
                       const gpuwheel::Argument& weight) {
  const gpuwheel::Argument& first = *rows.begin();
  gpuwheel::check_min_dim(op, first, 1);
  gpuwheel::check_same_device(op, rows);
  gpuwheel::check_same_device(op, {first, weight});
  gpuwheel::check_same_dtype(op, rows);
  gpuwheel::check_same_dtype(op, {first, weight});
  gpuwheel::check_same_shape(op, rows);
  gpuwheel::check_shape(op, weight, {first.tensor.size(-1)});
}

// How many rows a tensor of shape (..., size) has.
inline int64_t row_count(const Tensor& x) { return x.numel() == 0 ? 0 : x.numel() / x.size(-1); }

struct Block {
  int64_t threads, rows;
};

// For rows of `vectors` vectors. It depends on nothing else, so a row gives the same bits whatever is beside it.
inline Block block_for(int64_t vectors) {
  if (vectors <= 4 * kWarp) return {kWarp, 4};
  return {std::min(kMostThreads, kWarp * ceil_div(vectors, 2 * kWarp)), 1};
}

// f(0) + ... + f(size - 1) in sixteen interleaved sums: faster, and more exact than one after the other.
template <typename A, typename F>
A sum_of(int64_t size, const F& f) {
  constexpr int kLanes = 16;
  A lanes[kLanes] = {}, total = 0;
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] += f(i + lane);
  }
  for (; i < size; ++i) lanes[i % kLanes] += f(i);
  for (const A lane : lanes) total += lane;
  return total;
}
