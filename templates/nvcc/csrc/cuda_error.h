// Errors of CUDA as C++ exceptions, which torch turns into RuntimeError.
#pragma once

#include <cuda_runtime_api.h>

#include <stdexcept>
#include <string>

// check(cudaGetLastError(), "launching bias_act")
inline void check(cudaError_t error, const char* doing) {
  if (error == cudaSuccess) return;
  throw std::runtime_error(std::string(doing) + ": " + cudaGetErrorName(error) + " (" + cudaGetErrorString(error) +
                           ")");
}
