// Numbers as arguments. A Scalar cannot cross torch's stable C ABI; a tensor without dimensions can.
#pragma once
#include <gpuwheel_compat/boxed.h>

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

// Python makes the operator when it is first called: `gpuwheel_compat::define`, which the generated module registers.
inline std::string with_numbers(const char* op, const char* overload) {
  static std::mutex guard;
  static std::unordered_set<std::string> made;
  const char* base = std::strstr(op, "::") + 2;
  auto name = str(base, ".", overload);
  const std::lock_guard<std::mutex> lock(guard);
  if (!made.count(name)) {
    StableIValue stack[1];
    dispatch("gpuwheel_compat::define", "", {name}, stack);
    made.insert(std::move(name));
  }
  return str("gpuwheel_compat::", base);
}
}  // namespace gpuwheel_compat
