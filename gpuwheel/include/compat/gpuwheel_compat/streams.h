// Streams of CUDA, the guards that make them current, and events.
#pragma once
#include <gpuwheel_compat/guards.h>

namespace gpuwheel_compat {
using StreamId = int64_t;

/// A stream of any device, as torch passes it around: the stream of the driver, and its device.
class Stream {
  Device device_;
  StreamId id_;

 public:
  enum Unsafe { UNSAFE };
  enum Default { DEFAULT };
  Stream(Unsafe, Device device, StreamId id) : device_(device), id_(id) {}
  Stream(Default, Device device) : device_(device), id_(0) {}
  Device device() const noexcept { return device_; }
  DeviceType device_type() const noexcept { return device_.type(); }
  DeviceIndex device_index() const noexcept { return device_.index(); }
  StreamId id() const noexcept { return id_; }
  bool operator==(const Stream& other) const noexcept { return device_ == other.device_ && id_ == other.id_; }
  bool operator!=(const Stream& other) const noexcept { return !(*this == other); }
};

namespace cuda {
class CUDAStream {
  cudaStream_t stream_;
  DeviceIndex device_;

 public:
  enum Unchecked { UNCHECKED };
  explicit CUDAStream(Stream stream) : CUDAStream(UNCHECKED, stream) {
    TORCH_CHECK(stream.device_type() == DeviceType::CUDA);
  }
  CUDAStream(Unchecked, Stream stream)
      : stream_(reinterpret_cast<cudaStream_t>(stream.id())), device_(stream.device_index()) {}
  CUDAStream(Unchecked, cudaStream_t stream, DeviceIndex device) : stream_(stream), device_(device) {}

  cudaStream_t stream() const { return stream_; }
  operator cudaStream_t() const { return stream_; }
  operator Stream() const { return unwrap(); }
  // That of a stream which torch did not make: 0 is the default stream, all else the driver's own.
  StreamId id() const { return reinterpret_cast<StreamId>(stream_); }
  Stream unwrap() const { return Stream(Stream::UNSAFE, device(), id()); }
  DeviceType device_type() const { return DeviceType::CUDA; }
  DeviceIndex device_index() const { return device_; }
  Device device() const { return Device(DeviceType::CUDA, device_); }
  bool operator==(const CUDAStream& other) const noexcept { return unwrap() == other.unwrap(); }
  bool operator!=(const CUDAStream& other) const noexcept { return !(*this == other); }

  bool query() const {
    CUDAGuard guard(device_);
    const cudaError_t found = C10_CUDA_ERROR_HANDLED(cudaStreamQuery(stream_));
    if (found == cudaErrorNotReady) (void)cudaGetLastError();
    else C10_CUDA_CHECK(found);
    return found == cudaSuccess;
  }
  void synchronize() const { GWC_CUDA_OK(torch_cuda_stream_synchronize, stream_, device_); }
  bool is_capturing() const {
    CUDAGuard guard(device_);
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    C10_CUDA_CHECK(cudaStreamIsCapturing(stream_, &status));
    return status != cudaStreamCaptureStatusNone;
  }
  int priority() const {
    CUDAGuard guard(device_);
    int found = 0;
    C10_CUDA_CHECK(cudaStreamGetPriority(stream_, &found));
    return found;
  }
  static std::tuple<int, int> priority_range() {
    int least = 0, greatest = 0;
    C10_CUDA_CHECK(cudaDeviceGetStreamPriorityRange(&least, &greatest));
    return {least, std::max(-3, greatest)};  // torch has four priorities
  }
};
inline std::ostream& operator<<(std::ostream& out, const CUDAStream& stream) {
  return out << "stream " << stream.id() << " on device " << stream.device();
}

inline CUDAStream getCurrentCUDAStream(DeviceIndex device = -1) {
  if (device < 0) device = current_device();
  void* found = nullptr;
  GWC_CUDA_OK(aoti_torch_get_current_cuda_stream, device, &found);
  return {CUDAStream::UNCHECKED, static_cast<cudaStream_t>(found), device};
}
inline CUDAStream getDefaultCUDAStream(DeviceIndex device = -1) {
  return {CUDAStream::UNCHECKED, static_cast<cudaStream_t>(nullptr), device < 0 ? current_device() : device};
}
inline CUDAStream getStreamFromPool(bool high_priority = false, DeviceIndex device = -1) {
  if (device < 0) device = current_device();
  void* found = nullptr;
  GWC_CUDA_OK(torch_get_cuda_stream_from_pool, high_priority, device, &found);
  return {CUDAStream::UNCHECKED, static_cast<cudaStream_t>(found), device};
}
// Refused: the stable ABI knows high priority and none. Say getStreamFromPool(true) for a stream of high priority.
CUDAStream getStreamFromPool(int priority, DeviceIndex device = -1) = delete;
inline CUDAStream getStreamFromExternal(cudaStream_t stream, DeviceIndex device) {
  return {CUDAStream::UNCHECKED, stream, device};
}
inline void setCurrentCUDAStream(CUDAStream stream) {
  GWC_CUDA_OK(torch_set_current_cuda_stream, stream.stream(), stream.device_index());
}
inline void stream_synchronize(cudaStream_t stream) {
  GWC_CUDA_OK(torch_cuda_stream_synchronize, stream, current_device());
}
inline void memcpy_and_sync(void* to, const void* from, int64_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  C10_CUDA_CHECK(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), kind, stream));
  stream_synchronize(stream);
}

}  // namespace cuda

