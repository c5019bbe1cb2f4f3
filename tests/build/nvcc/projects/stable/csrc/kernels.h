#pragma once
#include <cuda_runtime_api.h>

cudaError_t launch_add_rms_norm(float* out, const float* x, const float* residual, const float* weight, int rows,
                                int columns, float eps, void* stream);
