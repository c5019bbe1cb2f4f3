// ATen/cuda/ApplyGridUtils.cuh: how many blocks a loop over elements wants.
#pragma once

#include <gpuwheel_compat/streams.h>

namespace gpuwheel_compat::cuda {
template <class T>
C10_HOST_DEVICE constexpr T ATenCeilDiv(T a, T b) {
  return (a + b - 1) / b;
}
constexpr uint32_t AT_APPLY_THREADS_PER_BLOCK = 512;
constexpr uint32_t AT_APPLY_BLOCKS_PER_SM = 4;
inline dim3 getApplyBlock(int threads = AT_APPLY_THREADS_PER_BLOCK) { return dim3(static_cast<unsigned>(threads)); }
template <int Step = 1>
bool getApplyGrid(uint64_t elements, dim3& grid, DeviceIndex device, int threads = AT_APPLY_THREADS_PER_BLOCK) {
  if (device == -1) return false;
  const auto each = static_cast<uint64_t>(threads) * Step;
  const auto most = static_cast<uint64_t>(getDeviceProperties(device)->maxGridSize[0]);
  grid = dim3(static_cast<unsigned>(std::min((elements + each - 1) / each, most)));
  return true;
}
}  // namespace gpuwheel_compat::cuda
