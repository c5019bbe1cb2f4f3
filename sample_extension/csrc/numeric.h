// Arithmetic that the kernels and their CPU twins share.
#pragma once

#include <gpuwheel/dtype.h>
#include <gpuwheel/math.h>

#include <cstdint>

namespace gpuwheel_sample {

using gpuwheel::accumulate_t;
using std::int64_t;

// exp(x) to a few units in the last place: the two instructions of the hardware where there are such. Its error grows
// with |x|, where a softmax or a sigmoid no longer feels it.
GPUWHEEL_HOST_DEVICE float quick_exp(float x) {
#if defined(__CUDA_ARCH__)
  return __expf(x);
#else
  return gpuwheel::math::exp(x);
#endif
}
GPUWHEEL_HOST_DEVICE double quick_exp(double x) { return gpuwheel::math::exp(x); }

GPUWHEEL_HOST_DEVICE float quick_reciprocal(float x) {
#if defined(__CUDA_ARCH__)
  return __fdividef(1.0f, x);
#else
  return 1.0f / x;
#endif
}
GPUWHEEL_HOST_DEVICE double quick_reciprocal(double x) { return 1.0 / x; }

// 1 / (1 + exp(-x)) and 1 minus that, both to full precision: neither overflows, neither is the difference of near equals.
template <typename A>
struct Sigmoid {
  A value, complement;

  GPUWHEEL_HOST_DEVICE static Sigmoid of(A x) {
    const A small = quick_exp(x < A(0) ? x : -x);
    const A large = quick_reciprocal(A(1) + small);
    if (x < A(0)) return {small * large, large};
    return {large, small * large};
  }
};

// The larger of two. Which one with a NaN is not said: for maxima that only keep a sum of exponentials in range.
GPUWHEEL_HOST_DEVICE float larger(float a, float b) {
#if defined(__CUDA_ARCH__)
  return fmaxf(a, b);
#else
  return a > b ? a : b;
#endif
}
GPUWHEEL_HOST_DEVICE double larger(double a, double b) { return a > b ? a : b; }

}  // namespace gpuwheel_sample