/// Tells torch that a stream uses the tensor's memory, which is not given to others before that stream is done.
template <class S>
void Tensor::record_stream(const S& stream) const {
  const Stream used(stream);
  call_python<void>(GWC_PYTHON "::record_stream", *this, used.id(), static_cast<int64_t>(used.device_index()));
}

namespace cuda {
/// Makes a stream and its device current; at the end those that were.
class OptionalCUDAStreamGuard {
  CUDAStreamGuardHandle handle_ = nullptr;
  std::optional<CUDAStream> original_, current_;
  Device device_;

 public:
  explicit OptionalCUDAStreamGuard() = default;
  explicit OptionalCUDAStreamGuard(Stream stream) { reset_stream(stream); }
  explicit OptionalCUDAStreamGuard(std::optional<Stream> stream) {
    if (stream) reset_stream(*stream);
  }
  OptionalCUDAStreamGuard(const OptionalCUDAStreamGuard&) = delete;
  OptionalCUDAStreamGuard& operator=(const OptionalCUDAStreamGuard&) = delete;
  ~OptionalCUDAStreamGuard() { reset(); }

  void reset_stream(Stream stream) {
    const CUDAStream wanted(stream);
    reset();
    const Device before(DeviceType::CUDA, cuda::current_device());
    const auto original = getCurrentCUDAStream(stream.device_index());
    GWC_CUDA_OK(aoti_torch_create_cuda_stream_guard, wanted.stream(), wanted.device_index(), &handle_);
    device_ = before;
    original_ = original;
    current_ = wanted;
  }
  std::optional<CUDAStream> original_stream() const { return original_; }
  std::optional<CUDAStream> current_stream() const { return current_; }
  Device original_device() const { return device_; }
  void reset() {
    if (handle_) aoti_torch_delete_cuda_stream_guard(handle_);
    handle_ = nullptr;
    original_.reset();
    current_.reset();
  }
};

class CUDAStreamGuard {
  OptionalCUDAStreamGuard guard_;

 public:
  explicit CUDAStreamGuard() = delete;
  explicit CUDAStreamGuard(Stream stream) : guard_(stream) {}
  void reset_stream(Stream stream) { guard_.reset_stream(stream); }
  CUDAStream original_stream() const { return *guard_.original_stream(); }
  CUDAStream current_stream() const { return *guard_.current_stream(); }
  Device original_device() const { return guard_.original_device(); }
  Device current_device() const { return current_stream().device(); }
};

/// Makes streams of several devices current; the device stays.
class CUDAMultiStreamGuard {
  std::vector<CUDAStream> originals_;

 public:
  explicit CUDAMultiStreamGuard(ArrayRef<CUDAStream> streams) {
    for (const auto& each : streams) originals_.push_back(getCurrentCUDAStream(each.device_index()));
    for (const auto& each : streams) setCurrentCUDAStream(each);
  }
  CUDAMultiStreamGuard(const CUDAMultiStreamGuard&) = delete;
  CUDAMultiStreamGuard& operator=(const CUDAMultiStreamGuard&) = delete;
  ~CUDAMultiStreamGuard() {
    for (const auto& each : originals_)
      if (torch_set_current_cuda_stream) torch_set_current_cuda_stream(each.stream(), each.device_index());
  }
};
}  // namespace cuda

// The guards of streams of any device: there are no others that the ABI gives.
using StreamGuard = cuda::CUDAStreamGuard;
using OptionalStreamGuard = cuda::OptionalCUDAStreamGuard;

