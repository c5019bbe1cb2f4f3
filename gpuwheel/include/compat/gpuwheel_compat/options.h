// How a tensor is to be made: element type, device, layout, memory.
#pragma once
#include <gpuwheel_compat/scalar.h>

namespace gpuwheel_compat {
// The default element type, which `torch.set_default_dtype` sets: the type of a tensor that is made without one.
inline ScalarType default_dtype() {
  const int64_t none = 0;
  AtenTensorHandle h = nullptr;
  StableIValue stack[6] = {torch::stable::detail::from(std::vector<int64_t>{none}),
                           torch::stable::detail::from(std::nullopt), torch::stable::detail::from(std::nullopt),
                           torch::stable::detail::from(std::nullopt), torch::stable::detail::from(std::nullopt),
                           torch::stable::detail::from(std::nullopt)};
  GWC_OK(torch_call_dispatcher("aten::empty", "memory_format", stack, TORCH_ABI_VERSION));
  h = torch::stable::detail::to<AtenTensorHandle>(stack[0]);
  int32_t number = 0;
  const auto error = aoti_torch_get_dtype(h, &number);
  aoti_torch_delete_tensor_object(h);
  GWC_OK(error);
  return dtype_of_number(number);
}
inline TypeMeta get_default_dtype() { return TypeMeta(default_dtype()); }
inline ScalarType get_default_dtype_as_scalartype() { return default_dtype(); }

// Each setter gives a changed copy. What was not set stays open, and the function that makes the tensor decides.
// The generated functions read the fields.
class TensorOptions final {
 public:
  optional<ScalarType> dtype_;
  optional<Device> device_;
  optional<Layout> layout_;
  optional<bool> pinned_;
  optional<bool> grad_;
  optional<MemoryFormat> format_;

  TensorOptions() = default;
  TensorOptions(ScalarType t) : dtype_(t) {}
  TensorOptions(TypeMeta t) : dtype_(t.toScalarType()) {}
  TensorOptions(Layout l) : layout_(l) {}
  TensorOptions(MemoryFormat f) : format_(f) {}
  template <class T, std::enable_if_t<std::is_same_v<std::decay_t<T>, Device>, int> = 0>
  TensorOptions(T&& d) : device_(d) {}
  template <class T, std::enable_if_t<std::is_same_v<std::decay_t<T>, DeviceType>, int> = 0, class = void>
  TensorOptions(T&& d) : device_(Device(d)) {}
  TensorOptions(const std::string& device) : device_(Device(device)) {}
  TensorOptions(const char* device) : device_(Device(device)) {}

  [[nodiscard]] TensorOptions dtype(optional<TypeMeta> t) const { return with(&TensorOptions::dtype_, optTypeMetaToScalarType(t)); }
  [[nodiscard]] TensorOptions dtype(TypeMeta t) const { return dtype(optional<TypeMeta>(t)); }
  [[nodiscard]] TensorOptions dtype(optional<ScalarType> t) const { return with(&TensorOptions::dtype_, t); }
  [[nodiscard]] TensorOptions dtype(ScalarType t) const { return dtype(optional<ScalarType>(t)); }
  [[nodiscard]] TensorOptions dtype(nullopt_t) const { return dtype(optional<ScalarType>()); }
  template <class T>
  TensorOptions& dtype() {
    dtype_ = CppTypeToScalarType<T>::value;
    return *this;
  }
  [[nodiscard]] TensorOptions device(optional<Device> d) const { return with(&TensorOptions::device_, d); }
  template <class... A>
  [[nodiscard]] std::enable_if_t<(sizeof...(A) > 0) && std::is_constructible_v<Device, A...>, TensorOptions> device(A&&... a) const {
    return device(optional<Device>(Device(std::forward<A>(a)...)));
  }
  [[nodiscard]] TensorOptions device_index(DeviceIndex i) const { return device(Device(DeviceType::CUDA, i)); }
  [[nodiscard]] TensorOptions layout(optional<Layout> l) const { return with(&TensorOptions::layout_, l); }
  [[nodiscard]] TensorOptions pinned_memory(optional<bool> p) const { return with(&TensorOptions::pinned_, p); }
  [[nodiscard]] TensorOptions requires_grad(optional<bool> g) const { return with(&TensorOptions::grad_, g); }
  [[nodiscard]] TensorOptions memory_format(optional<MemoryFormat> f) const { return with(&TensorOptions::format_, f); }

