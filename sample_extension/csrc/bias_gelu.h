// gelu(x + bias) with the tanh form of GELU (Hendrycks and Gimpel 2016), and its derivative.
#pragma once

#include "numeric.h"

namespace gpuwheel_sample {

template <typename A>
struct BiasGelu {
  static constexpr A kSlope = A(2 * 0.7978845608028654);  // 2 sqrt(2 / pi)
  static constexpr A kCubic = A(0.044715);

  // v/2 (1 + tanh(u)) = v / (1 + exp(-2u)) with u = sqrt(2 / pi) (v + 0.044715 v^3)
  GPUWHEEL_HOST_DEVICE static A forward(A x, A bias) {
    const A v = x + bias;
    return v * Sigmoid<A>::of(kSlope * (v + kCubic * v * v * v)).value;
  }

  // of x, and of bias for one row
  GPUWHEEL_HOST_DEVICE static A backward(A grad, A x, A bias) {
    const A v = x + bias;
    const auto gate = Sigmoid<A>::of(kSlope * (v + kCubic * v * v * v));
    return grad * gate.value * (A(1) + v * gate.complement * kSlope * (A(1) + A(3) * kCubic * v * v));
  }
};

}  // namespace gpuwheel_sample
