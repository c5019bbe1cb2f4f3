// Tensors from memory and from numbers that stand in the source.
#pragma once
#include <gpuwheel_compat/index.h>

// Newer than the floor. Weak: null where missing.
extern "C" __attribute__((weak)) AOTITorchError torch_from_blob(void*, int64_t, const int64_t*, const int64_t*, int64_t, int32_t, int32_t, int32_t,
                                                                AtenTensorHandle*, int32_t, const uint8_t*, int64_t, void (*)(void*, void*), void*);

namespace gpuwheel_compat {
namespace detail {
inline std::vector<int64_t> contiguous_strides(IntArrayRef sizes) {
  std::vector<int64_t> strides(sizes.size());
  int64_t n = 1;
  for (size_t d = sizes.size(); d-- > 0;) {
    strides[d] = n;
    n *= std::max<int64_t>(sizes[d], 1);
  }
  return strides;
}
inline Tensor with_grad(Tensor t, const TensorOptions& o) {
  if (o.requires_grad()) t.set_requires_grad(true);
  return t;
}
// Where memory lies that the source hands over: on the device that the options name, which for CUDA is the current one if they do not say.
inline Device place(const TensorOptions& o) {
  auto d = o.device();
  if (d.is_cuda() && !d.has_index()) {
    int32_t index = 0;
    GWC_OK(aoti_torch_get_current_device_index(&index));
    d.set_index(static_cast<DeviceIndex>(index));
  }
  return d;
}
}  // namespace detail

inline Tensor from_blob(void* data, IntArrayRef sizes, IntArrayRef strides, const TensorOptions& o = {}) {
  AtenTensorHandle h = nullptr;
  const auto d = detail::place(o);
  GWC_OK(aoti_torch_create_tensor_from_blob(data, static_cast<int64_t>(sizes.size()), sizes.data(), strides.data(), 0,
                                            dtype_number(o.dtype_or_default()), device_type_number(d.type()), d.index(), &h));
  return detail::with_grad(Tensor(h, Tensor::steal{}), o);
}
inline Tensor from_blob(void* data, IntArrayRef sizes, const TensorOptions& o = {}) {
  return from_blob(data, sizes, detail::contiguous_strides(sizes), o);
}
// The deleter runs when the last tensor on this memory is gone.
template <class F, std::enable_if_t<std::is_invocable_v<F, void*>, int> = 0>
Tensor from_blob(void* data, IntArrayRef sizes, IntArrayRef strides, F&& deleter, const TensorOptions& o = {}) {
  TORCH_CHECK(torch_from_blob != nullptr, "from_blob with a deleter needs torch 2.11 or later");
  using Held = std::function<void(void*)>;
  auto held = std::make_unique<Held>(std::forward<F>(deleter));
  AtenTensorHandle h = nullptr;
  const auto d = detail::place(o);
  const auto run = [](void* memory, void* context) {
    const std::unique_ptr<Held> f(static_cast<Held*>(context));
    (*f)(memory);
  };
  GWC_OK(torch_from_blob(data, static_cast<int64_t>(sizes.size()), sizes.data(), strides.data(), 0, dtype_number(o.dtype_or_default()),
                         device_type_number(d.type()), d.index(), &h, aoti_torch_layout_strided(), nullptr, 0, run, held.get()));
  held.release();
  return detail::with_grad(Tensor(h, Tensor::steal{}), o);
}
template <class F, std::enable_if_t<std::is_invocable_v<F, void*>, int> = 0>
Tensor from_blob(void* data, IntArrayRef sizes, F&& deleter, const TensorOptions& o = {}) {
  return from_blob(data, sizes, detail::contiguous_strides(sizes), std::forward<F>(deleter), o);
}

namespace detail {
template <class T>
Tensor of_values(const T* values, size_t n, IntArrayRef sizes, ScalarType type, const TensorOptions& o) {
  const auto t = empty(sizes, TensorOptions(CppTypeToScalarType<T>::value));
  std::copy(values, values + n, t.template data_ptr<T>());
  return with_grad(t.to(o.device(), type), o);
}

inline std::string joined(IntArrayRef a) {
  const auto s = str(a);
  return s.substr(1, s.size() - 2);
}

// Numbers as they stand in braces, one list in another.
class TensorData final {
  std::vector<int64_t> sizes_;
  std::vector<c10::complex<double>> values_;
  std::vector<int64_t> integers_;  // the same, exactly, where all are integers
  ScalarType type_ = ScalarType::Undefined;

