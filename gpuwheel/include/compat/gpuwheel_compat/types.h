// Small values: array references, devices, scalars, options.
#pragma once
#include <gpuwheel_compat/check.h>

namespace gpuwheel_compat {
template <class T> using List = std::vector<T>;
using std::optional; using std::nullopt; using std::nullopt_t; using std::make_optional; using std::string_view;

template <class T>
class ArrayRef {
  const T* p_ = nullptr; size_t n_ = 0;
 public:
  using value_type = T; using iterator = const T*; using const_iterator = const T*; using size_type = size_t;
  constexpr ArrayRef() = default;
  ArrayRef(const T& v) : p_(&v), n_(1) {}
  constexpr ArrayRef(const T* p, size_t n) : p_(p), n_(n) {}
  ArrayRef(const std::vector<T>& v) : p_(v.data()), n_(v.size()) {}
  template <size_t N> constexpr ArrayRef(const std::array<T, N>& v) : p_(v.data()), n_(N) {}
  template <size_t N> constexpr ArrayRef(const T (&v)[N]) : p_(v), n_(N) {}
  constexpr ArrayRef(const std::initializer_list<T>& v) : p_(v.begin()), n_(v.size()) {}
  constexpr const T* begin() const { return p_; }
  constexpr const T* end() const { return p_ + n_; }
  constexpr const T* data() const { return p_; }
  constexpr size_t size() const { return n_; }
  constexpr bool empty() const { return n_ == 0; }
  const T& operator[](size_t i) const { return p_[i]; }
  const T& at(size_t i) const { TORCH_CHECK(i < n_, "ArrayRef: invalid index"); return p_[i]; }
  const T& front() const { return p_[0]; }
  const T& back() const { return p_[n_ - 1]; }
  ArrayRef slice(size_t a, size_t n) const { return {p_ + a, n}; }
  ArrayRef slice(size_t a) const { return {p_ + a, n_ - a}; }
  std::vector<T> vec() const { return {begin(), end()}; }
  bool equals(ArrayRef o) const { return n_ == o.n_ && std::equal(begin(), end(), o.begin()); }
};
template <class T> bool operator==(ArrayRef<T> a, ArrayRef<T> b) { return a.equals(b); }
template <class T> bool operator!=(ArrayRef<T> a, ArrayRef<T> b) { return !a.equals(b); }
template <class T> bool operator==(ArrayRef<T> a, const std::vector<T>& b) { return a.equals(b); }
template <class T> std::ostream& operator<<(std::ostream& s, ArrayRef<T> a) {
  s << "["; for (size_t i = 0; i < a.size(); ++i) s << (i ? ", " : "") << a[i]; return s << "]";
}
using IntArrayRef = ArrayRef<int64_t>;

using DeviceIndex = int8_t;
struct Device {
  DeviceType type_ = DeviceType::CPU; DeviceIndex index_ = -1;
  Device() = default;
  Device(DeviceType t, int i = -1) : type_(t), index_(static_cast<DeviceIndex>(i)) {}
  Device(const std::string& s) { uint32_t t; int32_t i; GWC_OK(torch_parse_device_string(s.c_str(), &t, &i)); 
    type_ = torch::stable::detail::to<DeviceType>(t); index_ = static_cast<DeviceIndex>(i); }
  Device(const char* s) : Device(std::string(s)) {}
  DeviceType type() const { return type_; }
  DeviceIndex index() const { return index_; }
  bool has_index() const { return index_ != -1; }
  bool is_cuda() const { return type_ == DeviceType::CUDA; }
  bool is_cpu() const { return type_ == DeviceType::CPU; }
  bool is_meta() const { return type_ == DeviceType::Meta; }
  void set_index(int i) { index_ = static_cast<DeviceIndex>(i); }
  bool operator==(const Device& o) const { return type_ == o.type_ && index_ == o.index_; }
  bool operator!=(const Device& o) const { return !(*this == o); }
  std::string str() const { std::string s = is_cpu() ? "cpu" : is_cuda() ? "cuda" : "device"; return has_index() ? s + ":" + std::to_string(index_) : s; }
};
inline std::ostream& operator<<(std::ostream& s, const Device& d) { return s << d.str(); }

struct Scalar {
  enum Tag { I, D, B } tag; int64_t i = 0; double d = 0;
  template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>
  Scalar(T v) : tag(std::is_same_v<T, bool> ? B : std::is_integral_v<T> ? I : D), i(static_cast<int64_t>(v)), d(static_cast<double>(v)) {}
  Scalar(Half v) : Scalar(static_cast<float>(v)) {}
  Scalar(BFloat16 v) : Scalar(static_cast<float>(v)) {}
  template <class T> T to() const { return tag == D ? static_cast<T>(d) : static_cast<T>(i); }
  double toDouble() const { return to<double>(); }
  int64_t toLong() const { return to<int64_t>(); }
};

struct TensorOptions {
  optional<ScalarType> dtype_; optional<Device> device_; optional<Layout> layout_; optional<bool> pinned_, grad_; optional<MemoryFormat> format_;
  TensorOptions() = default;
  TensorOptions(ScalarType t) : dtype_(t) {}
  TensorOptions(Device d) : device_(d) {}
  TensorOptions(DeviceType d) : device_(Device(d)) {}
  TensorOptions dtype(ScalarType t) const { auto o = *this; o.dtype_ = t; return o; }
  template <class T> TensorOptions dtype() const { return dtype(CppTypeToScalarType<T>::value); }
  TensorOptions device(Device d) const { auto o = *this; o.device_ = d; return o; }
  TensorOptions device(DeviceType t, int i = -1) const { return device(Device(t, i)); }
  TensorOptions layout(Layout l) const { auto o = *this; o.layout_ = l; return o; }
  TensorOptions pinned_memory(bool b) const { auto o = *this; o.pinned_ = b; return o; }
  TensorOptions requires_grad(bool b) const { auto o = *this; o.grad_ = b; return o; }
  TensorOptions memory_format(MemoryFormat f) const { auto o = *this; o.format_ = f; return o; }
  ScalarType dtype_or_default() const { return dtype_.value_or(ScalarType::Float); }
  Device device() const { return device_.value_or(Device()); }
};
inline std::string DeviceTypeName(DeviceType t, bool lower = false) { std::string s = t == DeviceType::CPU ? "CPU" : t == DeviceType::CUDA ? "CUDA" : "DEVICE"; if (lower) for (auto& c : s) c = static_cast<char>(::tolower(c)); return s; }
inline std::ostream& operator<<(std::ostream& s, DeviceType t) { return s << DeviceTypeName(t, true); }
inline bool isIntegralType(ScalarType t, bool b) { return t == ScalarType::Byte || t == ScalarType::Char || t == ScalarType::Short || t == ScalarType::Int || t == ScalarType::Long || (b && t == ScalarType::Bool); }
inline bool isFloatingType(ScalarType t) { return t == ScalarType::Float || t == ScalarType::Double || t == ScalarType::Half || t == ScalarType::BFloat16; }
inline TensorOptions dtype(ScalarType t) { return TensorOptions().dtype(t); }
inline TensorOptions device(Device d) { return TensorOptions().device(d); }
template <class T> T ceil_div(T a, T b) { return (a + b - 1) / b; }
}  // namespace gpuwheel_compat
namespace gpuwheel_compat {
using IntList = gpuwheel_compat::IntArrayRef;
constexpr ScalarType kByte = ScalarType::Byte, kChar = ScalarType::Char, kShort = ScalarType::Short, kInt = ScalarType::Int, kLong = ScalarType::Long,
  kHalf = ScalarType::Half, kFloat = ScalarType::Float, kDouble = ScalarType::Double, kBool = ScalarType::Bool, kBFloat16 = ScalarType::BFloat16,
  kComplexFloat = ScalarType::ComplexFloat, kComplexDouble = ScalarType::ComplexDouble, kFloat8_e4m3fn = ScalarType::Float8_e4m3fn, kFloat8_e5m2 = ScalarType::Float8_e5m2;
constexpr ScalarType kUInt8 = kByte, kInt8 = kChar, kInt16 = kShort, kInt32 = kInt, kInt64 = kLong, kFloat16 = kHalf, kFloat32 = kFloat, kFloat64 = kDouble;
class Tensor;
using TensorList = ArrayRef<Tensor>;
}
namespace gpuwheel_compat { using Dtype = ScalarType; }
namespace gpuwheel_compat { template <int64_t V, size_t N> gpuwheel_compat::IntArrayRef rep() { static const std::array<int64_t, N> a = [] { std::array<int64_t, N> x{}; x.fill(V); return x; }(); return a; } }
namespace gpuwheel_compat {
struct OptionalIntArrayRef {
  optional<IntArrayRef> value; std::array<int64_t, 8> own{};
  OptionalIntArrayRef() = default;
  OptionalIntArrayRef(nullopt_t) {}
  OptionalIntArrayRef(IntArrayRef v) : value(v) {}
  OptionalIntArrayRef(const std::vector<int64_t>& v) : value(IntArrayRef(v)) {}
  OptionalIntArrayRef(const optional<IntArrayRef>& v) : value(v) {}
  template <class T, std::enable_if_t<std::is_integral_v<T>, int> = 0>
  OptionalIntArrayRef(T v) : own{static_cast<int64_t>(v)} { value = IntArrayRef(own.data(), 1); }
  OptionalIntArrayRef(std::initializer_list<int64_t> v) { TORCH_CHECK(v.size() <= 8); std::copy(v.begin(), v.end(), own.begin()); value = IntArrayRef(own.data(), v.size()); }
  OptionalIntArrayRef(const OptionalIntArrayRef& o) : value(o.value), own(o.own) { if (o.value && o.value->data() == o.own.data()) value = IntArrayRef(own.data(), o.value->size()); }
};
struct Generator { std::mutex& mutex() const { static std::mutex m; return m; } template <class T> T* get() const { static T t; return &t; } bool defined() const { return true; } };
struct UndefinedTensorImpl {};
}
