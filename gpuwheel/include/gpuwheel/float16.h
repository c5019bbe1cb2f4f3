// IEEE 754 binary16 and bfloat16 for hosts without torch's headers: storage and conversion to and from float, rounding
// to nearest even. Included by <gpuwheel/dtype.h>; use gpuwheel::half and gpuwheel::bfloat16.
#pragma once

#include <gpuwheel/namespace.h>

#include <cstdint>
#include <cstring>

GPUWHEEL_NAMESPACE_BEGIN
namespace float16 {

inline std::uint32_t bits_of(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float float_of(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

struct Half {
  std::uint16_t bits;

  Half() = default;
  Half(float value) : bits(round(value)) {}
  operator float() const {
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
    const std::uint32_t magnitude = bits & 0x7fffu;
    if (magnitude >= 0x7c00u) return float_of(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));  // infinity, NaN
    // Scaling by 2^112 moves the exponent from one bias to the other, and normalises subnormal numbers.
    const float scaled = float_of(magnitude << 13) * float_of(0x77800000u);
    return float_of(bits_of(scaled) | sign);
  }

 private:
  static std::uint16_t round(float value) {
    const std::uint32_t all = bits_of(value);
    const std::uint32_t sign = all >> 16 & 0x8000u;
    const std::uint32_t magnitude = all & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7e00u);   // NaN
    if (magnitude >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);  // 65520 and above: infinity
    if (magnitude < 0x38800000u) {  // subnormal: let the float adder round at 2^-24
      const std::uint32_t rounded = bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f);
      return static_cast<std::uint16_t>(sign | rounded);
    }
    const std::uint32_t odd = magnitude >> 13 & 1u;
    return static_cast<std::uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
  }
};

struct BFloat16 {
  std::uint16_t bits;

  BFloat16() = default;
  BFloat16(float value) : bits(round(value)) {}
  operator float() const { return float_of(static_cast<std::uint32_t>(bits) << 16); }

 private:
  static std::uint16_t round(float value) {
    const std::uint32_t all = bits_of(value);
    if ((all & 0x7fffffffu) > 0x7f800000u) return 0x7fc0u;  // NaN
    return static_cast<std::uint16_t>((all + 0x7fffu + (all >> 16 & 1u)) >> 16);
  }
};

}  // namespace float16
GPUWHEEL_NAMESPACE_END
