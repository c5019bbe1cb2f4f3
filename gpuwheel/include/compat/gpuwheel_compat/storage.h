// What can be asked of the memory behind a tensor, and of its type in the old sense.
#pragma once
#include <gpuwheel_compat/tensor.h>

namespace gpuwheel_compat {
// The memory of a tensor, seen through the tensor. Storage has no handle in the stable ABI: it cannot be made, resized or handed over.
class Storage final {
  Tensor tensor_;

 public:
  explicit Storage(Tensor t) : tensor_(std::move(t)) {}
  size_t nbytes() const {
    int64_t n = 0;
    GWC_OK(aoti_torch_get_storage_size(tensor_.handle(), &n));
    return static_cast<size_t>(n);
  }
  void* mutable_data() const {
    return static_cast<char*>(tensor_.mutable_data_ptr()) - tensor_.storage_offset() * static_cast<int64_t>(tensor_.itemsize());
  }
  const void* data() const {
    return static_cast<const char*>(tensor_.const_data_ptr()) - tensor_.storage_offset() * static_cast<int64_t>(tensor_.itemsize());
  }
  Device device() const { return tensor_.device(); }
  DeviceType device_type() const { return device().type(); }
  bool is_alias_of(const Storage& o) const { return tensor_.is_alias_of(o.tensor_); }
};
inline Storage Tensor::storage() const { return Storage(*this); }

// What `tensor.type()` gives: the kind of a tensor without its sizes.
class DeprecatedTypeProperties final {
  TensorOptions options_;

 public:
  explicit DeprecatedTypeProperties(const TensorOptions& o) : options_(o) {}
  ScalarType scalarType() const { return options_.dtype_or_default(); }
  TypeMeta typeMeta() const { return options_.dtype(); }
  DeviceType device_type() const { return options_.device().type(); }
  Layout layout() const { return options_.layout(); }
  bool is_cuda() const { return options_.device().is_cuda(); }
  bool is_sparse() const { return options_.is_sparse(); }
  TensorOptions options(DeviceIndex index = -1) const {
    return TensorOptions(options_.dtype()).device(Device(device_type(), index)).layout(layout());
  }
  TensorOptions options(optional<Device> d) const { return d ? options(d->index()) : options(); }
  operator TensorOptions() const { return options_; }
  DeprecatedTypeProperties toScalarType(ScalarType t) const { return DeprecatedTypeProperties(options_.dtype(t)); }
  DeprecatedTypeProperties cpu() const { return DeprecatedTypeProperties(options_.device(Device(DeviceType::CPU))); }
  DeprecatedTypeProperties cuda() const { return DeprecatedTypeProperties(options_.device(Device(DeviceType::CUDA))); }
  Tensor tensor() const;
  std::string toString() const {
    const auto type = device_type();
    std::string backend = type == DeviceType::PrivateUse1 ? "PrivateUse1" : type == DeviceType::Meta ? "Meta" : DeviceTypeName(type);
    if (is_sparse()) backend = "Sparse" + backend;
    return backend + gpuwheel_compat::toString(scalarType()) + "Type";
  }
  bool operator==(const DeprecatedTypeProperties& o) const {
    return device_type() == o.device_type() && layout() == o.layout() && scalarType() == o.scalarType();
  }
  bool operator!=(const DeprecatedTypeProperties& o) const { return !(*this == o); }
  friend std::ostream& operator<<(std::ostream& s, const DeprecatedTypeProperties& t) { return s << t.toString(); }
};
inline DeprecatedTypeProperties Tensor::type() const { return DeprecatedTypeProperties(options()); }
inline std::string Tensor::toString() const { return defined() ? type().toString() : "UndefinedType"; }

// A tensor that is looked at, or held: both are held here, as a handle is cheap.
template <class T>
class MaybeOwned final {
  T value_;
  explicit MaybeOwned(T v) : value_(std::move(v)) {}

 public:
  MaybeOwned() = default;
  static MaybeOwned borrowed(const T& v) { return MaybeOwned(v); }
  static MaybeOwned owned(T v) { return MaybeOwned(std::move(v)); }
  template <class... A>
  static MaybeOwned owned(std::in_place_t, A&&... a) { return MaybeOwned(T(std::forward<A>(a)...)); }
  const T& operator*() const& { return value_; }
  T operator*() && { return std::move(value_); }
  const T* operator->() const { return &value_; }
};
inline MaybeOwned<Tensor> Tensor::expect_contiguous(MemoryFormat f) const& {
  return is_contiguous(f) ? MaybeOwned<Tensor>::borrowed(*this) : MaybeOwned<Tensor>::owned(contiguous(f));
}
}  // namespace gpuwheel_compat
