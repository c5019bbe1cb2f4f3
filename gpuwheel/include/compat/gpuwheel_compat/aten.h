// The functions of ATen: `at::add(a, b)`, `x.add(b)`, `torch::zeros({2})`.
#pragma once
#include <gpuwheel_compat/scalars.h>

namespace gpuwheel_compat {
namespace Reduction {
enum Reduction { None, Mean, Sum, END };
}

// What options say to an operator, in the order of its schema.
inline optional<ScalarType> dtype_of(const TensorOptions& o) { return o.dtype_; }
inline optional<Layout> layout_of(const TensorOptions& o) { return o.layout_; }
inline optional<Device> device_of(const TensorOptions& o) { return o.device_; }
inline optional<bool> pinned_of(const TensorOptions& o) { return o.pinned_; }
// The format may be said in the options or beside them; as torch has it, an operator that takes one takes no gradient.
inline optional<MemoryFormat> format_of(const TensorOptions& o, optional<MemoryFormat> beside) {
  TORCH_CHECK(!o.grad_.value_or(false),
              "Operators taking TensorOptions cannot take a TensorOptions with options.requires_grad set as true. This isn't implemented yet.");
  TORCH_CHECK(!(o.format_ && beside),
              "Cannot set memory_format both in TensorOptions and explicit argument; please delete the redundant setter.");
  return beside ? beside : o.format_;
}

// Functions that take options and no tensor. Not beside the types: found by the type of an argument, `zeros({2}, options)`
// after `using namespace torch` would mean two functions, and means one with torch's own headers.
namespace factories {
#include <gpuwheel_compat/generated/factories.inc>
}
using namespace factories;
#include <gpuwheel_compat/generated/functions.inc>

// `torch::zeros` and its like: what `at::` has, with a gradient where the options ask for it.
namespace torch_factories {
inline TensorOptions without_grad(TensorOptions o) { o.grad_ = nullopt; return o; }
inline Tensor with_grad(Tensor t, const TensorOptions& o) {
  if (o.grad_.value_or(false)) GWC_OK(torch_set_requires_grad(t.handle(), true));
  return t;
}
#include <gpuwheel_compat/generated/torch_factories.inc>
}  // namespace torch_factories
}  // namespace gpuwheel_compat

// Classes of c10 have these names too; `at::` and `torch::` mean the functions, as with torch's own headers.
namespace at {
using gpuwheel_compat::complex;
using gpuwheel_compat::is_complex;
}
namespace torch {
using gpuwheel_compat::complex;
using gpuwheel_compat::is_complex;
#include <gpuwheel_compat/generated/torch_names.inc>
}
