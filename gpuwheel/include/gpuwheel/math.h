// Functions that mean the same in device code and in its CPU twin, for float and double.
#pragma once

#include <gpuwheel/dtype.h>

#if !defined(__CUDACC__)
#include <cmath>
#endif

GPUWHEEL_NAMESPACE_BEGIN
namespace math {

#if defined(__CUDACC__)  // the names of CUDA's own functions: f for float
#define GPUWHEEL_UNARY(name, ours)                                  \
  GPUWHEEL_HOST_DEVICE float ours(float x) { return ::name##f(x); } \
  GPUWHEEL_HOST_DEVICE double ours(double x) { return ::name(x); }
#else
#define GPUWHEEL_UNARY(name, ours)                                   \
  GPUWHEEL_HOST_DEVICE float ours(float x) { return std::name(x); } \
  GPUWHEEL_HOST_DEVICE double ours(double x) { return std::name(x); }
#endif

GPUWHEEL_UNARY(exp, exp)
GPUWHEEL_UNARY(expm1, expm1)
GPUWHEEL_UNARY(log, log)
GPUWHEEL_UNARY(log1p, log1p)
GPUWHEEL_UNARY(tanh, tanh)
GPUWHEEL_UNARY(erf, erf)
GPUWHEEL_UNARY(sqrt, sqrt)
GPUWHEEL_UNARY(sin, sin)
GPUWHEEL_UNARY(cos, cos)
GPUWHEEL_UNARY(fabs, abs)
#undef GPUWHEEL_UNARY

// 1 / sqrt(x)
GPUWHEEL_HOST_DEVICE float rsqrt(float x) {
#if defined(__CUDA_ARCH__)
  return ::rsqrtf(x);
#else
  return 1.0f / sqrt(x);
#endif
}
GPUWHEEL_HOST_DEVICE double rsqrt(double x) {
#if defined(__CUDA_ARCH__)
  return ::rsqrt(x);
#else
  return 1.0 / sqrt(x);
#endif
}

// a * b + c with one rounding
GPUWHEEL_HOST_DEVICE float fma(float a, float b, float c) {
#if defined(__CUDACC__)
  return ::fmaf(a, b, c);
#else
  return std::fma(a, b, c);
#endif
}
GPUWHEEL_HOST_DEVICE double fma(double a, double b, double c) {
#if defined(__CUDACC__)
  return ::fma(a, b, c);
#else
  return std::fma(a, b, c);
#endif
}

// The larger, the smaller of two: a NaN stays a NaN (as torch.maximum and torch.relu, unlike fmax).
template <typename T>
GPUWHEEL_HOST_DEVICE T max(T a, T b) {
  return a > b || a != a ? a : b;
}
template <typename T>
GPUWHEEL_HOST_DEVICE T min(T a, T b) {
  return a < b || a != a ? a : b;
}

// 1 / (1 + exp(-x)); 0 and 1 at the ends, never NaN for a number
GPUWHEEL_HOST_DEVICE float sigmoid(float x) { return 1.0f / (1.0f + exp(-x)); }
GPUWHEEL_HOST_DEVICE double sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }

}  // namespace math
GPUWHEEL_NAMESPACE_END
