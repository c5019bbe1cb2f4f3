// Atomics for every dtype: torch has them without a namespace, so that only sources that ask for them get the names.
#pragma once

#include <gpuwheel_compat/cuda_errors.h>

#ifdef __CUDACC__
#include <torch/headeronly/cuda/Atomic.h>
#include <torch/headeronly/cuda/KernelUtils.h>

namespace gpuwheel_compat::native {
using torch::headeronly::fastAtomicAdd;
}
namespace at::native {
using namespace gpuwheel_compat::native;
}
#endif
