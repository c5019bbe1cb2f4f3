// The small values that every signature uses.
#pragma once
#include <gpuwheel_compat/options.h>

namespace gpuwheel_compat {
class Tensor;
using TensorList = ArrayRef<Tensor>;
using ITensorListRef = TensorList;
using OptionalTensorRef = optional<Tensor>;

template <class T>
C10_HOST_DEVICE constexpr T ceil_div(T a, T b) { return (a + b - 1) / b; }
template <class T>
C10_HOST_DEVICE constexpr T round_up(T a, T b) { return ceil_div(a, b) * b; }

struct Generator {
  std::mutex& mutex() const {
    static std::mutex m;
    return m;
  }
  template <class T>
  T* get() const {
    static T t;
    return &t;
  }
  bool defined() const { return true; }
};
struct UndefinedTensorImpl {};
}  // namespace gpuwheel_compat
namespace c10 { using gpuwheel_compat::operator<<; }
