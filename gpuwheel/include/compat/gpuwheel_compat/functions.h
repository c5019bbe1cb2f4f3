// Functions: those of ATen, which are generated, and those that no schema describes.
#pragma once
#include <gpuwheel_compat/aten.h>

#include <gpuwheel_compat/arguments.h>
#include <gpuwheel_compat/context.h>
#include <gpuwheel_compat/factories.h>
#include <gpuwheel_compat/index.h>
#include <gpuwheel_compat/nn.h>
#include <gpuwheel_compat/opmath.h>
#include <gpuwheel_compat/print.h>

namespace gpuwheel_compat {
class RegisterOperators {  // old registration: schema from the C++ signature
 public:
  template <class F>
  RegisterOperators&& op(const std::string& name, F f) && { reg(name, f); return std::move(*this); }
  template <class F>
  RegisterOperators& op(const std::string& name, F f) & { reg(name, f); return *this; }
  template <class F>
  RegisterOperators(const std::string& name, F f) { reg(name, f); }
  RegisterOperators() = default;

 private:
  template <class F>
  static void reg(const std::string& name, F f);
};
}  // namespace gpuwheel_compat
