// silu(gate) * up (Shazeer 2020) and its derivatives.
#pragma once

#include "numeric.h"

namespace gpuwheel_sample {

template <typename A>
struct SwiGlu {
  GPUWHEEL_HOST_DEVICE static A forward(A gate, A up) { return gate * quick_sigmoid(gate) * up; }
  GPUWHEEL_HOST_DEVICE static A gate_gradient(A grad, A gate, A up) {
    const A s = quick_sigmoid(gate);
    return grad * up * s * (A(1) + gate * (A(1) - s));
  }
  GPUWHEEL_HOST_DEVICE static A up_gradient(A grad, A gate) { return grad * gate * quick_sigmoid(gate); }
};

}  // namespace gpuwheel_sample
