// A number of any type, as torch passes it to operators.
#pragma once
#include <gpuwheel_compat/device.h>

#include <torch/headeronly/util/TypeCast.h>

namespace gpuwheel_compat {
template <class T>
constexpr bool is_complex_v = torch::headeronly::is_complex<T>::value;

class Scalar final {
 public:
  // What it holds: integer, floating point, bool, complex, or an unsigned integer that no int64_t can hold.
  enum Tag : int8_t { I, D, B, Z, U };
  Tag tag = I;
  int64_t i = 0;  // I and B; U keeps its bits here
  double d = 0;   // D, and the real part of Z
  double im = 0;  // the imaginary part of Z

  Scalar() = default;
  template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>
  Scalar(T v) : i(0), d(0) {
    if constexpr (std::is_same_v<T, bool>) {
      tag = B;
      i = v;
    } else if constexpr (std::is_floating_point_v<T>) {
      tag = D;
      d = static_cast<double>(v);
    } else {
      tag = std::is_unsigned_v<T> && static_cast<uint64_t>(v) > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) ? U : I;
      i = static_cast<int64_t>(v);
    }
  }
  Scalar(Half v) : Scalar(static_cast<float>(v)) {}
  Scalar(BFloat16 v) : Scalar(static_cast<float>(v)) {}
  Scalar(Float8_e5m2 v) : Scalar(static_cast<float>(v)) {}
  Scalar(Float8_e4m3fn v) : Scalar(static_cast<float>(v)) {}
  Scalar(Float8_e5m2fnuz v) : Scalar(static_cast<float>(v)) {}
  Scalar(Float8_e4m3fnuz v) : Scalar(static_cast<float>(v)) {}
  Scalar(Float8_e8m0fnu v) : Scalar(static_cast<float>(v)) {}
  template <class T>
  Scalar(c10::complex<T> v) : tag(Z), d(static_cast<double>(v.real())), im(static_cast<double>(v.imag())) {}

  bool isFloatingPoint() const { return tag == D; }
  bool isIntegral() const { return tag == I || tag == U; }
  bool isIntegral(bool include_bool) const { return isIntegral() || (include_bool && tag == B); }
  bool isComplex() const { return tag == Z; }
  bool isBoolean() const { return tag == B; }
  bool isUnsigned() const { return tag == U || (tag == I && i >= 0); }
  bool isSymbolic() const { return false; }
  bool isSymInt() const { return false; }
  bool isSymFloat() const { return false; }
  bool isSymBool() const { return false; }
  ScalarType type() const {
    switch (tag) {
      case I: return kLong;
      case D: return kDouble;
      case B: return kBool;
      case Z: return kComplexDouble;
      case U: return kUInt64;
    }
    TORCH_CHECK(false, "Unknown scalar type.");
  }

  // The value as T; torch's error where T cannot hold it.
  template <class T>
  T to() const {
    using c10::checked_convert;
    const char* name = to_name<T>();
    switch (tag) {
      case I: return checked_convert<T, int64_t>(i, name);
      case D: return checked_convert<T, double>(d, name);
      case B: return checked_convert<T, bool>(i != 0, name);
      case Z: return checked_convert<T, c10::complex<double>>(c10::complex<double>(d, im), name);
      case U: return checked_convert<T, uint64_t>(static_cast<uint64_t>(i), name);
    }
    TORCH_CHECK(false, "Unknown scalar type.");
  }
  int64_t toSymInt() const { return to<int64_t>(); }
#define GWC_TO(T, NAME) \
  T to##NAME() const { return to<T>(); }
  AT_FORALL_SCALAR_TYPES_WITH_COMPLEX(GWC_TO)
  GWC_TO(uint16_t, UInt16)
  GWC_TO(uint32_t, UInt32)
  GWC_TO(uint64_t, UInt64)
#undef GWC_TO

  template <class T, std::enable_if_t<!is_complex_v<T>, int> = 0>
  bool equal(T n) const {
    switch (tag) {
      case Z: return im == 0 && d == static_cast<double>(n);
      case D: return d == static_cast<double>(n);
      case I: return c10::overflows<T, int64_t>(i, true) ? false : static_cast<T>(i) == n;
      case U: return c10::overflows<T, uint64_t>(static_cast<uint64_t>(i), true) ? false : static_cast<T>(static_cast<uint64_t>(i)) == n;
      case B: return false;  // bool scalars equal no number, as in torch
    }
    return false;
  }
  bool equal(bool v) const { return tag == B && (i != 0) == v; }
  template <class T>
  bool equal(c10::complex<T> v) const {
    const auto re = static_cast<double>(v.real()), imag = static_cast<double>(v.imag());
    if (tag == Z) return d == re && im == imag;
    return imag == 0 && equal(re);
  }
  Scalar conj() const { return tag == Z ? Scalar(c10::complex<double>(d, -im)) : *this; }
  Scalar log() const {
    if (tag == Z) {
      const auto z = std::log(std::complex<double>(d, im));
      return c10::complex<double>(z.real(), z.imag());
    }
    return std::log(to<double>());
  }
  Scalar operator-() const {
    TORCH_CHECK(tag != B, "torch boolean negative, the `-` operator, is not supported.");
    if (tag == D) return -d;
    if (tag == Z) return c10::complex<double>(-d, -im);
    TORCH_CHECK(tag != U, "negation of an unsigned scalar");
    return -i;
  }
  Scalar operator+() const { return *this; }
  friend std::ostream& operator<<(std::ostream& s, const Scalar& v) {
    if (v.isFloatingPoint()) return s << v.d;
    if (v.isComplex()) return s << c10::complex<double>(v.d, v.im);
    if (v.isBoolean()) return s << (v.i ? "true" : "false");
    return v.tag == U ? s << static_cast<uint64_t>(v.i) : s << v.i;
  }

 private:
  template <class T>
  static const char* to_name() {
#define GWC_NAME(U, NAME) \
  if constexpr (std::is_same_v<T, U>) return #U;
    AT_FORALL_SCALAR_TYPES_WITH_COMPLEX(GWC_NAME)
    GWC_NAME(uint16_t, UInt16)
    GWC_NAME(uint32_t, UInt32)
    GWC_NAME(uint64_t, UInt64)
#undef GWC_NAME
    return "number";
  }
};
}  // namespace gpuwheel_compat
