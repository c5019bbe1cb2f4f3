// Element types: their names and kinds, and TypeMeta, which `tensor.dtype()` gives.
#pragma once
#include <gpuwheel_compat/array_ref.h>

namespace gpuwheel_compat {
using c10::CppTypeToScalarType;
using c10::kCPU;
using c10::kCUDA;
using c10::kHIP;
using c10::kHPU;
using c10::kIPU;
using c10::kLazy;
using c10::kMeta;
using c10::kMPS;
using c10::kMTIA;
using c10::kPrivateUse1;
using c10::kVulkan;
using c10::kXLA;
using c10::kXPU;
using c10::kStrided;
using c10::kSparse;
using c10::kSparseCsr;
using c10::kSparseCsc;
using c10::kSparseBsr;
using c10::kSparseBsc;
using c10::kMkldnn;
using c10::kJagged;
using c10::Float8_e4m3fn;
using c10::Float8_e4m3fnuz;
using c10::Float8_e5m2;
using c10::Float8_e5m2fnuz;
using c10::Float8_e8m0fnu;
using Dtype = ScalarType;

#define GWC_CONSTANT(_, NAME) constexpr ScalarType k##NAME = ScalarType::NAME;
AT_FORALL_SCALAR_TYPES_WITH_COMPLEX_AND_QINTS(GWC_CONSTANT)
#undef GWC_CONSTANT
constexpr ScalarType kUInt8 = kByte, kInt8 = kChar, kInt16 = kShort, kInt32 = kInt, kInt64 = kLong, kFloat16 = kHalf, kFloat32 = kFloat,
                     kFloat64 = kDouble, kComplex32 = kComplexHalf, kComplex64 = kComplexFloat, kComplex128 = kComplexDouble,
                     kU8 = kByte, kI8 = kChar, kI16 = kShort, kI32 = kInt, kI64 = kLong, kF16 = kHalf, kF32 = kFloat, kF64 = kDouble;

inline bool isIntegralType(ScalarType t, bool with_bool) {
  switch (t) {
    case kByte: case kChar: case kShort: case kInt: case kLong: case kUInt16: case kUInt32: case kUInt64: return true;
    case kBool: return with_bool;
    default: return false;
  }
}
inline bool isFloat8Type(ScalarType t) {
  return t == kFloat8_e5m2 || t == kFloat8_e5m2fnuz || t == kFloat8_e4m3fn || t == kFloat8_e4m3fnuz || t == kFloat8_e8m0fnu;
}
inline bool isReducedFloatingType(ScalarType t) { return t == kHalf || t == kBFloat16 || isFloat8Type(t) || t == kFloat4_e2m1fn_x2; }
inline bool isFloatingType(ScalarType t) { return t == kDouble || t == kFloat || isReducedFloatingType(t); }
inline bool isComplexType(ScalarType t) { return t == kComplexHalf || t == kComplexFloat || t == kComplexDouble || t == kBComplex32; }
using c10::isQIntType;
inline bool isBitsType(ScalarType t) { return t == kBits1x8 || t == kBits2x4 || t == kBits4x2 || t == kBits8 || t == kBits16; }
inline bool isSignedType(ScalarType t) {
  TORCH_CHECK(!isQIntType(t), "isSignedType not supported for quantized types");
  if (isFloatingType(t)) return t != kFloat8_e8m0fnu;
  return isComplexType(t) || t == kChar || t == kShort || t == kInt || t == kLong;
}
inline ScalarType toRealValueType(ScalarType t) {
  switch (t) {
    case kComplexHalf: return kHalf;
    case kComplexFloat: return kFloat;
    case kComplexDouble: return kDouble;
    case kBComplex32: return kBFloat16;
    default: return t;
  }
}
inline ScalarType toComplexType(ScalarType t) {
  switch (t) {
    case kBFloat16: return kComplexFloat;
    case kHalf: case kComplexHalf: return kComplexHalf;
    case kFloat: case kComplexFloat: return kComplexFloat;
    case kDouble: case kComplexDouble: return kComplexDouble;
    default: TORCH_CHECK(false, "Unknown Complex ScalarType for ", toString(t));
  }
}
inline ScalarType toOpMathType(ScalarType t) {
  switch (t) {
    case kHalf: case kBFloat16: case kFloat8_e5m2: case kFloat8_e4m3fn: case kFloat8_e5m2fnuz: case kFloat8_e4m3fnuz: case kFloat8_e8m0fnu: return kFloat;
    case kComplexHalf: return kComplexFloat;
    default: return t;
  }
}
inline size_t elementSize(ScalarType t) {
  switch (t) {
#define GWC_SIZE(T, NAME) \
  case ScalarType::NAME: return sizeof(T);
    AT_FORALL_SCALAR_TYPES_WITH_COMPLEX_AND_QINTS(GWC_SIZE)
#undef GWC_SIZE
    default: TORCH_CHECK(false, "Unknown ScalarType");
  }
}

// torch's numbers of element types are asked of it once: the ABI does not fix them.
inline const std::array<int32_t, c10::NumScalarTypes>& dtype_numbers() {
  static const auto numbers = [] {
    std::array<int32_t, c10::NumScalarTypes> n{};
    for (size_t i = 0; i < n.size(); ++i) n[i] = static_cast<int32_t>(i);
    const std::pair<ScalarType, int32_t> known[] = {
        {kByte, aoti_torch_dtype_uint8()}, {kChar, aoti_torch_dtype_int8()}, {kShort, aoti_torch_dtype_int16()},
        {kInt, aoti_torch_dtype_int32()}, {kLong, aoti_torch_dtype_int64()}, {kHalf, aoti_torch_dtype_float16()},
        {kFloat, aoti_torch_dtype_float32()}, {kDouble, aoti_torch_dtype_float64()}, {kComplexHalf, aoti_torch_dtype_complex32()},
        {kComplexFloat, aoti_torch_dtype_complex64()}, {kComplexDouble, aoti_torch_dtype_complex128()}, {kBool, aoti_torch_dtype_bool()},
        {kBFloat16, aoti_torch_dtype_bfloat16()}, {kUInt16, aoti_torch_dtype_uint16()}, {kUInt32, aoti_torch_dtype_uint32()},
        {kUInt64, aoti_torch_dtype_uint64()}, {kFloat8_e5m2, aoti_torch_dtype_float8_e5m2()}, {kFloat8_e4m3fn, aoti_torch_dtype_float8_e4m3fn()},
        {kFloat8_e5m2fnuz, aoti_torch_dtype_float8_e5m2fnuz()}, {kFloat8_e4m3fnuz, aoti_torch_dtype_float8_e4m3fnuz()}};
    for (const auto& [type, number] : known) n[static_cast<size_t>(type)] = number;
    return n;
  }();
  return numbers;
}
inline int32_t dtype_number(ScalarType t) { return dtype_numbers()[static_cast<size_t>(t)]; }
inline ScalarType dtype_of_number(int32_t number) {
  const auto& numbers = dtype_numbers();
  if (C10_LIKELY(number >= 0 && static_cast<size_t>(number) < numbers.size() && numbers[static_cast<size_t>(number)] == number))
    return static_cast<ScalarType>(number);
  for (size_t i = 0; i < numbers.size(); ++i)
    if (numbers[i] == number) return static_cast<ScalarType>(i);
  TORCH_CHECK(false, "torch's dtype number ", number, " is younger than these headers");
}

// What `tensor.dtype()` and `options.dtype()` give: an element type that knows its C++ type's name and size.
class TypeMeta final {
  ScalarType type_ = ScalarType::Undefined;

