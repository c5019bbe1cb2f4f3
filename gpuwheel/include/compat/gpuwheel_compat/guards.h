// Devices of CUDA, and what makes one current for a scope.
#pragma once
#include <gpuwheel_compat/cuda_errors.h>
#include <gpuwheel_compat/device_guard.h>

namespace gpuwheel_compat {
namespace cuda {
inline DeviceIndex device_count() noexcept {
  static const auto count = [] {
    try {
      return static_cast<DeviceIndex>(call_python<int64_t>(GWC_PYTHON "::cuda_device_count"));
    } catch (const std::exception&) {
      return DeviceIndex(0);  // as torch: no error, no device
    }
  }();
  return count;
}
inline DeviceIndex device_count_ensure_non_zero() {
  const auto count = device_count();
  TORCH_CHECK(count, "No CUDA GPUs are available");
  return count;
}
inline int64_t getNumGPUs() { return device_count(); }
inline bool is_available() { return device_count() > 0; }

class CUDAGuard {
  guard_detail::DeviceGuardState state_;

 public:
  explicit CUDAGuard() = delete;
  explicit CUDAGuard(DeviceIndex index) { state_.set(Device(DeviceType::CUDA, index)); }
  explicit CUDAGuard(Device device) { state_.set(guard_detail::cuda_only(device)); }
  void set_device(Device device) { state_.set(guard_detail::cuda_only(device)); }
  void reset_device(Device device) { state_.set(guard_detail::cuda_only(device)); }
  void set_index(DeviceIndex index) { state_.set(Device(DeviceType::CUDA, index)); }
  Device original_device() const { return state_.original(); }
  Device current_device() const { return state_.current(); }
};

class OptionalCUDAGuard {
  guard_detail::DeviceGuardState state_;

 public:
  explicit OptionalCUDAGuard() = default;
  explicit OptionalCUDAGuard(std::optional<Device> device) {
    if (device) state_.set(guard_detail::cuda_only(*device));
  }
  explicit OptionalCUDAGuard(std::optional<DeviceIndex> index) {
    if (index) state_.set(Device(DeviceType::CUDA, *index));
  }
  void set_device(Device device) { state_.set(guard_detail::cuda_only(device)); }
  void reset_device(Device device) { state_.set(guard_detail::cuda_only(device)); }
  void set_index(DeviceIndex index) { state_.set(Device(DeviceType::CUDA, index)); }
  std::optional<Device> original_device() const { return given(state_.original()); }
  std::optional<Device> current_device() const { return given(state_.current()); }
  void reset() { state_.reset(); }

 private:
  std::optional<Device> given(Device device) const {
    return state_.initialized() ? std::optional<Device>(device) : std::nullopt;
  }
};

/// Makes a device current until something else does. Torch gives guards alone: one of each thread, which never ends.
inline void set_device(DeviceIndex device, bool = false) {
  thread_local DeviceGuardHandle kept = nullptr;
  if (!kept) GWC_OK(aoti_torch_create_device_guard(device, &kept));
  else GWC_OK(aoti_torch_device_guard_set_index(kept, device));
}
inline DeviceIndex ExchangeDevice(DeviceIndex device) {
  const auto before = current_device();
  if (device >= 0 && device != before) set_device(device);
  return before;
}
inline DeviceIndex MaybeExchangeDevice(DeviceIndex device) { return ExchangeDevice(device); }
inline cudaError_t GetDevice(DeviceIndex* device) {
  *device = current_device();
  return cudaSuccess;
}
inline cudaError_t SetDevice(DeviceIndex device, bool = false) {
  set_device(device);
  return cudaSuccess;
}
inline cudaError_t MaybeSetDevice(DeviceIndex device) { return SetDevice(device); }
inline cudaError_t GetDeviceCount(int* count) { return cudaGetDeviceCount(count); }
inline void device_synchronize() { C10_CUDA_CHECK(cudaDeviceSynchronize()); }

inline cudaDeviceProp* getDeviceProperties(DeviceIndex device) {
  static std::mutex lock;
  static std::deque<std::optional<cudaDeviceProp>> known;  // a deque: pointers into it stay
  const auto count = device_count();
  if (device == -1) device = current_device();
  TORCH_CHECK(device >= 0 && device < count, "device=", static_cast<int>(device),
              ", num_gpus=", static_cast<int>(count));
  std::lock_guard<std::mutex> locked(lock);
  while (known.size() <= static_cast<size_t>(device)) known.emplace_back();
  auto& found = known[static_cast<size_t>(device)];
  if (!found) {
    cudaDeviceProp read;
    C10_CUDA_CHECK(cudaGetDeviceProperties(&read, device));
    found = read;
  }
  return &*found;
}
inline cudaDeviceProp* getCurrentDeviceProperties() { return getDeviceProperties(current_device()); }
inline int warp_size() { return getCurrentDeviceProperties()->warpSize; }
inline bool canDeviceAccessPeer(DeviceIndex device, DeviceIndex peer) {
  if (device == -1) device = current_device();
  int can = 0;
  C10_CUDA_CHECK(cudaDeviceCanAccessPeer(&can, device, peer));
  return can != 0;
}
/// Whether all tensors are on the same CUDA device.
inline bool check_device(ArrayRef<Tensor> tensors) {
  for (const auto& each : tensors)
    if (!each.is_cuda() || each.device() != tensors.front().device()) return false;
  return true;
}
}  // namespace cuda
}  // namespace gpuwheel_compat
