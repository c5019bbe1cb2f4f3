// The tensor: a handle of torch, and what can be asked of it.
#pragma once
#include <gpuwheel_compat/accessors.h>
#include <gpuwheel_compat/indexing.h>

namespace gpuwheel_compat {
struct DeprecatedTypeProperties;  // what `tensor.type()` gave

class Tensor {
  std::shared_ptr<AtenTensorOpaque> h_;
 public:
  Tensor() = default;
  struct steal {};
  Tensor(AtenTensorHandle h, steal) : h_(h, [](AtenTensorHandle p) { aoti_torch_delete_tensor_object(p); }) {}
  AtenTensorHandle handle() const { TORCH_CHECK(h_, "Expected a proper Tensor but got None (or an undefined Tensor in C++)"); return h_.get(); }
  AtenTensorHandle handle_or_null() const { return h_.get(); }
  bool defined() const { if (!h_) return false; bool b; GWC_OK(aoti_torch_is_defined(h_.get(), &b)); return b; }
  void reset() { h_.reset(); }
  bool is_same(const Tensor& o) const { return h_ == o.h_; }

#define GWC_GET(name, R, T, shim) R name() const { T v; GWC_OK(shim(handle(), &v)); return static_cast<R>(v); }
  GWC_GET(dim, int64_t, int64_t, aoti_torch_get_dim)
  GWC_GET(ndimension, int64_t, int64_t, aoti_torch_get_dim)
  GWC_GET(numel, int64_t, int64_t, aoti_torch_get_numel)
  GWC_GET(storage_offset, int64_t, int64_t, aoti_torch_get_storage_offset)
  GWC_GET(get_device, int64_t, int32_t, aoti_torch_get_device_index)
#undef GWC_GET
  int64_t size(int64_t d) const { int64_t v; GWC_OK(aoti_torch_get_size(handle(), d, &v)); return v; }
  int64_t stride(int64_t d) const { int64_t v; GWC_OK(aoti_torch_get_stride(handle(), d, &v)); return v; }
  IntArrayRef sizes() const { int64_t* v; GWC_OK(aoti_torch_get_sizes(handle(), &v)); return {v, static_cast<size_t>(dim())}; }
  IntArrayRef strides() const { int64_t* v; GWC_OK(aoti_torch_get_strides(handle(), &v)); return {v, static_cast<size_t>(dim())}; }
  bool is_contiguous() const { bool v; GWC_OK(aoti_torch_is_contiguous(handle(), &v)); return v; }
  inline bool is_contiguous(MemoryFormat f) const;
  ScalarType scalar_type() const { int32_t v; GWC_OK(aoti_torch_get_dtype(handle(), &v)); return torch::stable::detail::to<ScalarType>(torch::stable::detail::from(v)); }
  ScalarType dtype() const { return scalar_type(); }
  Layout layout() const { int32_t v; GWC_OK(aoti_torch_get_layout(handle(), &v)); return torch::stable::detail::to<Layout>(torch::stable::detail::from(v)); }
  Device device() const { int32_t t; GWC_OK(aoti_torch_get_device_type(handle(), &t)); return Device(torch::stable::detail::to<DeviceType>(torch::stable::detail::from(t)), static_cast<int>(get_device())); }
  bool is_cuda() const { int32_t t; GWC_OK(aoti_torch_get_device_type(handle(), &t)); return t == aoti_torch_device_type_cuda(); }
  bool is_cpu() const { int32_t t; GWC_OK(aoti_torch_get_device_type(handle(), &t)); return t == aoti_torch_device_type_cpu(); }
  int64_t element_size() const { int32_t v; GWC_OK(aoti_torch_get_dtype(handle(), &v)); return static_cast<int64_t>(aoti_torch_dtype_element_size(v)); }
  int64_t itemsize() const { return element_size(); }
  size_t nbytes() const { return static_cast<size_t>(numel() * element_size()); }
  bool is_floating_point() const { auto t = scalar_type(); return t == kFloat || t == kDouble || t == kHalf || t == kBFloat16 || t == kFloat8_e4m3fn || t == kFloat8_e5m2; }
  TensorOptions options() const { return TensorOptions().dtype(scalar_type()).device(device()).layout(layout()); }
  inline DeprecatedTypeProperties type() const;
  bool is_meta() const { return device().is_meta(); }
  bool requires_grad() const { return gpuwheel_compat_requires_grad(*this); }
  static inline bool gpuwheel_compat_requires_grad(const Tensor&);
  const Tensor& set_requires_grad(bool b) const { GWC_OK(torch_set_requires_grad(handle(), b)); return *this; }
  inline Tensor operator[](int64_t i) const; inline Tensor operator[](const Tensor& i) const;
  inline Tensor cuda() const; inline Tensor cpu() const;
  inline Tensor toType(ScalarType t) const;
  template <class T, size_t N> auto accessor() const { check_dim(N); return torch::headeronly::HeaderOnlyTensorAccessor<T, N>(data_ptr<T>(), sizes().data(), strides().data()); }
  template <class T, size_t N, template <class> class P = torch::headeronly::DefaultPtrTraits, class I = int64_t>
  auto generic_packed_accessor() const { check_dim(N); return torch::headeronly::HeaderOnlyGenericPackedTensorAccessor<T, N, P, I>(static_cast<typename P<T>::PtrType>(data_ptr<T>()), sizes().data(), strides().data()); }
  template <class T, size_t N, template <class> class P = torch::headeronly::DefaultPtrTraits> auto packed_accessor32() const { TORCH_CHECK(numel() <= std::numeric_limits<int32_t>::max(), "numel needs to be smaller than int32_t max; otherwise, please use packed_accessor64"); return generic_packed_accessor<T, N, P, int32_t>(); }
  template <class T, size_t N, template <class> class P = torch::headeronly::DefaultPtrTraits> auto packed_accessor64() const { return generic_packed_accessor<T, N, P, int64_t>(); }
  template <class T, size_t N, template <class> class P = torch::headeronly::DefaultPtrTraits, class I = int64_t> auto packed_accessor() const { return generic_packed_accessor<T, N, P, I>(); }
  void check_dim(size_t n) const { TORCH_CHECK(static_cast<size_t>(dim()) == n, "TensorAccessor expected ", n, " dims but tensor has ", dim()); }
  template <class S> inline Tensor& operator+=(const S& o); template <class S> inline Tensor& operator-=(const S& o);
  template <class S> inline Tensor& operator*=(const S& o); template <class S> inline Tensor& operator/=(const S& o);
  inline Tensor operator-() const; inline Tensor operator~() const;
  void* data_ptr() const { void* v; GWC_OK(aoti_torch_get_data_ptr(handle(), &v)); return v; }
  void* mutable_data_ptr() const { return data_ptr(); }
  const void* const_data_ptr() const { return data_ptr(); }
  template <class T> T* data_ptr() const {
    using V = std::remove_const_t<T>; const auto want = CppTypeToScalarType<V>::value; const auto got = scalar_type();
    TORCH_CHECK(got == want, "expected scalar type ", toString(want), " but found ", toString(got));
    return static_cast<T*>(data_ptr());
  }
  template <class T> T* data() const { return data_ptr<T>(); }
  template <class T> T* mutable_data_ptr() const { return data_ptr<T>(); }
  template <class T> const T* const_data_ptr() const { return data_ptr<T>(); }
  template <class T> T item() const; inline Scalar item() const;
  const Tensor& operator=(const Tensor& o) && { copy_(o); return *this; }
  Tensor& operator=(const Tensor&) & = default; Tensor& operator=(Tensor&&) & = default; Tensor(const Tensor&) = default; Tensor(Tensor&&) = default;
  template <class S, std::enable_if_t<std::is_arithmetic_v<S>, int> = 0> const Tensor& operator=(S s) && { fill_(s); return *this; }
inline Tensor index(std::initializer_list<indexing::Slice> s) const;
#include <gpuwheel_compat/generated/methods.inc>
};

struct DeprecatedTypeProperties {
  Tensor t;
  bool is_cuda() const { return t.is_cuda(); }
  ScalarType scalarType() const { return t.scalar_type(); }
  operator TensorOptions() const { return t.options(); }
};
inline DeprecatedTypeProperties Tensor::type() const { return {*this}; }
}  // namespace gpuwheel_compat
