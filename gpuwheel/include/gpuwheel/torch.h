// What an operator on PyTorch's stable ABI needs besides its kernels: the current stream, dispatch over element types,
// alignment, argument checks. One binary serves CPU and CUDA builds of torch 2.10 and newer.
#pragma once

#if defined(__CUDACC_RTC__)
#error gpuwheel: <gpuwheel/torch.h> is for host code; the .cu files of a kernel group include <gpuwheel/device.h>
#endif

#include <gpuwheel/dtype.h>
#include <gpuwheel/launch.h>

#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/device.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include <cstdint>
#include <initializer_list>
#include <string>

// The shims that only libtorch_cuda exports. Weak: they are null in a CPU build of torch, and the library still loads.
extern "C" {
__attribute__((weak)) AOTITorchError aoti_torch_get_current_cuda_stream(int32_t, void**);
__attribute__((weak)) AOTITorchError torch_c10_cuda_check_msg(int32_t, const char*, const char*, uint32_t, bool, char**);
__attribute__((weak)) void torch_c10_cuda_free_error_msg(char*);
}

GPUWHEEL_NAMESPACE_BEGIN

using torch::stable::Tensor;

// The stream that torch is using on a device (`with torch.cuda.stream(s):`).
inline Stream current_stream(int device) {
  STD_TORCH_CHECK(aoti_torch_get_current_cuda_stream != nullptr, "gpuwheel: this build of torch has no CUDA");
  Stream stream;
  stream.device = device;
  TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(device, &stream.handle));
  return stream;
}

// The stream to launch on for a tensor: the current one of its device.
inline Stream current_stream(const Tensor& tensor) { return current_stream(tensor.get_device_index()); }

// Makes a CUDA tensor's device the current one for a scope. Every operator needs it: torch's default stream is the null
// stream, which belongs to whatever device is current.
class DeviceGuard {
 public:
  explicit DeviceGuard(const Tensor& tensor) : guard_(tensor.get_device_index()) {}

 private:
  torch::stable::accelerator::DeviceGuard guard_;
};

// ---- element types

template <typename... T>
struct Types {};

using Floats = Types<float, half, bfloat16>;
using FloatsAndDouble = Types<float, half, bfloat16, double>;  // CPU implementations: gradcheck needs double

template <typename T>
inline constexpr torch::headeronly::ScalarType scalar_type = torch::headeronly::CppTypeToScalarType<T>::value;

namespace detail {
template <typename Body, typename... T>
void dispatch(Types<T...>, const char* op, const Tensor& tensor, Body&& body) {
  const auto dtype = tensor.scalar_type();
  const bool found = ((dtype == scalar_type<T> ? (static_cast<void>(body(T{})), true) : false) || ...);
  STD_TORCH_CHECK(found, op, ": dtype ", torch::headeronly::toString(dtype), " is not supported");
}
}  // namespace detail

// Calls `body` with a value of the tensor's element type:
//   dispatch<Floats>("add_rms_norm", x, [&](auto zero) { using T = decltype(zero); ... });
template <typename List, typename Body>
void dispatch(const char* op, const Tensor& tensor, Body&& body) {
  detail::dispatch(List{}, op, tensor, std::forward<Body>(body));
}

// ---- memory

// Whether the data of every tensor starts at a multiple of `bytes` (a view with an offset may not).
template <typename... Tensors>
bool aligned(std::size_t bytes, const Tensors&... tensors) {
  return ((reinterpret_cast<std::uintptr_t>(tensors.const_data_ptr()) | ...) % bytes) == 0;
}

// The tensor itself if it is contiguous, else a contiguous copy; skips torch's dispatcher in the usual case.
inline Tensor contiguous(const Tensor& tensor) { return tensor.is_contiguous() ? tensor : torch::stable::contiguous(tensor); }

// f(begin, end) over parts of [begin, end), on torch's CPU threads; `grain`: the least work worth a thread.
template <typename Body>
void parallel_for(std::int64_t begin, std::int64_t end, std::int64_t grain, const Body& body) {
  torch::stable::parallel_for(begin, end, grain, body);
}

// ---- argument checks: each names the operator, the argument and both values

struct Argument {
  const char* name;
  const Tensor& tensor;
};

// "(2, 3)", for messages of your own.
template <typename Sizes>
std::string shape_text(const Sizes& sizes) {
  std::string text = "(";
  for (const std::int64_t size : sizes) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + ")";
}

// HeaderOnlyArrayRef has no operator== in the headers of torch 2.10 to 2.12.
template <typename A, typename B>
bool same_sizes(const A& a, const B& b) {
  if (a.size() != b.size()) return false;
  auto other = b.begin();
  for (const std::int64_t size : a) {
    if (size != *other++) return false;
  }
  return true;
}

namespace detail {
inline std::string device_text(const Tensor& tensor) {
  if (tensor.is_cpu()) return "cpu";
  return (tensor.is_cuda() ? "cuda:" : "another device:") + std::to_string(tensor.get_device_index());
}
}  // namespace detail

inline void check_same_shape(const char* op, std::initializer_list<Argument> arguments) {
  const Argument& first = *arguments.begin();
  for (const Argument& argument : arguments) {
    STD_TORCH_CHECK(same_sizes(argument.tensor.sizes(), first.tensor.sizes()), op, ": ", argument.name, " has shape ",
                    shape_text(argument.tensor.sizes()), ", ", first.name, " has ", shape_text(first.tensor.sizes()),
                    ": they must be equal");
  }
}

inline void check_same_dtype(const char* op, std::initializer_list<Argument> arguments) {
  const Argument& first = *arguments.begin();
  for (const Argument& argument : arguments) {
    STD_TORCH_CHECK(argument.tensor.scalar_type() == first.tensor.scalar_type(), op, ": ", argument.name, " has dtype ",
                    torch::headeronly::toString(argument.tensor.scalar_type()), ", ", first.name, " has ",
                    torch::headeronly::toString(first.tensor.scalar_type()), ": they must be equal");
  }
}

inline void check_same_device(const char* op, std::initializer_list<Argument> arguments) {
  const Argument& first = *arguments.begin();
  for (const Argument& argument : arguments) {
    STD_TORCH_CHECK(argument.tensor.device() == first.tensor.device(), op, ": ", argument.name, " is on ",
                    detail::device_text(argument.tensor), ", ", first.name, " on ", detail::device_text(first.tensor),
                    ": they must be on one device");
  }
}

inline void check_shape(const char* op, const Argument& argument, std::initializer_list<std::int64_t> expected) {
  STD_TORCH_CHECK(same_sizes(argument.tensor.sizes(), expected), op, ": ", argument.name, " has shape ",
                  shape_text(argument.tensor.sizes()), ", ", shape_text(expected), " is expected");
}

inline void check_dtype(const char* op, const Argument& argument, torch::headeronly::ScalarType expected) {
  STD_TORCH_CHECK(argument.tensor.scalar_type() == expected, op, ": ", argument.name, " has dtype ",
                  torch::headeronly::toString(argument.tensor.scalar_type()), ", ", torch::headeronly::toString(expected), " is expected");
}

inline void check_min_dim(const char* op, const Argument& argument, std::int64_t least) {
  STD_TORCH_CHECK(argument.tensor.dim() >= least, op, ": ", argument.name, " has ", argument.tensor.dim(), " dimensions, at least ", least,
                  least == 1 ? " is" : " are", " expected");
}

GPUWHEEL_NAMESPACE_END
