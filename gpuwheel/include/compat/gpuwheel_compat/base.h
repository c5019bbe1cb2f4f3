// What every header of these needs: the C ABI of torch, the namespaces, and text made of values.
//
// Every type and function lives in `gpuwheel_compat`; `at`, `c10`, `torch` and `caffe2` look into it by using-directives.
// A class whose mangled name is torch's own would be taken for torch's: by `catch`, which compares the names of types,
// and by the loader, where a symbol is not hidden.
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
#include <torch/headeronly/util/BFloat16-math.h>
#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>
#include <gpuwheel_compat/complex.h>
#include <gpuwheel_compat/python_name.h>  // GWC_PYTHON: where the operators are that Python's side defines
#include <torch/headeronly/util/irange.h>
#include <torch/headeronly/version.h>

// Sources that include torch/extension.h lean on these, which it brings.
#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <initializer_list>
#include <iostream>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

// Only libtorch_cuda has the first; the second is newer than the floor. Weak: null where missing.
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
using torch::headeronly::scalar_value_type;
using torch::headeronly::toString;
namespace cuda {}
}  // namespace gpuwheel_compat
namespace c10 {
using namespace gpuwheel_compat;
using torch::headeronly::is_complex;  // at::is_complex is a function
}
namespace at { using namespace gpuwheel_compat; }
namespace torch { using namespace gpuwheel_compat; using namespace c10; }
namespace caffe2 { using namespace gpuwheel_compat; }
// Those that torch's own headers declare: their names would hide ours.
namespace at::cuda { using namespace gpuwheel_compat::cuda; }
namespace c10::cuda { using namespace gpuwheel_compat::cuda; }

namespace gpuwheel_compat {
// How an enumeration of torch is written. Declared before `str`, which finds them here, and in c10, where a source's `<<` looks.
inline std::ostream& operator<<(std::ostream& s, DeviceType t);
inline std::ostream& operator<<(std::ostream& s, Layout t);
inline std::ostream& operator<<(std::ostream& s, MemoryFormat t);

// The text of all arguments, one after the other, as c10::str gives it.
template <class... A>
std::string str(const A&... a) {
  if constexpr (sizeof...(A) == 0) {
    return {};
  } else {
    std::ostringstream s;
    (void)(s << ... << a);
    return s.str();
  }
}
inline std::string str(const std::string& s) { return s; }
inline std::string str(const char* s) { return s; }
}  // namespace gpuwheel_compat
namespace c10 { using gpuwheel_compat::operator<<; }
