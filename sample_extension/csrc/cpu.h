// Loops of the CPU implementations. Work is split by the shape alone and added up in one order: the result does not
// depend on the number of threads.
#pragma once

#include <gpuwheel/torch.h>

#include <algorithm>
#include <vector>

#include "numeric.h"

namespace gpuwheel_sample::cpu {

constexpr int64_t kGrain = 16384;  // elements that are worth a thread

// f(row) for every row, in parallel.
template <typename F>
void for_rows(int64_t rows, int64_t size, const F& f) {
  gpuwheel::parallel_for(0, rows, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, size)), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) f(row);
  });
}

// f(i) for every element, in parallel.
template <typename F>
void for_elements(int64_t count, const F& f) {
  gpuwheel::parallel_for(0, count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) f(i);
  });
}

// f(0) + ... + f(size - 1) in sixteen interleaved sums: vector instructions apply, and errors grow sixteen times slower.
template <typename A, typename F>
A sum(int64_t size, const F& f) {
  constexpr int kLanes = 16;
  A lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] += f(i + lane);
  }
  for (int lane = 0; i < size; ++i, ++lane) lanes[lane] += f(i);
  for (int step = kLanes / 2; step > 0; step /= 2) {
    for (int lane = 0; lane < step; ++lane) lanes[lane] += lanes[lane + step];
  }
  return lanes[0];
}

// f(row, sums) adds a row to column sums; `out` gets their total over all rows.
template <typename T, typename F>
void sum_columns(int64_t rows, int64_t size, T* out, const F& f) {
  using A = accumulate_t<T>;
  const int64_t parts = std::min<int64_t>(rows, 64);
  std::vector<A> sums(static_cast<size_t>(parts * size));
  gpuwheel::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      for (int64_t row = rows * part / parts; row < rows * (part + 1) / parts; ++row) f(row, sums.data() + part * size);
    }
  });
  for_elements(size, [&](int64_t column) {
    A total = 0;
    for (int64_t part = 0; part < parts; ++part) total += sums[static_cast<size_t>(part * size + column)];
    out[column] = static_cast<T>(total);
  });
}

}  // namespace gpuwheel_sample::cpu
