// Calls that torch's C ABI has functions of their own for, and calls that need none: several times faster than the
// dispatcher's boxes. Each does what the operator does for the tensors that it takes, and leaves the others to the boxes.
//
// The functions aoti_torch_aten_* and those without a device in their name go through torch's dispatcher, and so through
// autograd, autocast and modes. Those of one device (aoti_torch_cpu_*) do not: they are never called here. Where one of
// them fails, the boxes do the call again, and say what is wrong.
#pragma once
#include <gpuwheel_compat/failed.h>

namespace gpuwheel_compat::shims {
template <class E>
int32_t code(E value) {
  return torch::stable::detail::to<int32_t>(torch::stable::detail::from(value));
}

// Options as the C functions take them: pointers, null where nothing is said.
struct Place {
  int32_t dtype_, layout_, device_, pinned_, index = 0;
  int32_t *dtype = nullptr, *layout = nullptr, *device = nullptr, *pinned = nullptr;

  Place(optional<ScalarType> t, optional<Layout> l, optional<Device> d, optional<bool> p) {
    if (t) { dtype_ = code(*t); dtype = &dtype_; }
    if (l) { layout_ = code(*l); layout = &layout_; }
    if (d) { device_ = code(d->type()); device = &device_; index = d->index(); }
    if (p) { pinned_ = *p; pinned = &pinned_; }
  }
  Place(const Place&) = delete;
};

inline Tensor own(AtenTensorHandle h) { return Tensor(h, Tensor::steal{}); }
constexpr size_t kMostDims = 8;
inline int64_t length(IntArrayRef v) { return static_cast<int64_t>(v.size()); }
inline bool strided(optional<Layout> l) { return !l || *l == Layout::Strided; }

using New = AOTITorchError (*)(AtenTensorHandle, const int64_t*, int64_t, int32_t*, int32_t*, int32_t*, int32_t, int32_t*, AtenTensorHandle*);
inline optional<Tensor> make(New shim, AtenTensorHandle of, IntArrayRef size, const Place& at) {
  AtenTensorHandle h;
  if (shim(of, size.data(), length(size), at.dtype, at.layout, at.device, at.index, at.pinned, &h) != 0) return nullopt;
  return own(h);
}

// Without a type it is torch's default one, which only an operator knows. On the CPU the C function passes by the dispatcher,
// and so by modes (fake tensors, deterministic memory): there the boxes are right. To make it like an ordinary tensor kept for
// that (`new_empty`, twice as fast) is no way: a mode of fake tensors refuses ordinary ones, and what Python raises in a C
// function stays raised.
inline Tensor empty(IntArrayRef size, optional<ScalarType> dtype, optional<Layout> layout, optional<Device> device,
                    optional<bool> pinned, optional<MemoryFormat> format) {
  const bool plain = dtype && strided(layout) && !pinned.value_or(false) && (!format || *format == MemoryFormat::Contiguous);
  if (plain && device && device->is_cuda() && size.size() <= kMostDims) {
    std::array<int64_t, kMostDims> strides;
    int64_t next = 1;
    for (size_t i = size.size(); i-- > 0; next *= std::max<int64_t>(size[i], 1)) strides[i] = next;
    AtenTensorHandle h;
    if (aoti_torch_empty_strided(length(size), size.data(), strides.data(), code(*dtype), code(device->type()), device->index(), &h) == 0)
      return own(h);
  }
  return invoke<Tensor>("aten::empty", "memory_format", {size, dtype, layout, device, pinned, format});
}
inline Tensor zeros(IntArrayRef size, optional<ScalarType> dtype, optional<Layout> layout, optional<Device> device, optional<bool> pinned) {
  if (dtype && strided(layout)) {
    const Place at(dtype, layout, device, pinned);
    AtenTensorHandle h;
    if (aoti_torch_aten_full(size.data(), length(size), 0.0, at.dtype, at.layout, at.device, at.index, at.pinned, &h) == 0) return own(h);
  }
  return invoke<Tensor>("aten::zeros", "", {size, dtype, layout, device, pinned});
}
inline Tensor new_empty(const Tensor& self, IntArrayRef size, optional<ScalarType> dtype, optional<Layout> layout,
                        optional<Device> device, optional<bool> pinned) {
  if (auto made = make(&aoti_torch_aten_new_empty, self.handle(), size, {dtype, layout, device, pinned})) return *std::move(made);
  return invoke<Tensor>("aten::new_empty", "", {self, size, dtype, layout, device, pinned});
}
inline Tensor new_zeros(const Tensor& self, IntArrayRef size, optional<ScalarType> dtype, optional<Layout> layout,
                        optional<Device> device, optional<bool> pinned) {
  if (auto made = make(&aoti_torch_aten_new_zeros, self.handle(), size, {dtype, layout, device, pinned})) return *std::move(made);
  return invoke<Tensor>("aten::new_zeros", "", {self, size, dtype, layout, device, pinned});
}

// A C function has a double for the number: only for numbers that a double is. What type the number would have said is
// said beside it.
inline bool fits_double(const Scalar& v) {
  constexpr int64_t most = int64_t{1} << 53;
  return v.tag == Scalar::D || v.tag == Scalar::B || (v.tag == Scalar::I && v.i >= -most && v.i <= most);
}
inline double as_double(const Scalar& v) { return v.tag == Scalar::D ? v.d : static_cast<double>(v.i); }
inline Tensor full(IntArrayRef size, const Scalar& value, optional<ScalarType> dtype, optional<Layout> layout,
                   optional<Device> device, optional<bool> pinned) {
  if (fits_double(value) && strided(layout)) {
    auto type = dtype;
    if (!type && value.tag != Scalar::D) type = value.tag == Scalar::B ? ScalarType::Bool : ScalarType::Long;
    const Place at(type, layout, device, pinned);
    AtenTensorHandle h;
    if (aoti_torch_aten_full(size.data(), length(size), as_double(value), at.dtype, at.layout, at.device, at.index, at.pinned, &h) == 0)
      return own(h);
  }
  return invoke<Tensor>("aten::full", "", {size, value, dtype, layout, device, pinned});
}
inline Tensor ones(IntArrayRef size, optional<ScalarType> dtype, optional<Layout> layout, optional<Device> device, optional<bool> pinned) {
  return full(size, 1.0, dtype, layout, device, pinned);
}

inline bool usual(const Tensor& t) { return t.defined() && t.layout() == Layout::Strided && (t.is_cpu() || t.is_cuda()); }
// Whether the strides are those of a new tensor of this size: then "as this one" means a new one.
inline bool as_new(const Tensor& t, optional<Layout> layout, optional<MemoryFormat> format) {
  if (!strided(layout) || !usual(t)) return false;
  if (format && *format != MemoryFormat::Preserve && *format != MemoryFormat::Contiguous) return false;
  const auto size = t.sizes(), stride = t.strides();
  int64_t expected = 1;
  for (size_t i = size.size(); i-- > 0;) {
    if (stride[i] != expected) return false;
    expected *= std::max<int64_t>(size[i], 1);
  }
  return true;
}
inline Tensor empty_like(const Tensor& self, optional<ScalarType> dtype, optional<Layout> layout, optional<Device> device,
                         optional<bool> pinned, optional<MemoryFormat> format) {
  if (!as_new(self, layout, format))
    return invoke<Tensor>("aten::empty_like", "", {self, dtype, layout, device, pinned, format});
  return new_empty(self, self.sizes(), dtype, layout, device, pinned);
}
inline Tensor zeros_like(const Tensor& self, optional<ScalarType> dtype, optional<Layout> layout, optional<Device> device,
                         optional<bool> pinned, optional<MemoryFormat> format) {
  if (!as_new(self, layout, format))
    return invoke<Tensor>("aten::zeros_like", "", {self, dtype, layout, device, pinned, format});
  return new_zeros(self, self.sizes(), dtype, layout, device, pinned);
}

inline void copy_(const Tensor& self, const Tensor& src, bool non_blocking) {
  if (aoti_torch_copy_(self.handle(), src.handle(), non_blocking) != 0) invoke_into(1, "aten::copy_", "", {self, src, non_blocking});
}
inline void zero_(const Tensor& self) {
  if (aoti_torch_zero_(self.handle()) != 0) invoke_into(1, "aten::zero_", "", {self});
}
inline void fill_(const Tensor& self, const Scalar& value) {
  if (!fits_double(value) || aoti_torch_aten_fill__Scalar(self.handle(), as_double(value)) != 0)
    invoke_into(1, "aten::fill_", "Scalar", {self, value});
}
inline Tensor clone(const Tensor& self, optional<MemoryFormat> format) {
  AtenTensorHandle h;
  if (!format && aoti_torch_clone(self.handle(), &h) == 0) return own(h);
  return invoke<Tensor>("aten::clone", "", {self, format});
}

// What is so already is given back: the same tensor, as by torch.
inline Tensor contiguous(const Tensor& self, MemoryFormat format) {
  if (format == MemoryFormat::Contiguous && usual(self) && self.is_contiguous()) return self;
  return invoke<Tensor>("aten::contiguous", "", {self, format});
}
inline bool keeps(const Tensor& self, ScalarType dtype, bool copy, optional<MemoryFormat> format) {
  return !copy && (!format || *format == MemoryFormat::Preserve) && usual(self) && self.scalar_type() == dtype;
}
inline Tensor to_dtype(const Tensor& self, ScalarType dtype, bool non_blocking, bool copy, optional<MemoryFormat> format) {
  if (keeps(self, dtype, copy, format)) return self;
  return invoke<Tensor>("aten::to", "dtype", {self, dtype, non_blocking, copy, format});
}
inline Tensor to_device(const Tensor& self, Device device, ScalarType dtype, bool non_blocking, bool copy, optional<MemoryFormat> format) {
  if (keeps(self, dtype, copy, format) && (self.device() == device || (device.is_cpu() && self.is_cpu()))) return self;
  return invoke<Tensor>("aten::to", "device", {self, device, dtype, non_blocking, copy, format});
}

inline Tensor narrow(const Tensor& self, int64_t dim, int64_t start, int64_t length) {
  AtenTensorHandle h;
  if (aoti_torch_aten_narrow(self.handle(), dim, start, length, &h) == 0) return own(h);
  return invoke<Tensor>("aten::narrow", "", {self, dim, start, length});
}
inline Tensor slice(const Tensor& self, int64_t dim, optional<int64_t> from, optional<int64_t> to, int64_t step) {
  const int64_t dims = self.dim(), at = dim < 0 ? dim + dims : dim;
  if (step != 1 || at < 0 || at >= dims) return invoke<Tensor>("aten::slice", "Tensor", {self, dim, from, to, step});
  const int64_t size = self.size(at);
  const auto place = [size](int64_t v) { return std::clamp<int64_t>(v < 0 ? v + size : v, 0, size); };
  const int64_t start = place(from.value_or(0));
  return narrow(self, at, start, std::max<int64_t>(place(to.value_or(size)) - start, 0));
}

// Where no gradient is recorded, a view by strides is the same view; where one is, its node has another name. The C
// function makes views of as many dimensions, and from the same element.
inline bool by_strides(const Tensor& t) {
  return !aoti_torch_grad_mode_is_enabled() && usual(t) && static_cast<size_t>(t.dim()) <= kMostDims;
}
inline Tensor permuted(const Tensor& self, const std::array<int64_t, kMostDims>& order) {
  const auto size = self.sizes(), stride = self.strides();
  std::array<int64_t, kMostDims> sizes, strides;
  for (size_t i = 0; i < size.size(); ++i) {
    sizes[i] = size[static_cast<size_t>(order[i])];
    strides[i] = stride[static_cast<size_t>(order[i])];
  }
  AtenTensorHandle h;
  GWC_OK(aoti_torch_as_strided(self.handle(), sizes.data(), strides.data(), &h));
  return own(h);
}
inline Tensor transpose(const Tensor& self, int64_t dim0, int64_t dim1) {
  const int64_t dims = self.dim(), a = dim0 < 0 ? dim0 + dims : dim0, b = dim1 < 0 ? dim1 + dims : dim1;
  if (a < 0 || b < 0 || a >= dims || b >= dims || a == b || !by_strides(self))
    return invoke<Tensor>("aten::transpose", "int", {self, dim0, dim1});
  std::array<int64_t, kMostDims> order{0, 1, 2, 3, 4, 5, 6, 7};
  std::swap(order[static_cast<size_t>(a)], order[static_cast<size_t>(b)]);
  return permuted(self, order);
}
inline Tensor permute(const Tensor& self, IntArrayRef dims) {
  const size_t n = dims.size();
  std::array<int64_t, kMostDims> order{};
  uint32_t seen = 0;
  for (size_t i = 0; i < n && n <= kMostDims; ++i) {
    order[i] = dims[i] < 0 ? dims[i] + static_cast<int64_t>(n) : dims[i];
    if (order[i] >= 0 && order[i] < static_cast<int64_t>(n)) seen |= 1u << order[i];
  }
  // Every place once, or torch says what is wrong.
  if (n > kMostDims || static_cast<size_t>(self.dim()) != n || seen != (1u << n) - 1 || !by_strides(self))
    return invoke<Tensor>("aten::permute", "", {self, dims});
  return permuted(self, order);
}
inline Tensor t(const Tensor& self) {
  if (self.dim() != 2 || !by_strides(self)) return invoke<Tensor>("aten::t", "", {self});
  return permuted(self, {1, 0});
}
}  // namespace gpuwheel_compat::shims
