// Operators with numbers. A Scalar cannot cross torch's stable C ABI. Where the operator takes a tensor in its place, a
// tensor without dimensions gives the same result, if its type is chosen well; elsewhere Python calls the operator.
//
// Types of results (https://docs.pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc): a number says its
// kind alone (bool, integer, floating point), and so does a tensor without dimensions beside one with dimensions. They
// differ where the tensor beside has no dimensions too, and where the number is of a higher kind than the tensor: then
// the number has the default type, the tensor its own.
#pragma once
#include <gpuwheel_compat/shims.h>

namespace gpuwheel_compat {
inline Tensor number_tensor(const Scalar& s) {
  AtenTensorHandle h;
  if (s.tag == Scalar::D) GWC_OK(aoti_torch_scalar_to_tensor_float64(s.d, &h));
  else if (s.tag == Scalar::Z) GWC_OK(aoti_torch_scalar_to_tensor_complex128(c10::complex<double>(s.d, s.im), &h));
  else if (s.tag == Scalar::U) GWC_OK(aoti_torch_scalar_to_tensor_uint64(static_cast<uint64_t>(s.i), &h));
  else if (s.tag == Scalar::B) GWC_OK(aoti_torch_scalar_to_tensor_bool(s.i != 0, &h));
  else GWC_OK(aoti_torch_scalar_to_tensor_int64(s.i, &h));
  return Tensor(h, Tensor::steal{});
}

// Python makes the operator when it is first called: `define`, which the generated module registers.
inline std::string with_numbers(const char* op, const char* overload) {
  static std::mutex guard;
  static std::unordered_set<std::string> made;
  auto name = str(std::strstr(op, "::") + 2, ".", overload);
  const std::lock_guard<std::mutex> lock(guard);
  if (!made.count(name)) {
    StableIValue stack[1];
    GWC_OK(dispatch(GWC_PYTHON "::define", "", {name}, stack));
    made.insert(std::move(name));
  }
  return by_python_name("", op, overload);
}

namespace scalars {
enum class Kind { Bool, Integer, Floating, Other };
inline Kind kind_of(ScalarType t) {
  switch (t) {
    case ScalarType::Bool: return Kind::Bool;
    case ScalarType::Byte: case ScalarType::Char: case ScalarType::Short: case ScalarType::Int: case ScalarType::Long:
      return Kind::Integer;
    case ScalarType::Half: case ScalarType::BFloat16: case ScalarType::Float: case ScalarType::Double: return Kind::Floating;
    default: return Kind::Other;  // complex, quantized, 8 bits: Python
  }
}
inline Kind kind_of(const Scalar& s) {
  return s.tag == Scalar::D ? Kind::Floating : s.tag == Scalar::B ? Kind::Bool : s.tag == Scalar::I ? Kind::Integer : Kind::Other;
}

// A tensor that means beside `self` what the number means, if there is one.
inline optional<Tensor> beside(const Tensor& self, const Scalar& number) {
  if (!shims::usual(self)) return nullopt;
  const auto type = self.scalar_type();
  const auto kind = kind_of(type), of_number = kind_of(number);
  if (kind == Kind::Other || of_number == Kind::Other) return nullopt;
  if (of_number == Kind::Floating && kind != Kind::Floating) return nullopt;  // it has the default type
  if (self.dim() > 0 || of_number == kind || kind == Kind::Bool) {
    // Without dimensions a floating point number must have the tensor's type; of a short type it would lose digits.
    if (self.dim() > 0 || of_number != Kind::Floating || type == ScalarType::Double) {
      if (self.dim() == 0 && of_number == Kind::Integer && type != ScalarType::Long && kind == Kind::Integer) return nullopt;
      return number_tensor(number);
    }
    if (type != ScalarType::Float) return nullopt;
    AtenTensorHandle h;
    GWC_OK(aoti_torch_scalar_to_tensor_float32(static_cast<float>(number.d), &h));
    return Tensor(h, Tensor::steal{});
  }
  return nullopt;
}
// The same where the operator refuses a number that the tensor's type cannot hold: a tensor's value would be cut.
inline optional<Tensor> beside_exact(const Tensor& self, const Scalar& number) {
  if (kind_of(number) == Kind::Integer && kind_of(self.scalar_type()) == Kind::Integer) {
    const auto bits = 8 * static_cast<int>(self.element_size()) - (self.scalar_type() == ScalarType::Byte ? 0 : 1);
    const bool fits = self.scalar_type() == ScalarType::Byte ? number.i >= 0 && number.i < 256
                      : bits >= 63 || (number.i >= -(int64_t{1} << bits) && number.i < int64_t{1} << bits);
    if (!fits) return nullopt;
  }
  if (kind_of(number) == Kind::Floating && std::isfinite(number.d) && self.scalar_type() != ScalarType::Double &&
      std::abs(number.d) > 60000)
    return nullopt;
  return beside(self, number);
}

// An operator `OP.Scalar` that is `OP.Tensor` of a number.
inline Tensor binary(const char* op, const Tensor& self, const Scalar& other) {
  if (const auto number = beside(self, other)) return invoke<Tensor>(op, "Tensor", {self, *number});
  return invoke<Tensor>(op, "Scalar", {self, other});
}
// Into itself torch rounds the number of some operators to a short type first, and of others not.
inline void binary_(const char* op, const Tensor& self, const Scalar& other) {
  const auto type = self.scalar_type();
  const bool is_short = type == ScalarType::Half || type == ScalarType::BFloat16;
  if (const auto number = is_short ? nullopt : beside(self, other)) return invoke_into(1, op, "Tensor", {self, *number});
  invoke_into(1, op, "Scalar", {self, other});
}
inline Tensor compare(const char* op, const Tensor& self, const Scalar& other) {
  if (const auto number = beside_exact(self, other)) return invoke<Tensor>(op, "Tensor", {self, *number});
  return invoke<Tensor>(op, "Scalar", {self, other});
}

// self - factor * other, where torch does it in floating point: the C function takes the factor as a double. Not for bool:
// torch refuses it.
inline bool is_factor(const Scalar& v) { return v.tag != Scalar::B && shims::fits_double(v); }
inline bool floating(const Tensor& t) { return shims::usual(t) && kind_of(t.scalar_type()) == Kind::Floating; }
inline Tensor minus(const Tensor& self, const Tensor& other, double factor) {
  AtenTensorHandle h;
  if (aoti_torch_aten_subtract_Tensor(self.handle(), other.handle(), factor, &h) == 0) return shims::own(h);
  return invoke<Tensor>("aten::sub", "Tensor", {self, other, Scalar(factor)});
}
inline optional<Tensor> minus(const Tensor& self, const Tensor& other, const Scalar& alpha, double sign) {
  if (!is_factor(alpha) || !floating(self) || !floating(other)) return nullopt;
  return minus(self, other, sign * shims::as_double(alpha));
}
inline optional<Tensor> minus(const Tensor& self, const Scalar& other, const Scalar& alpha, double sign) {
  if (!is_factor(alpha) || !is_factor(other) || !floating(self)) return nullopt;
  const auto number = beside(self, shims::as_double(other));
  return number ? minus(self, *number, alpha, sign) : nullopt;
}
inline Tensor add(const Tensor& self, const Tensor& other, const Scalar& alpha) {
  if (auto done = minus(self, other, alpha, -1)) return *std::move(done);
  return invoke<Tensor>("aten::add", "Tensor", {self, other, alpha});
}
inline Tensor sub(const Tensor& self, const Tensor& other, const Scalar& alpha) {
  if (auto done = minus(self, other, alpha, 1)) return *std::move(done);
  return invoke<Tensor>("aten::sub", "Tensor", {self, other, alpha});
}
inline Tensor add(const Tensor& self, const Scalar& other, const Scalar& alpha) {
  if (auto done = minus(self, other, alpha, -1)) return *std::move(done);
  return invoke<Tensor>("aten::add", "Scalar", {self, other, alpha});
}
inline Tensor sub(const Tensor& self, const Scalar& other, const Scalar& alpha) {
  if (auto done = minus(self, other, alpha, 1)) return *std::move(done);
  return invoke<Tensor>("aten::sub", "Scalar", {self, other, alpha});
}
inline Tensor rsub(const Tensor& self, const Scalar& other, const Scalar& alpha) {
  if (is_factor(alpha) && is_factor(other) && floating(self))
    if (const auto number = beside(self, shims::as_double(other))) return minus(*number, self, shims::as_double(alpha));
  return invoke<Tensor>("aten::rsub", "Scalar", {self, other, alpha});
}

// Into itself: the sum, then a copy of it. Not for large tensors, which the operator itself reads once, and not where
// memory may overlap, which the operator refuses.
inline bool apart(const Tensor& self, const Tensor& other) {
  constexpr int64_t most = int64_t{1} << 16;
  if (!floating(self) || !floating(other) || self.numel() > most || !self.is_contiguous() || !other.is_contiguous()) return false;
  if (self.scalar_type() != other.scalar_type() || !(other.dim() == 0 || self.sizes() == other.sizes())) return false;
  const void *of_self = nullptr, *of_other = nullptr;  // tensors of torch.func have no memory
  if (torch_get_const_data_ptr(self.handle(), &of_self) != 0 || torch_get_const_data_ptr(other.handle(), &of_other) != 0) return false;
  const auto *a = static_cast<const char*>(of_self), *b = static_cast<const char*>(of_other);
  const auto size = self.numel() * self.element_size(), size_of_other = other.numel() * other.element_size();
  return (a == b && size == size_of_other) || a + size <= b || b + size_of_other <= a;
}
inline void add_(const Tensor& self, const Tensor& other, const Scalar& alpha) {
  if (apart(self, other))
    if (const auto done = minus(self, other, alpha, -1)) return shims::copy_(self, *done, false);
  invoke_into(1, "aten::add_", "Tensor", {self, other, alpha});
}
inline void sub_(const Tensor& self, const Tensor& other, const Scalar& alpha) {
  if (apart(self, other))
    if (const auto done = minus(self, other, alpha, 1)) return shims::copy_(self, *done, false);
  invoke_into(1, "aten::sub_", "Tensor", {self, other, alpha});
}
inline void add_(const Tensor& self, const Scalar& other, const Scalar& alpha) {
  if (shims::usual(self) && apart(self, self))
    if (const auto done = minus(self, other, alpha, -1)) return shims::copy_(self, *done, false);
  invoke_into(1, "aten::add_", "Scalar", {self, other, alpha});
}
inline void sub_(const Tensor& self, const Scalar& other, const Scalar& alpha) {
  if (shims::usual(self) && apart(self, self))
    if (const auto done = minus(self, other, alpha, 1)) return shims::copy_(self, *done, false);
  invoke_into(1, "aten::sub_", "Scalar", {self, other, alpha});
}

// The number becomes the tensor's type in the operator; a tensor without dimensions may say it as well.
inline Tensor masked_fill(const Tensor& self, const Tensor& mask, const Scalar& value) {
  if (const auto number = beside_exact(self, value)) return invoke<Tensor>("aten::masked_fill", "Tensor", {self, mask, *number});
  return invoke<Tensor>("aten::masked_fill", "Scalar", {self, mask, value});
}
inline void masked_fill_(const Tensor& self, const Tensor& mask, const Scalar& value) {
  if (const auto number = beside_exact(self, value)) return invoke_into(1, "aten::masked_fill_", "Tensor", {self, mask, *number});
  invoke_into(1, "aten::masked_fill_", "Scalar", {self, mask, value});
}
}  // namespace scalars
}  // namespace gpuwheel_compat
