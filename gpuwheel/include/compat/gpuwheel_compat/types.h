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

/// A generator of random numbers. Python has it; C++ knows its key there: the device of a default one, or another number.
class Generator {
  int64_t key_ = -1;

 public:
  Generator() = default;
  explicit Generator(int64_t key) : key_(key) {}
  bool defined() const { return key_ >= 0; }
  int64_t key() const { return key_; }
  bool operator==(const Generator& other) const { return key_ == other.key_; }
  inline std::mutex& mutex() const;  // philox.h
  template <class T>
  T* get() const;
};
struct UndefinedTensorImpl {};
}  // namespace gpuwheel_compat
namespace c10 { using gpuwheel_compat::operator<<; }
