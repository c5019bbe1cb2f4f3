// Stands in for <gpuwheel/torch.h>: what the operators register for CUDA becomes the CPU implementation of another
// library, gpuwheel_sample_emulated. Everything else is the real header.
#pragma once

#include_next <gpuwheel/torch.h>

#include <emulated_launch.h>

GPUWHEEL_NAMESPACE_BEGIN
namespace emulated {
inline Stream current_stream(const Tensor&) { return {}; }
struct DeviceGuard {
  explicit DeviceGuard(const Tensor&) {}
};
}  // namespace emulated

namespace driver {
inline int emulated_attribute(int attribute, int) {
  if (attribute == kMultiprocessorCount) return 3;            // few: every loop over the grid goes round more than once
  if (attribute == kMaxSharedPerBlockOptin) return 12 * 1024;  // little: rows are cut between it and global memory
  throw std::logic_error("an attribute that is not emulated");
}
}  // namespace driver
GPUWHEEL_NAMESPACE_END
#define current_stream emulated::current_stream
#define DeviceGuard emulated::DeviceGuard
#define device_attribute(attribute, device) emulated_attribute(attribute, device)

#undef STABLE_TORCH_LIBRARY_FRAGMENT
#undef STABLE_TORCH_LIBRARY_IMPL
#define STABLE_TORCH_LIBRARY_FRAGMENT(ns, m) _STABLE_TORCH_LIBRARY_FRAGMENT(gpuwheel_sample_emulated, m, C10_UID)
#define STABLE_TORCH_LIBRARY_IMPL(ns, key, m) EMULATE_##key(m)
#define EMULATE_CUDA(m) _STABLE_TORCH_LIBRARY_IMPL(gpuwheel_sample_emulated, CPU, m, C10_UID)
#define EMULATE_CPU(m) [[maybe_unused]] static void C10_CONCATENATE(not_emulated_, C10_UID)(torch::stable::detail::StableLibrary & m)
