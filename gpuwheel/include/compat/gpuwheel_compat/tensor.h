// The tensor: a handle of torch, and what can be asked of it.
#pragma once
#include <gpuwheel_compat/accessors.h>

// A member that cannot be: the compiler says why, where it is called.
#define GWC_REFUSED(NAME, WHY)                                                                   \
  template <class... A>                                                                          \
  void NAME(A&&...) const {                                                                      \
    static_assert(sizeof...(A) == ~size_t{0}, #NAME " is not in torch's stable ABI: " WHY);      \
  }

namespace gpuwheel_compat {
namespace indexing {
class TensorIndex;
}
class DeprecatedTypeProperties;
class Storage;
template <class T>
class MaybeOwned;

class Tensor {
  std::shared_ptr<AtenTensorOpaque> h_;  // of the handle, which holds a reference to torch's tensor

  struct Delete {
    void operator()(AtenTensorHandle h) const noexcept { aoti_torch_delete_tensor_object(h); }
  };
  // torch's undefined tensor: what it is asked, it answers in torch's words.
  static AtenTensorHandle undefined() {
    static const AtenTensorHandle h = [] {
      AtenTensorHandle made = nullptr;
      GWC_OK(aoti_torch_new_uninitialized_tensor(&made));
      return made;
    }();
    return h;
  }
  template <class T, class R = T>
  R ask(AOTITorchError (*shim)(AtenTensorHandle, T*), const char* name) const {
    T v{};
    ok(shim(handle(), &v), name);
    return static_cast<R>(v);
  }
#define GWC_ASK(shim) ask(&shim, #shim)
  bool on(DeviceType t) const { return defined() && device_type_() == t; }
  DeviceType device_type_() const {
    static const int32_t cpu = aoti_torch_device_type_cpu(), cuda = aoti_torch_device_type_cuda();
    const int32_t n = GWC_ASK(aoti_torch_get_device_type);
    return n == cpu ? DeviceType::CPU : n == cuda ? DeviceType::CUDA : device_type_of_number(n);
  }

 public:
  struct steal {};
  Tensor() = default;
  Tensor(AtenTensorHandle h, steal) : h_(h, Delete{}) {}
  Tensor(const Tensor&) = default;
  Tensor(Tensor&&) noexcept = default;
  // To a name: another tensor. To a temporary, as `x[0] = y`: the values are copied.
  Tensor& operator=(const Tensor&) & = default;
  Tensor& operator=(Tensor&&) & noexcept = default;
  inline Tensor& operator=(const Tensor& o) &&;
  inline Tensor& operator=(Tensor&& o) &&;
  inline Tensor& operator=(const Scalar& v) &&;

  AtenTensorHandle handle() const { return h_ ? h_.get() : undefined(); }
  AtenTensorHandle handle_or_null() const { return h_.get(); }
  bool defined() const { return h_ && GWC_ASK(aoti_torch_is_defined); }
  void reset() { h_.reset(); }
  inline bool is_same(const Tensor& o) const;
  inline bool is_alias_of(const Tensor& o) const;
  GWC_REFUSED(unsafeGetTensorImpl, "ask the tensor itself: sizes(), strides(), data_ptr()")
  GWC_REFUSED(unsafeReleaseTensorImpl, "hand the tensor over")
  GWC_REFUSED(getIntrusivePtr, "hold the tensor")
  GWC_REFUSED(use_count, "no count is kept that means what torch's means")
  GWC_REFUSED(weak_use_count, "no count is kept that means what torch's means")
  GWC_REFUSED(key_set, "ask device(), layout(), requires_grad()")
  GWC_REFUSED(grad_fn, "ask is_leaf() or requires_grad()")
  GWC_REFUSED(register_hook, "register it in Python")
  GWC_REFUSED(mutable_grad, "set the gradient in Python")
  GWC_REFUSED(quantizer, "call q_scale(), q_zero_point() or q_per_channel_scales()")

  // ---- sizes
  int64_t dim() const { return GWC_ASK(aoti_torch_get_dim); }
  int64_t ndimension() const { return dim(); }
  int64_t numel() const { return GWC_ASK(aoti_torch_get_numel); }
  int64_t storage_offset() const { return GWC_ASK(aoti_torch_get_storage_offset); }
  int64_t size(int64_t d) const {
    int64_t v = 0;
    GWC_OK(aoti_torch_get_size(handle(), d, &v));
    return v;
  }
  int64_t stride(int64_t d) const {
    int64_t v = 0;
    GWC_OK(aoti_torch_get_stride(handle(), d, &v));
    return v;
  }
  IntArrayRef sizes() const { return {GWC_ASK(aoti_torch_get_sizes), static_cast<size_t>(dim())}; }
  IntArrayRef strides() const { return {GWC_ASK(aoti_torch_get_strides), static_cast<size_t>(dim())}; }
  int64_t sym_size(int64_t d) const { return size(d); }
  int64_t sym_stride(int64_t d) const { return stride(d); }
  int64_t sym_numel() const { return numel(); }
  int64_t sym_storage_offset() const { return storage_offset(); }
  IntArrayRef sym_sizes() const { return sizes(); }
  IntArrayRef sym_strides() const { return strides(); }
  bool is_contiguous() const { return GWC_ASK(aoti_torch_is_contiguous); }
  inline bool is_contiguous(MemoryFormat f) const;
  bool is_contiguous_or_false(MemoryFormat f = MemoryFormat::Contiguous) const { return is_contiguous(f); }
  inline MaybeOwned<Tensor> expect_contiguous(MemoryFormat f = MemoryFormat::Contiguous) const&;
  inline bool is_non_overlapping_and_dense() const;
  inline MemoryFormat suggest_memory_format(bool channels_last_strides_exact_match = false) const;

  // ---- type and place
  ScalarType scalar_type() const { return h_ ? dtype_of_number(GWC_ASK(aoti_torch_get_dtype)) : ScalarType::Undefined; }
  TypeMeta dtype() const { return TypeMeta(scalar_type()); }
  Layout layout() const { return layout_of_number(GWC_ASK(aoti_torch_get_layout)); }
  Device device() const {
    const auto index = GWC_ASK(aoti_torch_get_device_index);
    return Device(device_type_(), static_cast<DeviceIndex>(index));
  }
  DeviceIndex get_device() const { return static_cast<DeviceIndex>(GWC_ASK(aoti_torch_get_device_index)); }
  TensorOptions options() const { return TensorOptions(dtype()).device(device()).layout(layout()); }
  inline DeprecatedTypeProperties type() const;
  inline std::string toString() const;
  size_t itemsize() const {
    TORCH_CHECK(scalar_type() != ScalarType::Undefined, "Cannot report itemsize of Tensor that doesn't have initialized dtype ",
                "(e.g., caffe2::Tensor x(CPU), prior to calling mutable_data<T>() on x)");
    return aoti_torch_dtype_element_size(GWC_ASK(aoti_torch_get_dtype));
  }
  int64_t element_size() const { return static_cast<int64_t>(itemsize()); }
  size_t nbytes() const { return static_cast<size_t>(numel()) * itemsize(); }
  size_t sym_nbytes() const { return nbytes(); }
  inline Storage storage() const;
  bool is_cpu() const { return on(DeviceType::CPU); }
  bool is_cuda() const { return on(DeviceType::CUDA); }
  bool is_meta() const { return on(DeviceType::Meta); }
  bool is_mps() const { return on(DeviceType::MPS); }
  bool is_xpu() const { return on(DeviceType::XPU); }
  bool is_xla() const { return on(DeviceType::XLA); }
  bool is_hpu() const { return on(DeviceType::HPU); }
  bool is_hip() const { return on(DeviceType::HIP); }
  bool is_ipu() const { return on(DeviceType::IPU); }
  bool is_mtia() const { return on(DeviceType::MTIA); }
  bool is_ve() const { return on(DeviceType::VE); }
  bool is_lazy() const { return on(DeviceType::Lazy); }
  bool is_vulkan() const { return on(DeviceType::Vulkan); }
  bool is_metal() const { return on(DeviceType::Metal); }
  bool is_privateuseone() const { return on(DeviceType::PrivateUse1); }
  bool is_sparse() const { return layout() == Layout::Sparse; }
  bool is_sparse_csr() const { return layout() == Layout::SparseCsr; }
  bool is_mkldnn() const { return layout() == Layout::Mkldnn; }
  bool is_quantized() const { return isQIntType(scalar_type()); }
  bool is_floating_point() const { return isFloatingType(scalar_type()); }

  // ---- memory
  void* data_ptr() const { return GWC_ASK(aoti_torch_get_data_ptr); }
  void* mutable_data_ptr() const { return GWC_ASK(torch_get_mutable_data_ptr); }
  const void* const_data_ptr() const { return GWC_ASK(torch_get_const_data_ptr); }
  template <class T>
  T* data_ptr() const { return typed<T>(), static_cast<T*>(there(data_ptr())); }
  template <class T>
  T* mutable_data_ptr() const { return typed<T>(), static_cast<T*>(there(mutable_data_ptr())); }
  template <class T>
  const std::remove_const_t<T>* const_data_ptr() const { return typed<T>(), static_cast<const std::remove_const_t<T>*>(there(const_data_ptr())); }
  template <class T>
  T* data() const { return data_ptr<T>(); }
  template <class T>
  inline T item() const;
  inline Scalar item() const;

  // An accessor points at the sizes of the tensor, so it is not given by a temporary.
  template <class T, size_t N>
  TensorAccessor<T, N> accessor() const& {
    static_assert(N > 0, "accessor is used for indexing tensor, for scalars use *data_ptr<T>()");
    check_dim(N);
    return TensorAccessor<T, N>(pointer<T>(), sizes().data(), strides().data());
  }
  template <class T, size_t N>
  TensorAccessor<T, N> accessor() && = delete;
  template <class T, size_t N, template <class> class P = DefaultPtrTraits, class I = int64_t>
  GenericPackedTensorAccessor<T, N, P, I> generic_packed_accessor() const& {
    static_assert(N > 0, "accessor is used for indexing tensor, for scalars use *data_ptr<T>()");
    check_dim(N);
    return GenericPackedTensorAccessor<T, N, P, I>(static_cast<typename P<T>::PtrType>(pointer<T>()), sizes().data(), strides().data());
  }
  template <class T, size_t N, template <class> class P = DefaultPtrTraits, class I = int64_t>
  GenericPackedTensorAccessor<T, N, P, I> generic_packed_accessor() && = delete;
  template <class T, size_t N, template <class> class P = DefaultPtrTraits>
  PackedTensorAccessor32<T, N, P> packed_accessor32() const& {
    TORCH_CHECK(numel() <= static_cast<int64_t>(std::numeric_limits<int32_t>::max()),
                "numel needs to be smaller than int32_t max; otherwise, please use packed_accessor64");
    return generic_packed_accessor<T, N, P, int32_t>();
  }
  template <class T, size_t N, template <class> class P = DefaultPtrTraits>
  PackedTensorAccessor32<T, N, P> packed_accessor32() && = delete;
  template <class T, size_t N, template <class> class P = DefaultPtrTraits>
  PackedTensorAccessor64<T, N, P> packed_accessor64() const& { return generic_packed_accessor<T, N, P, int64_t>(); }
  template <class T, size_t N, template <class> class P = DefaultPtrTraits>
  PackedTensorAccessor64<T, N, P> packed_accessor64() && = delete;
  template <class T, size_t N, template <class> class P = DefaultPtrTraits, class I = int64_t>
  GenericPackedTensorAccessor<T, N, P, I> packed_accessor() const& { return generic_packed_accessor<T, N, P, I>(); }
  template <class T, size_t N, template <class> class P = DefaultPtrTraits, class I = int64_t>
  GenericPackedTensorAccessor<T, N, P, I> packed_accessor() && = delete;

  // ---- to other types and places
  inline Tensor to(TypeMeta t, bool non_blocking = false, bool copy = false) const;
  inline Tensor toType(ScalarType t) const;
  inline Tensor cpu() const;
  inline Tensor cuda() const;
  inline Tensor xpu() const;
  inline Tensor meta() const;

  // ---- gradients
  inline bool requires_grad() const;
  const Tensor& set_requires_grad(bool b) const {
    GWC_OK(torch_set_requires_grad(handle(), b));
    return *this;
  }
  inline Tensor& requires_grad_(bool b = true) const;
  inline bool is_leaf() const;
  inline int64_t output_nr() const;
  inline int64_t _version() const;
  inline Tensor grad() const;
  inline Tensor data() const;
  Tensor variable_data() const { return data(); }
  Tensor tensor_data() const { return data(); }
  inline void set_data(const Tensor& o) const;
  inline void retain_grad() const;
  inline void backward(const Tensor& gradient = {}, optional<bool> retain_graph = nullopt, bool create_graph = false,
                       optional<TensorList> inputs = nullopt) const;

  // ---- operators and indices
  inline Tensor operator~() const;
  inline Tensor operator-() const;
#define GWC_COMPOUND(OP)                   \
  inline Tensor& operator OP(const Tensor& o); \
  inline Tensor& operator OP(const Scalar& o);
  GWC_COMPOUND(+=)
  GWC_COMPOUND(-=)
  GWC_COMPOUND(*=)
  GWC_COMPOUND(/=)
  GWC_COMPOUND(&=)
  GWC_COMPOUND(|=)
  GWC_COMPOUND(^=)
#undef GWC_COMPOUND
  inline Tensor operator[](int64_t i) const;
  inline Tensor operator[](const Scalar& i) const;
  inline Tensor operator[](const Tensor& i) const;
  inline Tensor index(ArrayRef<indexing::TensorIndex> i) const;
  inline Tensor index(std::initializer_list<indexing::TensorIndex> i) const;
  inline Tensor& index_put_(ArrayRef<indexing::TensorIndex> i, const Tensor& v);
  inline Tensor& index_put_(ArrayRef<indexing::TensorIndex> i, const Scalar& v);
  inline Tensor& index_put_(std::initializer_list<indexing::TensorIndex> i, const Tensor& v);
  inline Tensor& index_put_(std::initializer_list<indexing::TensorIndex> i, const Scalar& v);
  inline void print() const;

  template <class S>
  void record_stream(const S& stream) const;  // streams.h
#include <gpuwheel_compat/generated/methods.inc>

 private:
  void check_dim(size_t n) const {
    TORCH_CHECK(dim() == static_cast<int64_t>(n), "TensorAccessor expected ", n, " dims but tensor has ", dim());
  }
  template <class T>
  void typed() const {
    constexpr auto want = CppTypeToScalarType<std::remove_const_t<T>>::value;
    const auto got = scalar_type();
    TORCH_CHECK(got == want || (isQIntType(got) && toUnderlying(got) == want), "expected scalar type ", gpuwheel_compat::toString(want), " but found ", gpuwheel_compat::toString(got));
  }
  // Of a tensor that has no memory (a fake one, say) the pointer is null and an offset. Real ones are mostly high numbers.
  template <class P>
  P* there(P* pointer) const {
    const auto at = reinterpret_cast<uintptr_t>(pointer);
    if (C10_LIKELY(at >> 36)) return pointer;
    TORCH_CHECK(numel() == 0 || at != static_cast<size_t>(storage_offset()) * itemsize(),
                "The tensor has a non-zero number of elements, but its data is not allocated yet.\n"
                "If you're using torch.compile/export/fx, it is likely that we are erroneously tracing into a custom kernel. To fix this, "
                "please wrap the custom kernel into an opaque custom op. Please see the following for details: "
                "https://pytorch.org/tutorials/advanced/custom_ops_landing_page.html\n"
                "If you're using Caffe2, Caffe2 uses a lazy allocation, so you will need to call mutable_data() or raw_mutable_data() to "
                "actually allocate memory.");
    return pointer;
  }
  template <class T>
  auto pointer() const {
    if constexpr (std::is_const_v<T>) return const_data_ptr<T>();
    else return mutable_data_ptr<T>();
  }
#undef GWC_ASK
};
inline Tensor& unconst(const Tensor& t) { return const_cast<Tensor&>(t); }
}  // namespace gpuwheel_compat
// By name, so that `namespace at { class Tensor; }` in a source is an error there, and not another class.
namespace at { using gpuwheel_compat::Tensor; }
namespace torch { using gpuwheel_compat::Tensor; }
