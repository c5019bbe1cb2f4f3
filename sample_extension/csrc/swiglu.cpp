#include "swiglu.h"

#include <gpuwheel/torch.h>

#include <tuple>

#include "cpu.h"
#include "fused.kernels.h"
#include "launches.h"

namespace gpuwheel_sample {
namespace {

using gpuwheel::Tensor;
using torch::stable::empty_like;

constexpr const char* kName = "swiglu";
constexpr const char* kBackward = "swiglu_backward";

void check(const char* name, const Tensor& gate, const Tensor& up) {
  gpuwheel::check_same_device(name, {{"gate", gate}, {"up", up}});
  gpuwheel::check_same_dtype(name, {{"gate", gate}, {"up", up}});
  gpuwheel::check_same_shape(name, {{"gate", gate}, {"up", up}});
}

void check_backward(const Tensor& grad, const Tensor& gate, const Tensor& up) {
  check(kBackward, gate, up);
  gpuwheel::check_same_device(kBackward, {{"gate", gate}, {"grad", grad}});
  gpuwheel::check_same_dtype(kBackward, {{"gate", gate}, {"grad", grad}});
  gpuwheel::check_same_shape(kBackward, {{"gate", gate}, {"grad", grad}});
}

Tensor swiglu_cuda(const Tensor& gate_, const Tensor& up_) {
  check(kName, gate_, up_);
  const gpuwheel::DeviceGuard guard(gate_);
  const Tensor gate = gpuwheel::contiguous(gate_), up = gpuwheel::contiguous(up_);
  Tensor y = empty_like(gate);
  gpuwheel::dispatch<gpuwheel::Floats>(kName, gate, [&](auto zero) {
    using T = decltype(zero);
    launch_flat<T>(kernels::swiglu<T, 16 / sizeof(T)>, kernels::swiglu<T, 1>, std::tie(y), gate, up);
  });
  return y;
}

Tensor swiglu_cpu(const Tensor& gate_, const Tensor& up_) {
  check(kName, gate_, up_);
  const Tensor gate = gpuwheel::contiguous(gate_), up = gpuwheel::contiguous(up_);
  Tensor y = empty_like(gate);
  gpuwheel::dispatch<gpuwheel::FloatsAndDouble>(kName, gate, [&](auto zero) {
    using T = decltype(zero);
    using A = accumulate_t<T>;
    const T *gates = gate.const_data_ptr<T>(), *ups = up.const_data_ptr<T>();
    T* ys = y.mutable_data_ptr<T>();
    cpu::for_elements(gate.numel(), [&](int64_t i) {
      ys[i] = static_cast<T>(SwiGlu<A>::forward(static_cast<A>(gates[i]), static_cast<A>(ups[i])));
    });
  });
  return y;
}

std::tuple<Tensor, Tensor> swiglu_backward_cuda(const Tensor& grad_, const Tensor& gate_, const Tensor& up_) {
  check_backward(grad_, gate_, up_);
  const gpuwheel::DeviceGuard guard(gate_);
  const Tensor grad = gpuwheel::contiguous(grad_), gate = gpuwheel::contiguous(gate_), up = gpuwheel::contiguous(up_);
  Tensor grad_gate = empty_like(gate), grad_up = empty_like(up);
  gpuwheel::dispatch<gpuwheel::Floats>(kBackward, gate, [&](auto zero) {
    using T = decltype(zero);
    launch_flat<T>(kernels::swiglu_backward<T, 16 / sizeof(T)>, kernels::swiglu_backward<T, 1>, std::tie(grad_gate, grad_up), grad, gate, up);
  });
  return {grad_gate, grad_up};
}

std::tuple<Tensor, Tensor> swiglu_backward_cpu(const Tensor& grad_, const Tensor& gate_, const Tensor& up_) {
  check_backward(grad_, gate_, up_);
  const Tensor grad = gpuwheel::contiguous(grad_), gate = gpuwheel::contiguous(gate_), up = gpuwheel::contiguous(up_);
  Tensor grad_gate = empty_like(gate), grad_up = empty_like(up);
  gpuwheel::dispatch<gpuwheel::FloatsAndDouble>(kBackward, gate, [&](auto zero) {
    using T = decltype(zero);
    using A = accumulate_t<T>;
    const T *grads = grad.const_data_ptr<T>(), *gates = gate.const_data_ptr<T>(), *ups = up.const_data_ptr<T>();
    T *grad_gates = grad_gate.mutable_data_ptr<T>(), *grad_ups = grad_up.mutable_data_ptr<T>();
    cpu::for_elements(gate.numel(), [&](int64_t i) {
      const A g = static_cast<A>(grads[i]), gate_value = static_cast<A>(gates[i]);
      grad_gates[i] = static_cast<T>(SwiGlu<A>::gate_gradient(g, gate_value, static_cast<A>(ups[i])));
      grad_ups[i] = static_cast<T>(SwiGlu<A>::up_gradient(g, gate_value));
    });
  });
  return {grad_gate, grad_up};
}

}  // namespace
}  // namespace gpuwheel_sample

STABLE_TORCH_LIBRARY_FRAGMENT(gpuwheel_sample, m) {
  m.def("swiglu(Tensor gate, Tensor up) -> Tensor");
  m.def("swiglu_backward(Tensor grad, Tensor gate, Tensor up) -> (Tensor grad_gate, Tensor grad_up)");
}
STABLE_TORCH_LIBRARY_IMPL(gpuwheel_sample, CPU, m) {
  m.impl("swiglu", TORCH_BOX(&gpuwheel_sample::swiglu_cpu));
  m.impl("swiglu_backward", TORCH_BOX(&gpuwheel_sample::swiglu_backward_cpu));
}
STABLE_TORCH_LIBRARY_IMPL(gpuwheel_sample, CUDA, m) {
  m.impl("swiglu", TORCH_BOX(&gpuwheel_sample::swiglu_cuda));
  m.impl("swiglu_backward", TORCH_BOX(&gpuwheel_sample::swiglu_backward_cuda));
}
