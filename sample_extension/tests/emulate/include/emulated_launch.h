// A kernel that launches itself on the CPU, called as the generated header's typed kernels are.
#pragma once

#include <gpuwheel/device.h>
#include <gpuwheel/launch.h>

#include <algorithm>
#include <type_traits>

namespace emulate {

template <typename... Parameters>
struct Kernel {
  void (*function)(Parameters...);

  template <typename... Arguments>
  void launch(const gpuwheel::LaunchConfig& config, Arguments... arguments) const {
    static_assert(sizeof...(Arguments) == sizeof...(Parameters));
    emulate::launch(function, {config.grid.x, config.grid.y, config.grid.z}, {config.block.x, config.block.y, config.block.z},
                    static_cast<Parameters>(arguments)...);
  }
};
template <typename... Parameters>
Kernel(void (*)(Parameters...)) -> Kernel<Parameters...>;

}  // namespace emulate
