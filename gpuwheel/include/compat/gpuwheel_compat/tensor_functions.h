// The members of a tensor that stand on operators.
#pragma once
#include <gpuwheel_compat/indexing.h>
#include <gpuwheel_compat/aten.h>
#include <gpuwheel_compat/storage.h>

namespace gpuwheel_compat {
inline Tensor& Tensor::operator=(const Tensor& o) && {
  copy_(o);
  return *this;
}
inline Tensor& Tensor::operator=(Tensor&& o) && {
  copy_(o);
  return *this;
}
inline Tensor& Tensor::operator=(const Scalar& v) && {
  fill_(v);
  return *this;
}

// Two handles may hold the same tensor of torch: Python knows it by its one object.
inline bool Tensor::is_same(const Tensor& o) const {
  if (h_ == o.h_) return true;
  if (!defined() || !o.defined()) return defined() == o.defined();
  return call<bool>(GWC_PYTHON "::is_same", "", *this, o);
}
inline bool Tensor::is_alias_of(const Tensor& o) const { return call<bool>(GWC_PYTHON "::is_alias_of", "", *this, o); }

inline bool Tensor::is_contiguous(MemoryFormat f) const {
  return f == MemoryFormat::Contiguous ? is_contiguous() : call<bool>("aten::is_contiguous", "memory_format", *this, f);
}
// No element shares memory with another, and none is left out between them.
inline bool Tensor::is_non_overlapping_and_dense() const {
  const auto size = sizes(), stride = strides();
  std::vector<size_t> order;
  for (size_t d = 0; d < size.size(); ++d)
    if (size[d] != 1) order.push_back(d);
  if (numel() == 0) return true;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return stride[a] < stride[b]; });
  int64_t expected = 1;
  for (const auto d : order) {
    if (stride[d] != expected) return false;
    expected *= size[d];
  }
  return true;
}
namespace detail {
// The strides fall in the order W, H, D, ..., N around the channels, which are the closest.
inline bool channels_last_strides(IntArrayRef size, IntArrayRef stride) {
  if (stride[1] == 0) return false;
  int64_t least = 0;
  std::vector<size_t> order{1};
  for (size_t d = size.size() - 1; d >= 2; --d) order.push_back(d);
  order.push_back(0);
  for (const auto d : order) {
    if (size[d] == 0 || stride[d] < least) return false;
    if (d == 0 && least == stride[1]) return false;  // N111: channels cannot be told from the batch
    least = stride[d] * std::max<int64_t>(size[d], 1);
  }
  return true;
}
}  // namespace detail
inline MemoryFormat Tensor::suggest_memory_format(bool exact) const {
  const auto n = dim();
  if (layout() != Layout::Strided || (n != 4 && n != 5) || !detail::channels_last_strides(sizes(), strides())) return MemoryFormat::Contiguous;
  const auto format = n == 4 ? MemoryFormat::ChannelsLast : MemoryFormat::ChannelsLast3d;
  if (!exact) return format;
  int64_t expected = size(1);
  if (stride(1) != 1) return MemoryFormat::Contiguous;
  for (int64_t d = n - 1; d >= 2; --d) {
    if (stride(d) != expected) return MemoryFormat::Contiguous;
    expected *= size(d);
  }
  return stride(0) == expected ? format : MemoryFormat::Contiguous;
}

