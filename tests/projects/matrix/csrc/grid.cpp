// Without torch and without Python.
#include <algorithm>

#include "device/launch.h"

namespace matrix_ops {

Grid grid_for(std::int64_t n) {
  constexpr std::int64_t kThreads = 256;
  constexpr std::int64_t kMostBlocks = 1 << 16;
  const std::int64_t blocks = std::clamp<std::int64_t>((n + kThreads - 1) / kThreads, 1, kMostBlocks);
  return {static_cast<unsigned>(blocks), static_cast<unsigned>(kThreads)};
}

}  // namespace matrix_ops
