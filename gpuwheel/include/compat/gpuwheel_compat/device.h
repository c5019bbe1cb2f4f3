// Devices, layouts and memory formats: values, and how they are written.
#pragma once
#include <gpuwheel_compat/dtype.h>

namespace gpuwheel_compat {
using DeviceIndex = int8_t;

inline std::string DeviceTypeName(DeviceType t, bool lower_case = false) {
  static const std::pair<const char*, const char*> names[] = {
      {"CPU", "cpu"}, {"CUDA", "cuda"}, {"MKLDNN", "mkldnn"}, {"OPENGL", "opengl"}, {"OPENCL", "opencl"}, {"IDEEP", "ideep"}, {"HIP", "hip"},
      {"FPGA", "fpga"}, {"MAIA", "maia"}, {"XLA", "xla"}, {"VULKAN", "vulkan"}, {"METAL", "metal"}, {"XPU", "xpu"}, {"MPS", "mps"},
      {"META", "meta"}, {"HPU", "hpu"}, {"VE", "ve"}, {"LAZY", "lazy"}, {"IPU", "ipu"}, {"MTIA", "mtia"}, {"PRIVATEUSEONE", "privateuseone"}};
  const auto i = static_cast<size_t>(t);
  TORCH_CHECK(i < std::size(names), "Unknown device: ", static_cast<int16_t>(t), ". If you have recently updated the caffe2.proto file to add a new device type, ",
              "did you forget to update the DeviceTypeName() function to reflect such recent changes?");
  return lower_case ? names[i].second : names[i].first;
}
inline bool isValidDeviceType(DeviceType t) { return static_cast<size_t>(t) < static_cast<size_t>(c10::COMPILE_TIME_MAX_DEVICE_TYPES); }
inline std::ostream& operator<<(std::ostream& s, DeviceType t) { return s << DeviceTypeName(t, true); }

inline std::ostream& operator<<(std::ostream& s, Layout t) {
  static const char* const names[] = {"Strided", "Sparse", "SparseCsr", "Mkldnn", "SparseCsc", "SparseBsr", "SparseBsc", "Jagged"};
  const auto i = static_cast<size_t>(t);
  TORCH_CHECK(i < std::size(names), "Unknown layout");
  return s << names[i];
}
inline std::ostream& operator<<(std::ostream& s, MemoryFormat t) {
  static const char* const names[] = {"Contiguous", "Preserve", "ChannelsLast", "ChannelsLast3d"};
  const auto i = static_cast<size_t>(t);
  TORCH_CHECK(i < std::size(names), "Unknown memory format ", static_cast<int>(t));
  return s << names[i];
}

// Between torch's numbers of devices and layouts and ours.
inline DeviceType device_type_of_number(int32_t n) { return torch::stable::detail::to<DeviceType>(torch::stable::detail::from(n)); }
inline int32_t device_type_number(DeviceType t) { return torch::stable::detail::to<int32_t>(torch::stable::detail::from(t)); }
inline Layout layout_of_number(int32_t n) {
  return n == aoti_torch_layout_strided() ? Layout::Strided : torch::stable::detail::to<Layout>(torch::stable::detail::from(n));
}

class Device final {
  DeviceType type_ = DeviceType::CPU;
  DeviceIndex index_ = -1;
  void validate() const {
    TORCH_CHECK(index_ >= -1, "Device index must be -1 or non-negative, got ", static_cast<int>(index_));
    TORCH_CHECK(!is_cpu() || index_ <= 0, "CPU device index must be -1 or zero, got ", static_cast<int>(index_));
  }

 public:
  using Type = DeviceType;
  Device() = default;
  Device(DeviceType t, DeviceIndex i = -1) : type_(t), index_(i) {
#ifndef NDEBUG
    validate();
#endif
  }
  Device(const std::string& text) {
    uint32_t type = 0;
    int32_t index = 0;
    GWC_OK(torch_parse_device_string(text.c_str(), &type, &index));
    type_ = device_type_of_number(static_cast<int32_t>(type));
    index_ = static_cast<DeviceIndex>(index);
  }
  Device(const char* text) : Device(std::string(text)) {}
  DeviceType type() const noexcept { return type_; }
  DeviceIndex index() const noexcept { return index_; }
  bool has_index() const noexcept { return index_ != -1; }
  void set_index(DeviceIndex i) { index_ = i; }
  bool is_cpu() const noexcept { return type_ == DeviceType::CPU; }
  bool is_cuda() const noexcept { return type_ == DeviceType::CUDA; }
  bool is_meta() const noexcept { return type_ == DeviceType::Meta; }
  bool is_mps() const noexcept { return type_ == DeviceType::MPS; }
  bool is_hip() const noexcept { return type_ == DeviceType::HIP; }
  bool is_xpu() const noexcept { return type_ == DeviceType::XPU; }
  bool is_xla() const noexcept { return type_ == DeviceType::XLA; }
  bool is_hpu() const noexcept { return type_ == DeviceType::HPU; }
  bool is_privateuseone() const noexcept { return type_ == DeviceType::PrivateUse1; }
  bool supports_as_strided() const noexcept {
    return type_ != DeviceType::IPU && type_ != DeviceType::XLA && type_ != DeviceType::Lazy;
  }
  std::string str() const {
    auto s = DeviceTypeName(type_, true);
    return has_index() ? s + ":" + std::to_string(index_) : s;
  }
  friend bool operator==(const Device& a, const Device& b) noexcept { return a.type_ == b.type_ && a.index_ == b.index_; }
  friend bool operator!=(const Device& a, const Device& b) noexcept { return !(a == b); }
  friend std::ostream& operator<<(std::ostream& s, const Device& d) { return s << d.str(); }
};
}  // namespace gpuwheel_compat

template <>
struct std::hash<gpuwheel_compat::Device> {
  size_t operator()(const gpuwheel_compat::Device& d) const noexcept {
    return static_cast<size_t>(static_cast<uint16_t>(static_cast<uint8_t>(d.type()) << 8 | static_cast<uint8_t>(d.index())));
  }
};