namespace detail {
template <class T, class V>
T item_by(AOTITorchError (*shim)(AtenTensorHandle, V*), const char* name, const Tensor& t) {
  V v{};
  ok(shim(t.handle(), &v), name);
  return static_cast<T>(v);
}
template <class T>
T complex_item(const Tensor& t) {
  using V = typename T::value_type;
  const auto parts = call<Tensor>("aten::view_as_real", "", call<Tensor>("aten::resolve_conj", "", t.to(kComplexDouble)).reshape({1}));
  return T(static_cast<V>(parts.select(1, 0).item<double>()), static_cast<V>(parts.select(1, 1).item<double>()));
}
}  // namespace detail
#define GWC_ITEM(shim) return detail::item_by<T>(&shim, #shim, *this)
template <class T>
T Tensor::item() const {
  if constexpr (std::is_same_v<T, bool>) GWC_ITEM(aoti_torch_item_bool);
  else if constexpr (std::is_same_v<T, Half>) GWC_ITEM(aoti_torch_item_float16);
  else if constexpr (std::is_same_v<T, BFloat16>) GWC_ITEM(aoti_torch_item_bfloat16);
  else if constexpr (std::is_same_v<T, float>) GWC_ITEM(aoti_torch_item_float32);
  else if constexpr (std::is_same_v<T, double>) GWC_ITEM(aoti_torch_item_float64);
  else if constexpr (is_complex_v<T>) return item().template to<T>();
  else if constexpr (!std::is_integral_v<T>) return item().template to<T>();
  else if constexpr (std::is_signed_v<T> && sizeof(T) == 1) GWC_ITEM(aoti_torch_item_int8);
  else if constexpr (std::is_signed_v<T> && sizeof(T) == 2) GWC_ITEM(aoti_torch_item_int16);
  else if constexpr (std::is_signed_v<T> && sizeof(T) == 4) GWC_ITEM(aoti_torch_item_int32);
  else if constexpr (std::is_signed_v<T>) GWC_ITEM(aoti_torch_item_int64);
  else if constexpr (sizeof(T) == 1) GWC_ITEM(aoti_torch_item_uint8);
  else if constexpr (sizeof(T) == 2) GWC_ITEM(aoti_torch_item_uint16);
  else if constexpr (sizeof(T) == 4) GWC_ITEM(aoti_torch_item_uint32);
  else GWC_ITEM(aoti_torch_item_uint64);
}
#undef GWC_ITEM
inline Scalar Tensor::item() const {
  const auto t = scalar_type();
  if (t == kBool) return item<bool>();
  if (isComplexType(t) && numel() == 1) return detail::complex_item<c10::complex<double>>(*this);
  if (t == kUInt64) return item<uint64_t>();
  return isFloatingType(t) ? Scalar(item<double>()) : Scalar(item<int64_t>());
}

inline Tensor Tensor::to(TypeMeta t, bool non_blocking, bool copy) const { return to(t.toScalarType(), non_blocking, copy); }
inline Tensor Tensor::toType(ScalarType t) const { return to(t); }
inline Tensor Tensor::cpu() const { return to(options().device(DeviceType::CPU), false, false); }
inline Tensor Tensor::cuda() const { return to(options().device(DeviceType::CUDA), false, false); }
inline Tensor Tensor::xpu() const { return to(options().device(DeviceType::XPU), false, false); }
inline Tensor Tensor::meta() const { return to(options().device(DeviceType::Meta), false, false); }

inline bool Tensor::requires_grad() const { return defined() && call<bool>(GWC_PYTHON "::requires_grad", "", *this); }
inline Tensor& Tensor::requires_grad_(bool b) const {
  call<Tensor>("aten::requires_grad_", "", *this, b);
  return unconst(*this);
}
inline bool Tensor::is_leaf() const { return call<bool>("aten::is_leaf", "", *this); }
inline int64_t Tensor::output_nr() const { return call<int64_t>("aten::output_nr", "", *this); }
inline int64_t Tensor::_version() const { return call<int64_t>("aten::_version", "", *this); }
inline Tensor Tensor::grad() const { return call<optional<Tensor>>(GWC_PYTHON "::grad", "", *this).value_or(Tensor()); }
inline Tensor Tensor::data() const { return call<Tensor>("aten::data", "", *this); }
inline void Tensor::set_data(const Tensor& o) const { call<void>("aten::set_data", "", *this, o); }
inline void Tensor::retain_grad() const { call<void>("aten::retain_grad", "", *this); }
inline void Tensor::backward(const Tensor& gradient, optional<bool> retain_graph, bool create_graph, optional<TensorList> inputs) const {
  _backward(inputs.value_or(TensorList()), gradient.defined() ? optional<Tensor>(gradient) : nullopt, retain_graph, create_graph);
}

inline Tensor Tensor::operator~() const { return bitwise_not(); }
inline Tensor Tensor::operator-() const { return neg(); }
#define GWC_COMPOUND(OP, METHOD)                         \
  inline Tensor& Tensor::operator OP(const Tensor& o) {  \
    METHOD(o);                                           \
    return *this;                                        \
  }                                                      \
  inline Tensor& Tensor::operator OP(const Scalar& o) {  \
    METHOD(o);                                           \
    return *this;                                        \
  }
GWC_COMPOUND(+=, add_)
GWC_COMPOUND(-=, sub_)
GWC_COMPOUND(*=, mul_)
GWC_COMPOUND(/=, div_)
GWC_COMPOUND(&=, bitwise_and_)
GWC_COMPOUND(|=, bitwise_or_)
GWC_COMPOUND(^=, bitwise_xor_)
#undef GWC_COMPOUND
}  // namespace gpuwheel_compat
