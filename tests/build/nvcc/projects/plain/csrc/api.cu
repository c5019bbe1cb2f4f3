#include <cooperative_groups.h>
#include <cublasLt.h>

__device__ float square(float x);

namespace {
__global__ void squares(float* values, int n) {
  const auto grid = cooperative_groups::this_grid();
  for (int i = static_cast<int>(grid.thread_rank()); i < n; i += static_cast<int>(grid.size())) {
    values[i] = square(values[i]);
  }
}
}  // namespace

int hidden_from_c(int x) { return x; }

extern "C" {
int plain_version() { return hidden_from_c(7); }

int plain_device_count() {
  int count = -1;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

int plain_squares(float* values, int n) {
  squares<<<(n + 255) / 256, 256>>>(values, n);
  return static_cast<int>(cudaGetLastError());
}

unsigned long plain_cublaslt_version() { return cublasLtGetVersion(); }
}
