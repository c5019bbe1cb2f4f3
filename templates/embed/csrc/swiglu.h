// silu(gate) * up (Shazeer 2020) and its derivatives, for the kernels and for the CPU. `A` is float or double.
#pragma once

#include <gpuwheel/math.h>

template <typename A>
struct SwiGlu {
  GPUWHEEL_HOST_DEVICE static A forward(A gate, A up) { return gate * gpuwheel::math::sigmoid(gate) * up; }

  GPUWHEEL_HOST_DEVICE static A gate_gradient(A grad, A gate, A up) {
    const A s = gpuwheel::math::sigmoid(gate);
    return grad * up * s * (A(1) + gate * (A(1) - s));
  }
  GPUWHEEL_HOST_DEVICE static A up_gradient(A grad, A gate) { return grad * gate * gpuwheel::math::sigmoid(gate); }
};
