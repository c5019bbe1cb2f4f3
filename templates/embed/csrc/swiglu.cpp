#include "swiglu.h"

#include "host.h"

namespace {

constexpr int64_t kThreads = 256;

void check(const char* op, std::initializer_list<gpuwheel::Argument> arguments) {
  gpuwheel::check_same_device(op, arguments);
  gpuwheel::check_same_dtype(op, arguments);
  gpuwheel::check_same_shape(op, arguments);
}

gpuwheel::LaunchConfig one_thread_each(int64_t vectors, const Tensor& x) {
  return {ceil_div(vectors, kThreads), kThreads, gpuwheel::current_stream(x)};
}

}  // namespace

Tensor swiglu(const Tensor& gate_, const Tensor& up_) {
  constexpr const char* op = "swiglu";
  check(op, {{"gate", gate_}, {"up", up_}});
  const Tensor gate = gpuwheel::contiguous(gate_), up = gpuwheel::contiguous(up_);
  Tensor y = torch::stable::empty_like(gate);
  const int64_t count = gate.numel();
  const auto cuda = [&](auto zero) {
    using T = decltype(zero);
    const auto launch = [&](auto n) {
      kernels::swiglu<T, n>.launch(one_thread_each(count / n, gate), out<T>(y), in<T>(gate), in<T>(up), count / n);
    };
    with_vectors<T>(count, launch, y, gate, up);
  };
  const auto cpu = [&](auto zero) {
    using T = decltype(zero);
    using A = gpuwheel::accumulate_t<T>;
    parallel(count, 1, [ys = out<T>(y), gates = in<T>(gate), ups = in<T>(up)](int64_t i) {
      ys[i] = static_cast<T>(SwiGlu<A>::forward(static_cast<A>(gates[i]), static_cast<A>(ups[i])));
    });
  };
  dispatch(op, gate, cuda, cpu);
  return y;
}

std::tuple<Tensor, Tensor> swiglu_backward(const Tensor& grad_, const Tensor& gate_, const Tensor& up_) {
  constexpr const char* op = "swiglu_backward";
  check(op, {{"gate", gate_}, {"up", up_}, {"grad", grad_}});
  const Tensor grad = gpuwheel::contiguous(grad_), gate = gpuwheel::contiguous(gate_), up = gpuwheel::contiguous(up_);
  Tensor grad_gate = torch::stable::empty_like(gate), grad_up = torch::stable::empty_like(up);
  const int64_t count = gate.numel();
  const auto cuda = [&](auto zero) {
    using T = decltype(zero);
    const auto launch = [&](auto n) {
      kernels::swiglu_backward<T, n>.launch(one_thread_each(count / n, gate), out<T>(grad_gate), out<T>(grad_up),
                                            in<T>(grad), in<T>(gate), in<T>(up), count / n);
    };
    with_vectors<T>(count, launch, grad_gate, grad_up, grad, gate, up);
  };
  const auto cpu = [&](auto zero) {
    using T = decltype(zero);
    using Op = SwiGlu<gpuwheel::accumulate_t<T>>;
    const T *grads = in<T>(grad), *gates = in<T>(gate), *ups = in<T>(up);
    parallel(count, 1, [&, grad_gates = out<T>(grad_gate), grad_ups = out<T>(grad_up)](int64_t i) {
      const gpuwheel::accumulate_t<T> g = grads[i], a = gates[i], b = ups[i];
      grad_gates[i] = static_cast<T>(Op::gate_gradient(g, a, b));
      grad_ups[i] = static_cast<T>(Op::up_gradient(g, a));
    });
  };
  dispatch(op, gate, cuda, cpu);
  return {grad_gate, grad_up};
}