 public:
  constexpr TypeMeta() = default;
  explicit constexpr TypeMeta(ScalarType t) : type_(t) {}
  template <class T>
  static constexpr TypeMeta Make() { return TypeMeta(CppTypeToScalarType<T>::value); }
  static constexpr TypeMeta fromScalarType(ScalarType t) { return TypeMeta(t); }
  constexpr ScalarType toScalarType() const { return type_; }
  constexpr bool isScalarType() const { return type_ != ScalarType::Undefined; }
  constexpr bool isScalarType(ScalarType t) const { return type_ == t; }
  template <class T>
  constexpr bool Match() const { return *this == Make<T>(); }
  size_t itemsize() const { return type_ == ScalarType::Undefined ? 0 : elementSize(type_); }
  // The name of the C++ type, as the compiler has it.
  string_view name() const {
    switch (type_) {
      case kByte: return "unsigned char";
      case kChar: return "signed char";
      case kShort: return "short int";
      case kLong: return "long int";
      case kUInt16: return "short unsigned int";
      case kUInt32: return "unsigned int";
      case kUInt64: return "long unsigned int";
      default: break;
    }
    switch (type_) {
#define GWC_NAME(T, NAME) \
  case ScalarType::NAME: return #T;
      AT_FORALL_SCALAR_TYPES_WITH_COMPLEX_AND_QINTS(GWC_NAME)
#undef GWC_NAME
      default: return "nullptr (uninitialized)";
    }
  }
  friend constexpr bool operator==(TypeMeta a, TypeMeta b) { return a.type_ == b.type_; }
  friend constexpr bool operator!=(TypeMeta a, TypeMeta b) { return a.type_ != b.type_; }
  friend constexpr bool operator==(TypeMeta a, ScalarType b) { return a.type_ == b; }
  friend constexpr bool operator==(ScalarType a, TypeMeta b) { return a == b.type_; }
  friend constexpr bool operator!=(TypeMeta a, ScalarType b) { return a.type_ != b; }
  friend constexpr bool operator!=(ScalarType a, TypeMeta b) { return a != b.type_; }
  friend std::ostream& operator<<(std::ostream& s, TypeMeta t) { return s << t.name(); }
};
inline ScalarType typeMetaToScalarType(TypeMeta t) { return t.toScalarType(); }
inline optional<ScalarType> optTypeMetaToScalarType(optional<TypeMeta> t) {
  return t ? optional<ScalarType>(t->toScalarType()) : nullopt;
}
inline TypeMeta scalarTypeToTypeMeta(ScalarType t) { return TypeMeta(t); }
}  // namespace gpuwheel_compat
