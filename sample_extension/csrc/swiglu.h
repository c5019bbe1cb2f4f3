// silu(gate) * up (Shazeer 2020) and its derivatives.
#pragma once

#include "numeric.h"

namespace gpuwheel_sample {

template <typename A>
struct SwiGlu {
  GPUWHEEL_HOST_DEVICE static A forward(A gate, A up) { return gate * Sigmoid<A>::of(gate).value * up; }
  GPUWHEEL_HOST_DEVICE static A gate_gradient(A grad, A gate, A up) {
    const auto s = Sigmoid<A>::of(gate);
    return grad * up * s.value * (A(1) + gate * s.complement);
  }
  GPUWHEEL_HOST_DEVICE static A up_gradient(A grad, A gate) { return grad * gate * Sigmoid<A>::of(gate).value; }
};

}  // namespace gpuwheel_sample
