// s = x + residual; y = s / sqrt(mean(s^2) + eps) * weight (Zhang and Sennrich 2019), for the kernels and for the CPU.
// `A` is float or double; `normalised` is s * scale.
#pragma once

#include <gpuwheel/math.h>

template <typename A>
struct AddRmsNorm {
  GPUWHEEL_HOST_DEVICE static A scale(A sum_of_squares, A size, A eps) {
    return gpuwheel::math::rsqrt(sum_of_squares / size + eps);
  }

  // What an element adds to the mean over its row that the gradients of the row share.
  GPUWHEEL_HOST_DEVICE static A projection(A grad, A weight, A normalised) { return grad * weight * normalised; }
  GPUWHEEL_HOST_DEVICE static A gradient(A grad, A weight, A normalised, A scale, A mean_projection) {
    return scale * (grad * weight - normalised * mean_projection);
  }
};
