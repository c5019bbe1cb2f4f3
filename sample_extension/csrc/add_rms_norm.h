// y = x_sum / sqrt(mean(x_sum^2) + eps) * weight with x_sum = x + residual, and its gradient (Zhang and Sennrich 2019).
#pragma once

#include "numeric.h"

namespace gpuwheel_sample {

// `A` is the type to accumulate in.
template <typename A>
struct AddRmsNorm {
  // 1 / sqrt(mean + eps)
  GPUWHEEL_HOST_DEVICE static A scale(A sum_of_squares, A size, A eps) {
    return gpuwheel::math::rsqrt(sum_of_squares / size + eps);
  }
  GPUWHEEL_HOST_DEVICE static A output(A sum, A scale, A weight) { return sum * scale * weight; }

  // With n = sum * scale: what each element adds to the mean of the row, to the gradient of weight, and its own.
  GPUWHEEL_HOST_DEVICE static A projection(A grad, A weight, A normalised) { return grad * weight * normalised; }
  GPUWHEEL_HOST_DEVICE static A weight_gradient(A grad, A normalised) { return grad * normalised; }
  GPUWHEEL_HOST_DEVICE static A input_gradient(A grad, A weight, A normalised, A scale, A mean_projection) {
    return scale * (grad * weight - normalised * mean_projection);
  }
};

}  // namespace gpuwheel_sample
