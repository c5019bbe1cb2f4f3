// ATen/cuda/CUDAApplyUtils.cuh: what it includes; its own functions are torch's alone.
#pragma once

#include <gpuwheel_compat/apply_grid.h>
#include <gpuwheel_compat/atomics.h>
#include <gpuwheel_compat/tensor_info.h>
