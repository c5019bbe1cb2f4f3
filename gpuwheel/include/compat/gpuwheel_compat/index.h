// `x.index({...})` and `x.index_put_({...}, v)`: the rules of Python's `x[...]` and `x[...] = v`.
#pragma once
#include <gpuwheel_compat/tensor_functions.h>

namespace gpuwheel_compat::indexing::detail {
using Indices = ArrayRef<TensorIndex>;

// One dimension less: the element `i` of dimension `dim`; `position` is that of the index in its list.
inline Tensor select_one(const Tensor& self, int64_t dim, int64_t i, int64_t position) {
  TORCH_CHECK_INDEX(!(i == 0 && dim == 0 && self.dim() == 0), "invalid index of a 0-dim tensor. ",
                    "Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert a 0-dim tensor to a number");
  const auto size = self.dim() == 0 ? 0 : self.size(dim);
  TORCH_CHECK_INDEX(i >= -size && i < size, "index ", i, " is out of bounds for dimension ", position, " with size ", size);
  return self.select(dim, i);
}

inline Tensor slice_one(const Tensor& self, int64_t dim, const Slice& s, bool whole_is_self) {
  TORCH_CHECK_VALUE(s.step() > 0, "step must be greater than zero");
  if (whole_is_self && s.start() == 0 && s.stop() >= self.size(dim) && s.step() == 1) return self;
  return self.slice(dim, s.start(), s.stop(), s.step());
}

// A bool takes all of a new dimension, or none of it.
inline Tensor of_bool(const Tensor& self, bool b) {
  const auto options = TensorOptions(kLong).device(self.device());
  return b ? zeros({1}, options) : empty({0}, options);
}

inline int64_t specified_dims(Indices indices) {
  int64_t n = 0;
  for (const auto& i : indices) {
    if (i.is_tensor()) n += i.tensor().scalar_type() == kByte || i.tensor().scalar_type() == kBool ? i.tensor().dim() : 1;
    else n += i.is_integer() || i.is_slice();
  }
  return n;
}

// What remains after all but the tensors are applied; the tensors, each at its dimension.
struct Sliced {
  Tensor tensor;
  std::vector<optional<Tensor>> tensors;
  int64_t dim = 0;

  void record(const Tensor& index) {
    tensors.resize(static_cast<size_t>(dim) + 1);
    tensors[static_cast<size_t>(dim++)] = index;
  }
  void take_bool(bool b) {
    tensor = tensor.unsqueeze(dim);
    record(of_bool(tensor, b));
  }
  void take_tensor(const Tensor& index, int64_t position) {
    const auto type = index.scalar_type();
    if (index.dim() != 0 || !isIntegralType(type, true)) record(index);
    else if (type == kBool || type == kByte) take_bool(index.item<bool>());
    else tensor = select_one(tensor, dim, index.item<int64_t>(), position);
  }
};

inline Sliced apply(const Tensor& self, Indices indices) {
  const auto specified = specified_dims(indices);
  TORCH_CHECK_INDEX(specified <= self.dim(), "too many indices for tensor of dimension ", self.dim());
  Sliced s{self, {}, 0};
  for (size_t n = 0; n < indices.size(); ++n) {
    const auto& i = indices[n];
    const auto position = static_cast<int64_t>(n);
    if (i.is_integer()) s.tensor = select_one(s.tensor, s.dim, i.integer(), position);
    else if (i.is_slice()) s.tensor = slice_one(s.tensor, s.dim, i.slice(), true), ++s.dim;
    else if (i.is_ellipsis()) s.dim += self.dim() - specified;
    else if (i.is_none()) s.tensor = s.tensor.unsqueeze(s.dim++);
    else if (i.is_boolean()) s.take_bool(i.boolean());
    else s.take_tensor(i.tensor(), position);
  }
  return s;
}

inline Tensor get(const Tensor& self, Indices indices) {
  if (indices.size() == 1) {
    const auto& i = indices[0];
    if (i.is_integer()) return select_one(self, 0, i.integer(), 0);
    if (i.is_slice()) return slice_one(self, 0, i.slice(), false);
    if (i.is_none()) return self.unsqueeze(0);
    if (i.is_ellipsis()) return alias(self);
  }
  const auto s = apply(self, indices);
  if (!s.tensors.empty()) return s.tensor.index(s.tensors);
  return s.tensor.handle() == self.handle() ? alias(self) : s.tensor;
}

inline std::vector<int64_t> without_leading_ones(IntArrayRef sizes) {
  auto first = sizes.begin();
  while (first != sizes.end() && *first == 1) ++first;
  return {first, sizes.end()};
}

inline void copy_to(const Tensor& to, const Tensor& from) {
  if (to.sizes() == from.sizes()) to.copy_(from);
  else if (from.dim() == 0 && from.is_cpu()) to.fill_(from);
  else to.copy_(from.view(without_leading_ones(from.sizes())).expand(to.sizes()));
}

inline void put(const Tensor& self, Indices indices, const Tensor& value) {
  if (indices.size() == 1) {
    const auto& i = indices[0];
    if (i.is_boolean() && !i.boolean()) return;
    if (i.is_ellipsis()) return copy_to(self, value);
    if (i.is_none() || i.is_boolean()) return copy_to(self.unsqueeze(0), value);
    if (i.is_integer()) return copy_to(select_one(self, 0, i.integer(), 0), value);
    if (i.is_slice()) return copy_to(slice_one(self, 0, i.slice(), true), value);
  }
  const auto s = apply(self, indices);
  if (s.tensors.empty()) return copy_to(s.tensor, value);
  const auto sizes = without_leading_ones(value.sizes());
  s.tensor.index_put_(s.tensors, value.sizes() == sizes ? value : value.view(sizes));
}
}  // namespace gpuwheel_compat::indexing::detail

