// The benchmark's stand-in for gpuwheel's header of this name: kernels are launched with <<<>>>, by the CUDA runtime, as
// extensions built by torch.utils.cpp_extension do. Free of torch.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace gpuwheel {

inline void check(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(std::string("CUDA: ") + cudaGetErrorString(error));
}

struct Dim3 {
  unsigned x, y, z;

  constexpr Dim3(std::int64_t x_ = 1, std::int64_t y_ = 1, std::int64_t z_ = 1) : x(fit(x_)), y(fit(y_)), z(fit(z_)) {}
  operator dim3() const { return dim3(x, y, z); }

 private:
  static constexpr unsigned fit(std::int64_t n) {
    return n >= 0 && n <= 0x7fffffff ? static_cast<unsigned>(n) : throw std::out_of_range("a grid or block is too large");
  }
};

struct Stream {
  void* handle = nullptr;
  int device = 0;
};

struct LaunchConfig {
  Dim3 grid = {};
  Dim3 block = {};
  Stream stream = {};
  unsigned shared_bytes = 0;
};

namespace driver {
constexpr cudaDeviceAttr kMultiprocessorCount = cudaDevAttrMultiProcessorCount;
constexpr cudaDeviceAttr kMaxSharedPerBlockOptin = cudaDevAttrMaxSharedMemoryPerBlockOptin;

inline int device_attribute(cudaDeviceAttr attribute, int device) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, attribute, device));
  return value;
}
}  // namespace driver

#if defined(__CUDACC__)
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), const LaunchConfig& config, Arguments... arguments) {
  constexpr unsigned kAlwaysAllowed = 48 * 1024;
  if (config.shared_bytes > kAlwaysAllowed) {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(config.shared_bytes)));
  }
  kernel<<<config.grid, config.block, config.shared_bytes, static_cast<cudaStream_t>(config.stream.handle)>>>(arguments...);
  check(cudaGetLastError());
}
#endif

}  // namespace gpuwheel
