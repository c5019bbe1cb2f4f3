// A tensor as text.
#pragma once
#include <gpuwheel_compat/tensor_functions.h>

namespace gpuwheel_compat {
inline std::ostream& operator<<(std::ostream& s, const Tensor& t) { return s << call<std::string>("gpuwheel_compat::text", "", t); }
inline void Tensor::print() const {
  if (defined()) std::cerr << "[" << toString() << " " << sizes() << "]" << std::endl;
  else std::cerr << "[UndefinedTensor]" << std::endl;
}
}  // namespace gpuwheel_compat
