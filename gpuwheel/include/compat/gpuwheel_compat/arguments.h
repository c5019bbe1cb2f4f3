// Checks of arguments by name and position, in torch's words.
#pragma once
#include <gpuwheel_compat/tensor_functions.h>

namespace gpuwheel_compat {
using CheckedFrom = const char*;

struct TensorArg {
  Tensor tensor;
  const char* name;
  int pos;  // 1 for the first; 0 for one that has only a name
  TensorArg(Tensor t, const char* n, int p) : tensor(std::move(t)), name(n), pos(p) {}
  const Tensor* operator->() const { return &tensor; }
  const Tensor& operator*() const { return tensor; }
  friend std::ostream& operator<<(std::ostream& s, const TensorArg& t) {
    TORCH_CHECK(t.tensor.defined(), "sym_strides() called on an undefined Tensor");  // torch looks at the strides to write it
    if (t.pos == 0) return s << "'" << t.name << "'";
    return s << "argument #" << t.pos << " '" << t.name << "'";
  }
};
using TensorGeometryArg = TensorArg;

namespace detail {
// torch keeps the sizes that it checks in a vector, and lets that find a dimension that is not there.
inline int64_t size_at(const Tensor& t, int64_t dim) { return t.dim() == 0 ? t.sizes().vec().at(0) : t.size(dim); }
}  // namespace detail

#define GWC_ARGUMENT(cond, ...) TORCH_CHECK(cond, __VA_ARGS__, " (while checking arguments for ", c, ")")
inline void checkDim(CheckedFrom c, const TensorArg& t, int64_t dim) {
  GWC_ARGUMENT(t->dim() == dim, "Expected ", dim, "-dimensional tensor, but got ", t->dim(), "-dimensional tensor for ", t);
}
inline void checkDim(CheckedFrom c, const Tensor& t, const char* name, int pos, int64_t dim) { checkDim(c, TensorArg(t, name, pos), dim); }
inline void checkDimRange(CheckedFrom c, const TensorArg& t, int64_t from, int64_t to) {
  GWC_ARGUMENT(t->dim() >= from && t->dim() < to, "Expected ", from, " to ", to - 1, " dimensions, but got ", t->dim(),
               "-dimensional tensor for ", t);
}
inline void checkContiguous(CheckedFrom c, const TensorArg& t) {
  GWC_ARGUMENT(t->is_contiguous(), "Expected contiguous tensor, but got non-contiguous tensor for ", t);
}
inline void checkSize(CheckedFrom c, const TensorArg& t, IntArrayRef sizes) {
  checkDim(c, t, static_cast<int64_t>(sizes.size()));
  GWC_ARGUMENT(t->sizes().equals(sizes), "Expected tensor of size ", sizes, ", but got tensor of size ", t->sizes(), " for ", t);
}
inline void checkSize(CheckedFrom c, const TensorArg& t, int64_t dim, int64_t size) {
  GWC_ARGUMENT(detail::size_at(*t, dim) == size, "Expected tensor to have size ", size, " at dimension ", dim, ", but got size ", t->size(dim), " for ", t);
}
inline void checkSameSize(CheckedFrom c, const TensorArg& a, const TensorArg& b) {
  GWC_ARGUMENT(a->sizes().equals(b->sizes()), "Expected tensor for ", a, " to have same size as tensor for ", b, "; but ", a->sizes(),
               " does not equal ", b->sizes());
}
inline void checkNumel(CheckedFrom c, const TensorArg& t, int64_t numel) {
  GWC_ARGUMENT(t->numel() == numel, "Expected tensor for ", t, " to have ", numel, " elements; but it actually has ", t->numel(), " elements");
}
inline void checkSameNumel(CheckedFrom c, const TensorArg& a, const TensorArg& b) {
  GWC_ARGUMENT(a->numel() == b->numel(), "Expected tensor for ", a, " to have same number of elements as tensor for ", b, "; but ",
               a->numel(), " does not equal ", b->numel());
}
inline void checkSameDim(CheckedFrom c, const TensorArg& a, const TensorArg& b) {
  GWC_ARGUMENT(a->dim() == b->dim(), "Expected tensor for ", a, " to have the same dimension as tensor for ", b, "; but ", a->dim(),
               " does not equal ", b->dim());
}
inline void checkSameGPU(CheckedFrom c, const TensorArg& a, const TensorArg& b) {
  if (!a->is_cuda() || !b->is_cuda()) {
    std::ostringstream s;
    if (!a->is_cuda()) s << "Tensor for " << a << " is on CPU, ";
    if (!b->is_cuda()) s << "Tensor for " << b << " is on CPU, ";
    s << "but expected " << "it to be on GPU";
    GWC_ARGUMENT(false, s.str());
  }
  GWC_ARGUMENT(a->get_device() == b->get_device(), "Expected tensor for ", a, " to have the same device as tensor for ", b, "; but device ",
               a->get_device(), " does not equal ", b->get_device());
}
inline void checkSameType(CheckedFrom c, const TensorArg& a, const TensorArg& b) {
  GWC_ARGUMENT(a->options().type_equal(b->options()), "Expected tensor for ", a, " to have the same type as tensor for ", b, "; but type ",
               a->toString(), " does not equal ", b->toString());
}
inline void checkScalarType(CheckedFrom c, const TensorArg& t, ScalarType type) {
  GWC_ARGUMENT(t->scalar_type() == type, "Expected tensor for ", t, " to have scalar type ", toString(type), "; but got ", t->toString(), " instead");
}
inline void checkScalarTypes(CheckedFrom c, const TensorArg& t, ArrayRef<ScalarType> types) {
  if (std::find(types.begin(), types.end(), t->scalar_type()) != types.end()) return;
  std::string names;
  for (const auto type : types) names += str(names.empty() ? "" : ", ", toString(type));
  GWC_ARGUMENT(false, "Expected tensor for ", t, " to have one of the following scalar types: ", names, "; but got ", t->toString(), " instead");
}
inline void checkDefined(CheckedFrom c, const TensorArg& t) {
  GWC_ARGUMENT(t->defined(), "Expected tensor for ", t, " to be non-null, but it was undefined");
}
inline void checkDeviceType(CheckedFrom c, const Tensor& t, DeviceType type) {
  TORCH_CHECK(!t.defined() || t.device().type() == type, "Expected tensor to have ", type, " DeviceType, but got tensor with ",
              t.device().type(), " DeviceType ", "(while checking arguments for ", c, ")");
}
inline void checkDeviceType(CheckedFrom c, TensorList list, DeviceType type) {
  for (const auto& t : list) checkDeviceType(c, t, type);
}
inline void checkLayout(CheckedFrom c, const Tensor& t, Layout layout) {
  TORCH_CHECK(!t.defined() || t.layout() == layout, "Expected tensor to have ", layout, " Layout, but got tensor with ", t.layout(), " Layout ",
              "(while checking arguments for ", c, ")");
}
#undef GWC_ARGUMENT

namespace detail {
// The first that is defined against each later one.
template <class F>
void each_against_first(CheckedFrom c, ArrayRef<TensorArg> args, F check) {
  const TensorArg* first = nullptr;
  for (const auto& t : args) {
    if (!t->defined()) continue;
    if (first) check(c, *first, t);
    else first = &t;
  }
}
}  // namespace detail
inline void checkAllSameSize(CheckedFrom c, ArrayRef<TensorArg> a) { detail::each_against_first(c, a, checkSameSize); }
inline void checkAllSameNumel(CheckedFrom c, ArrayRef<TensorArg> a) { detail::each_against_first(c, a, checkSameNumel); }
inline void checkAllSameGPU(CheckedFrom c, ArrayRef<TensorArg> a) { detail::each_against_first(c, a, checkSameGPU); }
inline void checkAllSameType(CheckedFrom c, ArrayRef<TensorArg> a) { detail::each_against_first(c, a, checkSameType); }
inline void checkAllContiguous(CheckedFrom c, ArrayRef<TensorArg> args) {
  for (const auto& t : args)
    if (t->defined()) checkContiguous(c, t);
}
inline void checkAllDefined(CheckedFrom c, ArrayRef<TensorArg> args) {
  for (const auto& t : args) checkDefined(c, t);
}
}  // namespace gpuwheel_compat
