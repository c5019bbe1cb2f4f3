// max(x + bias, 0)^2 and its derivative.
#pragma once

#include "squared_relu.h"

namespace gpuwheel_sample {

template <typename A>
struct BiasSquaredRelu {
  GPUWHEEL_HOST_DEVICE static A forward(A x, A bias) { return SquaredRelu<A>::forward(x + bias); }
  // of x, and of bias for one row
  GPUWHEEL_HOST_DEVICE static A backward(A grad, A x, A bias) { return SquaredRelu<A>::backward(grad, x + bias); }
};

}  // namespace gpuwheel_sample
