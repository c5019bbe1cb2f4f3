// Stands in for the header that gpuwheel generates from the cubins: the kernels of one operator, compiled for the CPU.
#pragma once

#include <emulated_launch.h>

// The kernel templates get another namespace: theirs holds what the host launches.
#define kernels kernels_on_device
#include <rows.cuh>
namespace gpuwheel_sample::kernels {
alignas(16) inline unsigned char shared_memory[12 * 1024];  // dynamic shared memory: as much as torch.h says there is
}
#include "sum_partials.cu"
#if defined(EMULATE_add_rms_norm)
#include "add_rms_norm.cu"
#endif
#if defined(EMULATE_bias_gelu)
#include "bias_gelu.cu"
#endif
#if defined(EMULATE_bias_squared_relu)
#include "bias_squared_relu.cu"
#endif
#if defined(EMULATE_cross_entropy)
#include "cross_entropy.cu"
#endif
#if defined(EMULATE_rotary_embedding)
#include "rotary_embedding.cu"
#endif
#if defined(EMULATE_squared_relu)
#include "squared_relu.cu"
#endif
#if defined(EMULATE_swiglu)
#include "swiglu.cu"
#endif
#undef kernels

#define EMULATE(name)          \
  template <typename T, int VEC> \
  inline constexpr emulate::Kernel name{kernels_on_device::name<T, VEC>}

namespace gpuwheel_sample::kernels {
template <typename T>
inline constexpr emulate::Kernel sum_partials{kernels_on_device::sum_partials<T>};
#if defined(EMULATE_add_rms_norm)
EMULATE(add_rms_norm);
EMULATE(add_rms_norm_long);
EMULATE(add_rms_norm_backward);
EMULATE(add_rms_norm_backward_long);
#endif
#if defined(EMULATE_bias_gelu)
EMULATE(bias_gelu);
EMULATE(bias_gelu_backward);
#endif
#if defined(EMULATE_bias_squared_relu)
EMULATE(bias_squared_relu);
EMULATE(bias_squared_relu_backward);
#endif
#if defined(EMULATE_cross_entropy)
EMULATE(cross_entropy);
EMULATE(cross_entropy_backward);
EMULATE(cross_entropy_backward_rows);
inline constexpr emulate::Kernel total_loss{kernels_on_device::total_loss};
#endif
#if defined(EMULATE_rotary_embedding)
EMULATE(rotary_embedding);
#endif
#if defined(EMULATE_squared_relu)
EMULATE(squared_relu);
EMULATE(squared_relu_backward);
#endif
#if defined(EMULATE_swiglu)
EMULATE(swiglu);
EMULATE(swiglu_backward);
#endif
}  // namespace gpuwheel_sample::kernels