  TypeMeta dtype() const { return TypeMeta(dtype_ ? *dtype_ : default_dtype()); }
  Device device() const { return device_.value_or(Device()); }
  Layout layout() const { return layout_.value_or(Layout::Strided); }
  bool pinned_memory() const { return pinned_.value_or(false); }
  bool requires_grad() const { return grad_.value_or(false); }
  DeviceIndex device_index() const { return device().index(); }
  bool is_sparse() const { return layout_ == Layout::Sparse; }
  bool is_sparse_csr() const { return layout_ == Layout::SparseCsr; }

  bool has_dtype() const { return dtype_.has_value(); }
  bool has_device() const { return device_.has_value(); }
  bool has_layout() const { return layout_.has_value(); }
  bool has_pinned_memory() const { return pinned_.has_value(); }
  bool has_requires_grad() const { return grad_.has_value(); }
  bool has_memory_format() const { return format_.has_value(); }

  optional<TypeMeta> dtype_opt() const { return dtype_ ? optional<TypeMeta>(TypeMeta(*dtype_)) : nullopt; }
  optional<Device> device_opt() const { return device_; }
  optional<Layout> layout_opt() const { return layout_; }
  optional<bool> pinned_memory_opt() const { return pinned_; }
  optional<bool> requires_grad_opt() const { return grad_; }
  optional<MemoryFormat> memory_format_opt() const { return format_; }
  ScalarType dtype_or_default() const { return dtype().toScalarType(); }

  bool type_equal(const TensorOptions& o) const {
    return device().type() == o.device().type() && layout() == o.layout() && dtype() == o.dtype();
  }
  // Those of `o` where it says something, else these.
  [[nodiscard]] TensorOptions merge_in(const TensorOptions& o) const {
    TensorOptions r = *this;
    if (o.dtype_) r.dtype_ = o.dtype_;
    if (o.device_) r.device_ = o.device_;
    if (o.layout_) r.layout_ = o.layout_;
    if (o.pinned_) r.pinned_ = o.pinned_;
    if (o.grad_) r.grad_ = o.grad_;
    if (o.format_) r.format_ = o.format_;
    return r;
  }
  [[nodiscard]] TensorOptions merge_memory_format(optional<MemoryFormat> f) const { return f ? memory_format(f) : *this; }

 private:
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // what a copied optional does not hold
#endif
  template <class T>
  TensorOptions with(optional<T> TensorOptions::*field, const optional<T>& value) const {
    TensorOptions r = *this;
    r.*field = value;
    return r;
  }
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
};
inline TensorOptions dtype(ScalarType t) { return TensorOptions().dtype(t); }
inline TensorOptions dtype(TypeMeta t) { return TensorOptions().dtype(t); }
template <class T>
TensorOptions dtype() { return dtype(CppTypeToScalarType<T>::value); }
inline TensorOptions device(Device d) { return TensorOptions().device(d); }
inline TensorOptions device(DeviceType t, DeviceIndex i = -1) { return device(Device(t, i)); }
inline TensorOptions device_index(DeviceIndex i) { return TensorOptions().device_index(i); }
inline TensorOptions layout(Layout l) { return TensorOptions().layout(l); }
inline TensorOptions memory_format(MemoryFormat f) { return TensorOptions().memory_format(f); }
inline TensorOptions requires_grad(bool g = true) { return TensorOptions().requires_grad(g); }
inline TensorOptions pinned_memory(bool p = true) { return TensorOptions().pinned_memory(p); }

inline std::ostream& operator<<(std::ostream& s, const TensorOptions& o) {
  const auto bit = [&](const char* name, bool value, bool has) { s << name << (value ? "true" : "false") << (has ? "" : " (default)"); };
  const auto open = [](bool has) { return has ? "" : " (default)"; };
  s << "TensorOptions(dtype=" << o.dtype() << open(o.has_dtype()) << ", device=" << o.device() << open(o.has_device())
    << ", layout=" << o.layout() << open(o.has_layout());
  bit(", requires_grad=", o.requires_grad(), o.has_requires_grad());
  bit(", pinned_memory=", o.pinned_memory(), o.has_pinned_memory());
  s << ", memory_format=";
  if (o.format_) s << *o.format_;
  else s << "(nullopt)";
  return s << ")";
}
}  // namespace gpuwheel_compat
