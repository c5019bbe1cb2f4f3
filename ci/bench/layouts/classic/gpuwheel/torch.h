// The benchmark's stand-in for gpuwheel's header of this name: the same names on ATen and TORCH_LIBRARY, so that the
// operators' host code is compiled unchanged. Included after torch/extension.h.
#pragma once

#include <gpuwheel/dtype.h>
#include <gpuwheel/launch.h>

#include <ATen/Parallel.h>
#include <c10/core/DeviceGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <initializer_list>

#define STABLE_TORCH_LIBRARY_FRAGMENT TORCH_LIBRARY_FRAGMENT
#define STABLE_TORCH_LIBRARY_IMPL TORCH_LIBRARY_IMPL
#define TORCH_BOX(function) function

namespace torch::stable {
using at::empty_like;
using at::Tensor;

inline Tensor new_empty(const Tensor& tensor, at::IntArrayRef sizes, std::optional<at::ScalarType> dtype = std::nullopt) {
  return at::empty(sizes, tensor.options().dtype(dtype.value_or(tensor.scalar_type())));
}
inline Tensor zero_(Tensor& tensor) { return tensor.zero_(); }
}  // namespace torch::stable

namespace gpuwheel {

using at::Tensor;

inline Stream current_stream(const Tensor& tensor) {
  const auto device = tensor.get_device();
  return {c10::cuda::getCurrentCUDAStream(device).stream(), device};
}

class DeviceGuard {
 public:
  explicit DeviceGuard(const Tensor& tensor) : guard_(tensor.device()) {}

 private:
  c10::DeviceGuard guard_;
};

template <typename... T>
struct Types {};

using Floats = Types<float, half, bfloat16>;
using FloatsAndDouble = Types<float, half, bfloat16, double>;

template <typename T>
inline constexpr at::ScalarType scalar_type = c10::CppTypeToScalarType<T>::value;

namespace detail {
template <typename Body, typename... T>
void dispatch(Types<T...>, const char* op, const Tensor& tensor, Body&& body) {
  const auto dtype = tensor.scalar_type();
  const bool found = ((dtype == scalar_type<T> ? (static_cast<void>(body(T{})), true) : false) || ...);
  TORCH_CHECK(found, op, ": dtype ", dtype, " is not supported");
}
}  // namespace detail

template <typename List, typename Body>
void dispatch(const char* op, const Tensor& tensor, Body&& body) {
  detail::dispatch(List{}, op, tensor, std::forward<Body>(body));
}

template <typename... Tensors>
bool aligned(std::size_t bytes, const Tensors&... tensors) {
  return ((reinterpret_cast<std::uintptr_t>(tensors.const_data_ptr()) | ...) % bytes) == 0;
}

inline Tensor contiguous(const Tensor& tensor) { return tensor.contiguous(); }

template <typename Body>
void parallel_for(std::int64_t begin, std::int64_t end, std::int64_t grain, const Body& body) {
  at::parallel_for(begin, end, grain, body);
}

struct Argument {
  const char* name;
  const Tensor& tensor;
};

inline bool same_sizes(at::IntArrayRef a, at::IntArrayRef b) { return a == b; }
inline std::string shape_text(at::IntArrayRef sizes) { return c10::str(sizes); }

inline void check_same_shape(const char* op, std::initializer_list<Argument> arguments) {
  const Argument& first = *arguments.begin();
  for (const Argument& argument : arguments) {
    TORCH_CHECK(argument.tensor.sizes() == first.tensor.sizes(), op, ": ", argument.name, " has shape ", argument.tensor.sizes(), ", ",
                first.name, " has ", first.tensor.sizes(), ": they must be equal");
  }
}

inline void check_same_dtype(const char* op, std::initializer_list<Argument> arguments) {
  const Argument& first = *arguments.begin();
  for (const Argument& argument : arguments) {
    TORCH_CHECK(argument.tensor.scalar_type() == first.tensor.scalar_type(), op, ": ", argument.name, " has dtype ",
                argument.tensor.scalar_type(), ", ", first.name, " has ", first.tensor.scalar_type(), ": they must be equal");
  }
}

inline void check_same_device(const char* op, std::initializer_list<Argument> arguments) {
  const Argument& first = *arguments.begin();
  for (const Argument& argument : arguments) {
    TORCH_CHECK(argument.tensor.device() == first.tensor.device(), op, ": ", argument.name, " is on ", argument.tensor.device(), ", ",
                first.name, " on ", first.tensor.device(), ": they must be on one device");
  }
}

inline void check_shape(const char* op, const Argument& argument, at::IntArrayRef expected) {
  TORCH_CHECK(argument.tensor.sizes() == expected, op, ": ", argument.name, " has shape ", argument.tensor.sizes(), ", ", expected,
              " is expected");
}

inline void check_dtype(const char* op, const Argument& argument, at::ScalarType expected) {
  TORCH_CHECK(argument.tensor.scalar_type() == expected, op, ": ", argument.name, " has dtype ", argument.tensor.scalar_type(), ", ",
              expected, " is expected");
}

inline void check_min_dim(const char* op, const Argument& argument, std::int64_t least) {
  TORCH_CHECK(argument.tensor.dim() >= least, op, ": ", argument.name, " has ", argument.tensor.dim(), " dimensions, at least ", least,
              " are expected");
}

}  // namespace gpuwheel
