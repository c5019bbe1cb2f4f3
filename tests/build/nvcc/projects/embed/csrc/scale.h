#pragma once
#include <gpuwheel/dtype.h>

namespace tiny {
template <typename T>
GPUWHEEL_HOST_DEVICE T scaled(T x, float factor) {
  return static_cast<T>(x * factor);
}
}  // namespace tiny
