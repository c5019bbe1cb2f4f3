// What every header of these needs: the C ABI of torch, its errors as exceptions, and the aliases of our namespace.
#pragma once

#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/inductor/aoti_torch/generated/c_shim_aten.h>
#include <torch/csrc/stable/c/shim.h>
#include <torch/csrc/stable/stableivalue_conversions.h>
#include <torch/headeronly/core/DeviceType.h>
#include <torch/headeronly/core/Layout.h>
#include <torch/headeronly/core/MemoryFormat.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/core/TensorAccessor.h>
#include <torch/headeronly/macros/Macros.h>
#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>
#include <torch/headeronly/util/complex.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <map>
#include <set>
#include <iostream>
#include <numeric>
#include <deque>
#include <memory>
#include <mutex>
#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

// Only libtorch_cuda has these; the last is newer than the floor. Weak: null where missing.
extern "C" {
__attribute__((weak)) AOTITorchError aoti_torch_get_current_cuda_stream(int32_t, void**);
__attribute__((weak)) const char* torch_exception_get_what_without_backtrace();
}

namespace gpuwheel_compat {
using torch::headeronly::BFloat16;
using torch::headeronly::CppTypeToScalarType;
using torch::headeronly::DeviceType;
using torch::headeronly::Half;
using torch::headeronly::Layout;
using torch::headeronly::MemoryFormat;
using torch::headeronly::ScalarType;
using torch::headeronly::toString;
}  // namespace gpuwheel_compat
// Aliases only: a class that is named c10::Error would be caught by libtorch as its own.
namespace c10 { using namespace gpuwheel_compat; }
namespace at { using namespace gpuwheel_compat; }
namespace torch { using namespace gpuwheel_compat; }
// Those that torch's own headers declare: their names would hide ours.
namespace gpuwheel_compat::cuda {}
namespace at::cuda { using namespace gpuwheel_compat::cuda; }
namespace c10::cuda { using namespace gpuwheel_compat::cuda; }

namespace gpuwheel_compat {
template <class... A>
std::string str(const A&... a) {
  if constexpr (sizeof...(A) == 0) return {};
  else { std::ostringstream s; (void)(s << ... << a); return s.str(); }
}
struct __attribute__((visibility("hidden"))) Failure : std::runtime_error { using std::runtime_error::runtime_error; const char* msg() const { return what(); } };
template <class E = std::runtime_error>
[[noreturn]] inline void fail(const char* file, int line, const std::string& m) {
  throw E(m);
}
// The shim has caught a C++ exception of torch: its text is kept since 2.13; before, torch printed it to stderr.
inline void ok(AOTITorchError e, const char* what) {
  if (e == 0) return;
  if (torch_exception_get_what_without_backtrace) throw std::runtime_error(torch_exception_get_what_without_backtrace());
  throw std::runtime_error(str("torch: ", what, " failed (torch printed why to stderr)"));
}
#define GWC_OK(call) ::gpuwheel_compat::ok((call), #call)
}  // namespace gpuwheel_compat
