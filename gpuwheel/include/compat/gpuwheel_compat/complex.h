// What c10/util/complex.h adds to namespace std: parts, size and functions of torch's complex numbers, on both sides.
#pragma once
#include <torch/headeronly/util/complex.h>

#include <cmath>
#include <complex>

namespace std {
template <class T>
C10_HOST_DEVICE constexpr T real(const c10::complex<T>& z) { return z.real(); }
template <class T>
C10_HOST_DEVICE constexpr T imag(const c10::complex<T>& z) { return z.imag(); }
template <class T>
C10_HOST_DEVICE constexpr T norm(const c10::complex<T>& z) { return z.real() * z.real() + z.imag() * z.imag(); }
template <class T>
C10_HOST_DEVICE constexpr c10::complex<T> conj(const c10::complex<T>& z) { return c10::complex<T>(z.real(), -z.imag()); }

// Through thrust where nvcc compiles: functions of std::complex are not for devices.
#if defined(__CUDACC__)
#define GWC_COMPLEX thrust
#else
#define GWC_COMPLEX std
#endif
#define GWC_PART(NAME) \
  template <class T>   \
  C10_HOST_DEVICE T NAME(const c10::complex<T>& z) { return GWC_COMPLEX::NAME(static_cast<GWC_COMPLEX::complex<T>>(z)); }
#define GWC_FUNCTION(NAME)                                            \
  template <class T>                                                  \
  C10_HOST_DEVICE c10::complex<T> NAME(const c10::complex<T>& z) {    \
    return static_cast<c10::complex<T>>(GWC_COMPLEX::NAME(static_cast<GWC_COMPLEX::complex<T>>(z))); \
  }
GWC_PART(abs)
GWC_PART(arg)
GWC_FUNCTION(exp)
GWC_FUNCTION(log)
GWC_FUNCTION(sqrt)
GWC_FUNCTION(sin)
GWC_FUNCTION(cos)
GWC_FUNCTION(tan)
GWC_FUNCTION(sinh)
GWC_FUNCTION(cosh)
GWC_FUNCTION(tanh)
#undef GWC_FUNCTION
#undef GWC_PART
#undef GWC_COMPLEX
}  // namespace std