namespace gpuwheel_compat {
inline Tensor Tensor::index(ArrayRef<indexing::TensorIndex> i) const {
  TORCH_CHECK(!i.empty(), "Passing an empty index list to Tensor::index() is not valid syntax");
  return indexing::detail::get(*this, i);
}
inline Tensor Tensor::index(std::initializer_list<indexing::TensorIndex> i) const { return index(ArrayRef<indexing::TensorIndex>(i)); }
inline Tensor& Tensor::index_put_(ArrayRef<indexing::TensorIndex> i, const Tensor& v) {
  TORCH_CHECK(!i.empty(), "Passing an empty index list to Tensor::index_put_() is not valid syntax");
  indexing::detail::put(*this, i, v);
  return *this;
}
inline Tensor& Tensor::index_put_(ArrayRef<indexing::TensorIndex> i, const Scalar& v) { return index_put_(i, full({}, v, options())); }
inline Tensor& Tensor::index_put_(std::initializer_list<indexing::TensorIndex> i, const Tensor& v) {
  return index_put_(ArrayRef<indexing::TensorIndex>(i), v);
}
inline Tensor& Tensor::index_put_(std::initializer_list<indexing::TensorIndex> i, const Scalar& v) {
  return index_put_(ArrayRef<indexing::TensorIndex>(i), v);
}
inline Tensor Tensor::operator[](int64_t i) const { return select(0, i); }
inline Tensor Tensor::operator[](const Scalar& i) const {
  TORCH_CHECK_INDEX(i.isIntegral(false), "Can only index tensors with integral scalars");
  return select(0, i.toLong());
}
inline Tensor Tensor::operator[](const Tensor& i) const {
  TORCH_CHECK_INDEX(i.defined(), "Can only index with tensors that are defined");
  TORCH_CHECK_INDEX(i.dim() == 0, "Can only index with tensors that are scalars (zero-dim)");
  return (*this)[i.item()];
}

// A scalar on the left of -, / and % becomes a tensor like the one on the right, as in torch: it takes its element type.
#define GWC_OPERATOR(OP, BODY, REVERSED)                                            \
  inline Tensor operator OP(const Tensor& x, const Tensor& y) { return BODY; }      \
  inline Tensor operator OP(const Tensor& x, const Scalar& y) { return BODY; }      \
  inline Tensor operator OP(const Scalar& x, const Tensor& y) { return REVERSED; }
#define GWC_LIKE(y) empty_like(y, TensorOptions(), MemoryFormat::Preserve).fill_(x)
GWC_OPERATOR(+, x.add(y), y.add(x))
GWC_OPERATOR(*, x.mul(y), y.mul(x))
GWC_OPERATOR(-, x.sub(y), GWC_LIKE(y).sub_(y))
GWC_OPERATOR(/, x.div(y), GWC_LIKE(y).div_(y))
GWC_OPERATOR(%, x.remainder(y), GWC_LIKE(y).remainder_(y))
GWC_OPERATOR(&, x.bitwise_and(y), y.bitwise_and(x))
GWC_OPERATOR(|, x.bitwise_or(y), y.bitwise_or(x))
GWC_OPERATOR(^, x.bitwise_xor(y), y.bitwise_xor(x))
GWC_OPERATOR(<, x.lt(y), y.gt(x))
GWC_OPERATOR(<=, x.le(y), y.ge(x))
GWC_OPERATOR(>, x.gt(y), y.lt(x))
GWC_OPERATOR(>=, x.ge(y), y.le(x))
GWC_OPERATOR(==, x.eq(y), y.eq(x))
GWC_OPERATOR(!=, x.ne(y), y.ne(x))
#undef GWC_OPERATOR
#undef GWC_LIKE
}  // namespace gpuwheel_compat
