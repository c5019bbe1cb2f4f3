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
  const int64_t size = row_size(gate_), count = gate_.numel();
  const Rows gate(gate_, size), up(up_, size);
  Tensor y = torch::stable::new_empty(gate_, gate_.sizes());
  const auto cuda = [&](auto zero) {
    using T = decltype(zero);
    const auto launch = [&](auto n) {
      kernels::swiglu<T, n>.launch(one_thread_each(count / n, y), out<T>(y), in<T>(gate.tensor), in<T>(up.tensor),
                                   count / n, size / n, gate.stride / n, up.stride / n);
    };
    with_vectors<T>(size | gate.stride | up.stride, launch, y, gate.tensor, up.tensor);
  };
  const auto cpu = [&](auto zero) {
    using T = decltype(zero);
    using A = gpuwheel::accumulate_t<T>;
    T* const ys = out<T>(y);
    const T *gates = in<T>(gate.tensor), *ups = in<T>(up.tensor);
    parallel(count / size, size, [=, &gate, &up](int64_t row) {
      for (int64_t i = 0; i < size; ++i) {
        const A a = static_cast<A>(gates[row * gate.stride + i]), b = static_cast<A>(ups[row * up.stride + i]);
        ys[row * size + i] = static_cast<T>(SwiGlu<A>::forward(a, b));
      }
    });
  };
  dispatch(op, y, cuda, cpu);
  return y;
}

std::tuple<Tensor, Tensor> swiglu_backward(const Tensor& grad_, const Tensor& gate_, const Tensor& up_) {
  constexpr const char* op = "swiglu_backward";
  check(op, {{"gate", gate_}, {"up", up_}, {"grad", grad_}});
  const int64_t size = row_size(gate_), count = gate_.numel();
  const Rows grad(grad_, size), gate(gate_, size), up(up_, size);
  Tensor grad_gate = torch::stable::new_empty(gate_, gate_.sizes());
  Tensor grad_up = torch::stable::new_empty(up_, up_.sizes());
  const auto cuda = [&](auto zero) {
    using T = decltype(zero);
    const auto launch = [&](auto n) {
      kernels::swiglu_backward<T, n>.launch(one_thread_each(count / n, grad_gate), out<T>(grad_gate), out<T>(grad_up),
                                            in<T>(grad.tensor), in<T>(gate.tensor), in<T>(up.tensor), count / n,
                                            size / n, grad.stride / n, gate.stride / n, up.stride / n);
    };
    with_vectors<T>(size | grad.stride | gate.stride | up.stride, launch, grad_gate, grad_up, grad.tensor, gate.tensor,
                    up.tensor);
  };
  const auto cpu = [&](auto zero) {
    using T = decltype(zero);
    using A = gpuwheel::accumulate_t<T>;
    T *const grad_gates = out<T>(grad_gate), *const grad_ups = out<T>(grad_up);
    const T *grads = in<T>(grad.tensor), *gates = in<T>(gate.tensor), *ups = in<T>(up.tensor);
    parallel(count / size, size, [=, &grad, &gate, &up](int64_t row) {
      for (int64_t i = 0; i < size; ++i) {
        const A g = static_cast<A>(grads[row * grad.stride + i]), a = static_cast<A>(gates[row * gate.stride + i]);
        const A b = static_cast<A>(ups[row * up.stride + i]);
        grad_gates[row * size + i] = static_cast<T>(SwiGlu<A>::gate_gradient(g, a, b));
        grad_ups[row * size + i] = static_cast<T>(SwiGlu<A>::up_gradient(g, a));
      }
    });
  };
  dispatch(op, grad_gate, cuda, cpu);
  return {grad_gate, grad_up};
}
