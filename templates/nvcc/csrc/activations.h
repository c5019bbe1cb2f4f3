// The activations, once for all: the kernels launched by <<<>>>, the epilogue of the CUTLASS GEMM and the loops of the
// CPU call these functors. A is float, or double on the CPU.
#pragma once

#include <gpuwheel/dtype.h>

#include <cmath>

struct Relu {
  template <typename A>
  static GPUWHEEL_HOST_DEVICE A value(A z) {
    return z < A(0) ? A(0) : z;  // lets NaN through
  }

  // Takes z, or relu(z) as well: they are positive together.
  template <typename A>
  static GPUWHEEL_HOST_DEVICE A derivative(A z) {
    return z > A(0) ? A(1) : A(0);
  }
};

// The tanh form (Hendrycks and Gimpel 2016), which is the one that cuBLASLt has. Written as z * sigmoid(u) it loses no
// digits where 1 + tanh(u / 2) would cancel.
struct Gelu {
  template <typename A>
  static GPUWHEEL_HOST_DEVICE A value(A z) {
    return z * sigmoid(z * (A(kLinear) + A(kCubic) * z * z));
  }

  template <typename A>
  static GPUWHEEL_HOST_DEVICE A derivative(A z) {
    const A s = sigmoid(z * (A(kLinear) + A(kCubic) * z * z));
    return s + z * s * (A(1) - s) * (A(kLinear) + A(3 * kCubic) * z * z);
  }

 private:
  static constexpr double kLinear = 1.5957691216057308;  // 2 sqrt(2 / pi)
  static constexpr double kCubic = 0.044715 * kLinear;

  template <typename A>
  static GPUWHEEL_HOST_DEVICE A sigmoid(A u) {
    using std::exp;
    return A(1) / (A(1) + exp(-u));
  }
};
