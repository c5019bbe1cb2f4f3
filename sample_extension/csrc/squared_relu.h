// max(x, 0)^2, the activation of Primer (So et al. 2021) and of the Nemotron models, and its derivative.
#pragma once

#include "numeric.h"

namespace gpuwheel_sample {

template <typename A>
struct SquaredRelu {
  GPUWHEEL_HOST_DEVICE static A forward(A x) {
    const A positive = gpuwheel::math::max(x, A(0));
    return positive * positive;
  }
  GPUWHEEL_HOST_DEVICE static A backward(A grad, A x) { return grad * A(2) * gpuwheel::math::max(x, A(0)); }
};

}  // namespace gpuwheel_sample
