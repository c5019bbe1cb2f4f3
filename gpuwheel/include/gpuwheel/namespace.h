// Everything these headers define lives in `gpuwheel::inline v1` with hidden visibility: two packages built with
// different versions of them are loaded into one process without seeing each other.
#pragma once

#if defined(__CUDACC_RTC__)  // device code has no visibility
#define GPUWHEEL_NAMESPACE_BEGIN \
  namespace gpuwheel {           \
  inline namespace v1 {
#else
#define GPUWHEEL_NAMESPACE_BEGIN \
  namespace gpuwheel {           \
  inline namespace v1 __attribute__((visibility("hidden"))) {
#endif
#define GPUWHEEL_NAMESPACE_END \
  }                            \
  }
