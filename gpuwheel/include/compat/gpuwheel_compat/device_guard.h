// What makes a device current for a scope. Torch's runtime is asked and told, not the one in this library: each keeps its
// own notion of what is current, until one of them has made a context.
#pragma once
#include <gpuwheel_compat/functions.h>

namespace gpuwheel_compat {
namespace cuda {
inline DeviceIndex current_device() {
  int32_t device = 0;
  GWC_OK(aoti_torch_get_current_device_index(&device));
  return static_cast<DeviceIndex>(device);
}
}  // namespace cuda

namespace guard_detail {
/// A guard of torch, with what torch's classes add to it. `Optional` may guard nothing.
class DeviceGuardState {
  DeviceGuardHandle handle_ = nullptr;
  Device original_, current_;

 public:
  DeviceGuardState() = default;
  DeviceGuardState(const DeviceGuardState&) = delete;
  DeviceGuardState& operator=(const DeviceGuardState&) = delete;
  ~DeviceGuardState() { reset(); }

  bool initialized() const { return original_ != Device() || handle_; }
  Device original() const { return original_; }
  Device current() const { return current_; }
  /// Makes the device current; a CPU has none that could be.
  void set(Device device) {
    if (device.is_cpu()) {
      if (!handle_) original_ = current_ = device;
      return;
    }
    if (!handle_) {
      const DeviceIndex before = cuda::current_device();
      GWC_OK(aoti_torch_create_device_guard(device.has_index() ? device.index() : before, &handle_));
      original_ = Device(device.type(), before);
      current_ = device.has_index() ? device : original_;
    } else if (device.has_index()) {
      GWC_OK(aoti_torch_device_guard_set_index(handle_, device.index()));
      current_ = device;
    }
  }
  void reset() {
    if (handle_) aoti_torch_delete_device_guard(handle_);  // a destructor must not throw; torch's does not either
    handle_ = nullptr;
    original_ = current_ = Device();
  }
};
inline Device cuda_only(Device device) {
  TORCH_CHECK(device.is_cuda(), "Expected a CUDA device, but got ", device);
  return device;
}
}  // namespace guard_detail

class DeviceGuard {
  guard_detail::DeviceGuardState state_;

 public:
  explicit DeviceGuard() = delete;
  explicit DeviceGuard(Device device) { state_.set(device); }
  void set_index(DeviceIndex index) { state_.set(Device(state_.current().type(), index)); }
  void reset_device(Device device) { state_.set(device); }
  Device original_device() const { return state_.original(); }
  Device current_device() const { return state_.current(); }
};

class OptionalDeviceGuard {
  guard_detail::DeviceGuardState state_;

 public:
  explicit OptionalDeviceGuard() = default;
  explicit OptionalDeviceGuard(Device device) { state_.set(device); }
  explicit OptionalDeviceGuard(std::optional<Device> device) {
    if (device) state_.set(*device);
  }
  void reset_device(Device device) { state_.set(device); }
  std::optional<Device> original_device() const { return given(state_.original()); }
  std::optional<Device> current_device() const { return given(state_.current()); }

 private:
  std::optional<Device> given(Device device) const {
    return state_.initialized() ? std::optional<Device>(device) : std::nullopt;
  }
};

inline std::optional<Device> device_of(const Tensor& tensor) {
  return tensor.defined() ? std::optional<Device>(tensor.device()) : std::nullopt;
}
inline std::optional<Device> device_of(const std::optional<Tensor>& tensor) {
  return tensor ? device_of(*tensor) : std::nullopt;
}
/// The device of the first tensor, if there is one.
inline std::optional<Device> device_of(ArrayRef<Tensor> tensors) {
  return tensors.empty() ? std::nullopt : device_of(tensors.front());
}
}  // namespace gpuwheel_compat