namespace cuda {
/// An event of CUDA, made when it is first recorded, on the device of that stream.
class CUDAEvent {
  unsigned flags_ = cudaEventDisableTiming;
  bool created_ = false, recorded_ = false;
  DeviceIndex device_ = -1;
  cudaEvent_t event_ = nullptr;

 public:
  CUDAEvent() noexcept = default;
  CUDAEvent(unsigned flags) noexcept : flags_(flags) {}
  CUDAEvent(DeviceIndex device, const cudaIpcEventHandle_t* handle) : device_(device) {
    CUDAGuard guard(device_);
    C10_CUDA_CHECK(cudaIpcOpenEventHandle(&event_, *handle));
    created_ = true;
  }
  CUDAEvent(const CUDAEvent&) = delete;
  CUDAEvent& operator=(const CUDAEvent&) = delete;
  CUDAEvent(CUDAEvent&& other) noexcept { swap(other); }
  CUDAEvent& operator=(CUDAEvent&& other) noexcept {
    swap(other);
    return *this;
  }
  ~CUDAEvent() {
    if (!created_) return;
    try {
      CUDAGuard guard(device_);
      C10_CUDA_CHECK_WARN(cudaEventDestroy(event_));
    } catch (const std::exception&) {
      (void)cudaGetLastError();  // at the end of the process CUDA may be gone already
    }
  }

  operator cudaEvent_t() const { return event_; }
  friend bool operator<(const CUDAEvent& a, const CUDAEvent& b) { return a.event_ < b.event_; }
  std::optional<Device> device() const {
    return created_ ? std::optional<Device>(Device(DeviceType::CUDA, device_)) : std::nullopt;
  }
  bool isCreated() const { return created_; }
  DeviceIndex device_index() const { return device_; }
  cudaEvent_t event() const { return event_; }

  void create(DeviceIndex device) {
    if (created_) return;
    device_ = device;
    CUDAGuard guard(device_);
    C10_CUDA_CHECK(cudaEventCreateWithFlags(&event_, flags_));
    created_ = true;
  }
  bool query() const {
    if (!created_) return true;
    const cudaError_t found = C10_CUDA_ERROR_HANDLED(cudaEventQuery(event_));
    if (found == cudaErrorNotReady) (void)cudaGetLastError();
    else C10_CUDA_CHECK(found);
    return found == cudaSuccess;
  }
  void record() { record(getCurrentCUDAStream()); }
  void recordOnce(const CUDAStream& stream) {
    if (!recorded_) record(stream);
  }
  void record(const CUDAStream& stream) {
    create(stream.device_index());
    TORCH_CHECK(device_ == stream.device_index(), "Event device ", static_cast<int>(device_),
                " does not match recording stream's device ", static_cast<int>(stream.device_index()), ".");
    CUDAGuard guard(device_);
    C10_CUDA_CHECK(cudaEventRecord(event_, stream.stream()));
    recorded_ = true;
  }
  void block(const CUDAStream& stream) {
    if (!created_) return;
    CUDAGuard guard(stream.device_index());
    C10_CUDA_CHECK(cudaStreamWaitEvent(stream.stream(), event_, 0));
  }
  float elapsed_time(const CUDAEvent& other) const {
    TORCH_CHECK_VALUE(!((flags_ | other.flags_) & cudaEventDisableTiming),
                      "Both events must be created with argument 'enable_timing=True'.");
    TORCH_CHECK_VALUE(created_ && other.created_, "Both events must be recorded before calculating elapsed time.");
    TORCH_CHECK(query() && other.query(), "Both events must be completed before calculating elapsed time.");
    float milliseconds = 0;
    CUDAGuard guard(device_);
    C10_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, event_, other.event_));
    return milliseconds;
  }
  void synchronize() const {
    if (created_) C10_CUDA_CHECK(cudaEventSynchronize(event_));
  }
  void ipc_handle(cudaIpcEventHandle_t* handle) {
    create(current_device());
    CUDAGuard guard(device_);
    C10_CUDA_CHECK(cudaIpcGetEventHandle(handle, event_));
  }

 private:
  void swap(CUDAEvent& other) noexcept {
    std::swap(flags_, other.flags_);
    std::swap(created_, other.created_);
    std::swap(recorded_, other.recorded_);
    std::swap(device_, other.device_);
    std::swap(event_, other.event_);
  }
};
}  // namespace cuda
}  // namespace gpuwheel_compat
