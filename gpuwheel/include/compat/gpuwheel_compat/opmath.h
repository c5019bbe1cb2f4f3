// In which type to compute, and to sum up, values of another: the choices of torch's own kernels.
#pragma once
#include <gpuwheel_compat/types.h>

namespace gpuwheel_compat {
template <class T>
struct OpMathType { using type = T; };
template <> struct OpMathType<Half> { using type = float; };
template <> struct OpMathType<BFloat16> { using type = float; };
template <> struct OpMathType<Float8_e5m2> { using type = float; };
template <> struct OpMathType<Float8_e4m3fn> { using type = float; };
template <> struct OpMathType<Float8_e5m2fnuz> { using type = float; };
template <> struct OpMathType<Float8_e4m3fnuz> { using type = float; };
template <> struct OpMathType<Float8_e8m0fnu> { using type = float; };
template <> struct OpMathType<c10::complex<Half>> { using type = c10::complex<float>; };
template <class T>
using opmath_type = typename OpMathType<T>::type;

// On a GPU sums stay in the type that is computed in; on a CPU float goes to double. Integers go to int64 on both.
template <class T, DeviceType D>
struct AccumulateTypeDevice {
  using type = std::conditional_t<std::is_same_v<T, bool>, bool, std::conditional_t<std::is_integral_v<T>, int64_t, opmath_type<T>>>;
};
template <> struct AccumulateTypeDevice<float, DeviceType::CPU> { using type = double; };
template <> struct AccumulateTypeDevice<c10::complex<float>, DeviceType::CPU> { using type = c10::complex<double>; };
template <class T, bool is_cuda>
struct AccumulateType : AccumulateTypeDevice<T, is_cuda ? DeviceType::CUDA : DeviceType::CPU> {};
template <class T, DeviceType D>
using acc_type_device = typename AccumulateTypeDevice<T, D>::type;
template <class T, bool is_cuda>
using acc_type = typename AccumulateType<T, is_cuda>::type;

inline ScalarType toAccumulateType(ScalarType t, DeviceType d) {
  if (t == kBool || !(isIntegralType(t, false) || isFloatingType(t) || isComplexType(t))) return t;
  if (isIntegralType(t, false)) return kLong;
  if (d == DeviceType::CPU && t == kFloat) return kDouble;
  if (d == DeviceType::CPU && t == kComplexFloat) return kComplexDouble;
  return toOpMathType(t);
}
inline ScalarType toAccumulateType(ScalarType t, bool is_cuda) { return toAccumulateType(t, is_cuda ? DeviceType::CUDA : DeviceType::CPU); }
}  // namespace gpuwheel_compat
