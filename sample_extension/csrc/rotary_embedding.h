// Rotation of pairs of elements by an angle per position (RoPE, Su et al. 2021). The pairs are the elements of the two
// halves of the last dimension (GPT-NeoX), not neighbours. The gradient is the rotation by the opposite angle.
#pragma once

#include "numeric.h"

namespace gpuwheel_sample {

template <typename A>
struct RotaryEmbedding {
  GPUWHEEL_HOST_DEVICE static A first(A x1, A x2, A cos, A sin) { return x1 * cos - x2 * sin; }
  GPUWHEEL_HOST_DEVICE static A second(A x1, A x2, A cos, A sin) { return x2 * cos + x1 * sin; }
};

}  // namespace gpuwheel_sample