 public:
  template <class T, std::enable_if_t<std::is_arithmetic_v<T> || std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>, int> = 0>
  TensorData(T v) : values_{static_cast<double>(v)}, integers_{static_cast<int64_t>(v)}, type_(CppTypeToScalarType<T>::value) {}
  template <class T>
  TensorData(c10::complex<T> v) : values_{c10::complex<double>(v)}, integers_{0}, type_(CppTypeToScalarType<c10::complex<T>>::value) {}
  TensorData(std::initializer_list<TensorData> list) : sizes_{static_cast<int64_t>(list.size())} {
    for (const auto& e : list) {
      const auto& first = *list.begin();
      TORCH_CHECK(e.sizes_ == first.sizes_, "Expected all sub-lists to have sizes: ", joined(first.sizes_), " (e.g. ", first,
                  "), but got sub-list ", e, " with sizes: ", joined(e.sizes_));
      TORCH_CHECK(e.type_ == first.type_, "Expected all elements of the tensor to have the same scalar type: ", first.type_,
                  ", but got element of scalar type: ", e.type_);
      values_.insert(values_.end(), e.values_.begin(), e.values_.end());
      integers_.insert(integers_.end(), e.integers_.begin(), e.integers_.end());
    }
    type_ = list.size() ? list.begin()->type_ : default_dtype();
    if (list.size()) sizes_.insert(sizes_.end(), list.begin()->sizes_.begin(), list.begin()->sizes_.end());
  }
  template <class T>
  TensorData(ArrayRef<T> v) : sizes_{static_cast<int64_t>(v.size())}, type_(CppTypeToScalarType<T>::value) {
    for (const auto& e : v) {
      const TensorData one(e);
      values_.push_back(one.values_[0]);
      integers_.push_back(one.integers_[0]);
    }
  }
  template <class T>
  TensorData(const std::vector<T>& v) : sizes_{static_cast<int64_t>(v.size())}, type_(CppTypeToScalarType<T>::value) {
    for (const T e : v) {
      const TensorData one(e);
      values_.push_back(one.values_[0]);
      integers_.push_back(one.integers_[0]);
    }
  }
  // Whole numbers become int64, others the default type, as in Python.
  ScalarType desired_type() const {
    if (type_ == kInt || type_ == kLong) return kLong;
    return type_ == kFloat || type_ == kDouble ? default_dtype() : type_;
  }
  Tensor tensor(const TensorOptions& o) const {
    const auto type = o.dtype_.value_or(desired_type());
    if (isComplexType(type_)) return of_values(values_.data(), values_.size(), sizes_, type, o);
    if (isIntegralType(type_, true)) return of_values(integers_.data(), integers_.size(), sizes_, type, o);
    std::vector<double> reals;
    for (const auto& v : values_) reals.push_back(v.real());
    return of_values(reals.data(), reals.size(), sizes_, type, o);
  }
  friend std::ostream& operator<<(std::ostream& s, const TensorData& d) {
    if (d.sizes_.empty()) return isComplexType(d.type_) ? s << d.values_[0] : isIntegralType(d.type_, true) ? s << d.integers_[0] : s << d.values_[0].real();
    s << "{";
    for (size_t i = 0; i < d.values_.size(); ++i) s << (i ? ", " : "") << d.values_[i].real();
    return s << "}";
  }
};
}  // namespace detail

// at::tensor: the element type of the C++ values.
namespace factories {
template <class T>
Tensor tensor(ArrayRef<T> values, const TensorOptions& o = {}) {
  const int64_t n = static_cast<int64_t>(values.size());
  return detail::of_values(values.data(), values.size(), n, o.dtype_.value_or(CppTypeToScalarType<T>::value), o);
}
template <class T>
Tensor tensor(const std::vector<T>& values, const TensorOptions& o = {}) { return tensor(ArrayRef<T>(values), o); }
template <class T>
Tensor tensor(std::initializer_list<T> values, const TensorOptions& o = {}) { return tensor(ArrayRef<T>(values), o); }
template <class T, std::enable_if_t<std::is_arithmetic_v<T> || is_complex_v<T>, int> = 0>
Tensor tensor(T value, const TensorOptions& o = {}) {
  return tensor(ArrayRef<T>(value), o);
}
}  // namespace factories
namespace only_torch {
// torch::tensor: as Python's.
inline Tensor tensor(detail::TensorData data, const TensorOptions& o = {}) { return data.tensor(o); }
}  // namespace only_torch
}  // namespace gpuwheel_compat
namespace torch { using gpuwheel_compat::only_torch::tensor; }
