#include "swiglu.h"

#include "host.h"

namespace {

constexpr int64_t kThreads = 256;

void check(const char* op, std::initializer_list<gpuwheel::Argument> arguments) {
  gpuwheel::check_same_device(op, arguments);
  gpuwheel::check_same_dtype(op, arguments);
  gpuwheel::check_same_shape(op, arguments);
}

}  // namespace

Tensor swiglu(const Tensor& gate_, const Tensor& up_) {
  check("swiglu", {{"gate", gate_}, {"up", up_}});
  const Tensor gate = gpuwheel::contiguous(gate_), up = gpuwheel::contiguous(up_);
  Tensor y = torch::stable::empty_like(gate);
  const auto cuda = [&](auto zero) {
    using T = decltype(zero);
    const auto launch = [&](auto n) {
      const int64_t vectors = gate.numel() / n;
      kernels::swiglu<T, n>.launch({ceil_div(vectors, kThreads), kThreads, gpuwheel::current_stream(gate)},
                                   y.mutable_data_ptr<T>(), gate.const_data_ptr<T>(), up.const_data_ptr<T>(), vectors);
    };
    with_vectors<T>(gate.numel(), launch, y, gate, up);
  };
  const auto cpu = [&](auto zero) {
    using T = decltype(zero);
    using A = gpuwheel::accumulate_t<T>;
    const T *gates = gate.const_data_ptr<T>(), *ups = up.const_data_ptr<T>();
    T* ys = y.mutable_data_ptr<T>();
    parallel(gate.numel(), 1, [&](int64_t i) {
      ys[i] = static_cast<T>(SwiGlu<A>::forward(static_cast<A>(gates[i]), static_cast<A>(ups[i])));
    });
  };
  dispatch("swiglu", gate, cuda, cpu);
  return y;
}

std::tuple<Tensor, Tensor> swiglu_backward(const Tensor& grad_, const Tensor& gate_, const Tensor& up_) {
  check("swiglu_backward", {{"gate", gate_}, {"up", up_}, {"grad", grad_}});
  const Tensor grad = gpuwheel::contiguous(grad_), gate = gpuwheel::contiguous(gate_), up = gpuwheel::contiguous(up_);
  Tensor grad_gate = torch::stable::empty_like(gate), grad_up = torch::stable::empty_like(up);
  const auto cuda = [&](auto zero) {
    using T = decltype(zero);
    const auto launch = [&](auto n) {
      const int64_t vectors = gate.numel() / n;
      kernels::swiglu_backward<T, n>.launch({ceil_div(vectors, kThreads), kThreads, gpuwheel::current_stream(gate)},
                                            grad_gate.mutable_data_ptr<T>(), grad_up.mutable_data_ptr<T>(), grad.const_data_ptr<T>(),
                                            gate.const_data_ptr<T>(), up.const_data_ptr<T>(), vectors);
    };
    with_vectors<T>(gate.numel(), launch, grad_gate, grad_up, grad, gate, up);
  };
  const auto cpu = [&](auto zero) {
    using T = decltype(zero);
    using A = gpuwheel::accumulate_t<T>;
    const T *grads = grad.const_data_ptr<T>(), *gates = gate.const_data_ptr<T>(), *ups = up.const_data_ptr<T>();
    T *grad_gates = grad_gate.mutable_data_ptr<T>(), *grad_ups = grad_up.mutable_data_ptr<T>();
    parallel(gate.numel(), 1, [&](int64_t i) {
      const A g = static_cast<A>(grads[i]), a = static_cast<A>(gates[i]);
      grad_gates[i] = static_cast<T>(SwiGlu<A>::gate_gradient(g, a, static_cast<A>(ups[i])));
      grad_ups[i] = static_cast<T>(SwiGlu<A>::up_gradient(g, a));
    });
  };
  dispatch("swiglu_backward", gate, cuda, cpu);
  return {grad_gate, grad_up};
}
