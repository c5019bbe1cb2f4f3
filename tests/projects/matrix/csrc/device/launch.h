// What is launched without torch: plain pointers and sizes.
#pragma once
#include <cstdint>

namespace matrix_ops {

struct Grid {
  unsigned blocks;
  unsigned threads;
};

// One thread for each of n elements, as far as a grid goes.
Grid grid_for(std::int64_t n);

void launch_axpby(float* out, const float* x, const float* y, std::int64_t n, float a, float b);
void launch_gelu(float* out, const float* x, std::int64_t n);
void launch_histogram(std::int64_t* counts, const float* x, std::int64_t n, int bins, float low, float high);
void launch_row_max(float* out, const float* x, std::int64_t rows, std::int64_t columns);

}  // namespace matrix_ops
