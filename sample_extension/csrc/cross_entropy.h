// Cross entropy of softmax(logits) with class indices, loss and gradient: the online softmax of Milakov and Gimelshein
// (2018) finds the maximum and the sum of exponentials in one pass.
#pragma once

#include "numeric.h"

namespace gpuwheel_sample {

// The largest of the logits seen so far and the sum of exp(logit - largest).
template <typename A>
struct Softmax {
  A largest, sum;

  // What to subtract before exp: not -inf, so that a row that begins with masked logits (-inf) gives no NaN.
  GPUWHEEL_HOST_DEVICE static A base(A largest, A lowest) { return largest < lowest ? A(0) : largest; }

  GPUWHEEL_HOST_DEVICE static Softmax merge(const Softmax& a, const Softmax& b, A lowest) {
    const A largest = larger(a.largest, b.largest), from = base(largest, lowest);
    return {largest, a.sum * quick_exp(a.largest - from) + b.sum * quick_exp(b.largest - from)};
  }

  GPUWHEEL_HOST_DEVICE A loss(A target_logit) const { return largest - target_logit + gpuwheel::math::log(sum); }
  // `inverse` is 1 / sum.
  GPUWHEEL_HOST_DEVICE A probability(A logit, A inverse) const { return quick_exp(logit - largest) * inverse; }
};

// The stored gradient is this many times the gradient of the sum of losses. A probability in a large vocabulary is below
// the normal range of float16: a power of two takes it there, exactly.
template <typename T>
struct GradientScale {
  static constexpr float value = 1.0f;
};
template <>
struct GradientScale<gpuwheel::half> {
  static constexpr float value = 16384.0f;
};

}  // namespace gpuwheel_sample
