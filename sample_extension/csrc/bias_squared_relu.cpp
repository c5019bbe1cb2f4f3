#include "bias_squared_relu.h"

#include "bias_operator.h"

namespace {

namespace kernels = gpuwheel_sample::kernels;

struct Op {
  static constexpr const char *kName = "bias_squared_relu", *kBackward = "bias_squared_relu_backward";
  template <typename A>
  using Function = gpuwheel_sample::BiasSquaredRelu<A>;
  template <typename T, int VEC>
  static auto& kernel() { return kernels::bias_squared_relu<T, VEC>; }
  template <typename T, int VEC>
  static auto& backward_kernel() { return kernels::bias_squared_relu_backward<T, VEC>; }
};
using Operator = gpuwheel_sample::BiasOperator<Op>;

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gpuwheel_sample, m) {
  m.def("bias_squared_relu(Tensor x, Tensor bias) -> Tensor");
  m.def("bias_squared_relu_backward(Tensor grad, Tensor x, Tensor bias) -> (Tensor grad_x, Tensor grad_bias)");
}
STABLE_TORCH_LIBRARY_IMPL(gpuwheel_sample, CPU, m) {
  m.impl("bias_squared_relu", TORCH_BOX(&Operator::forward_cpu));
  m.impl("bias_squared_relu_backward", TORCH_BOX(&Operator::backward_cpu));
}
STABLE_TORCH_LIBRARY_IMPL(gpuwheel_sample, CUDA, m) {
  m.impl("bias_squared_relu", TORCH_BOX(&Operator::forward_cuda));
  m.impl("bias_squared_relu_backward", TORCH_BOX(&Operator::backward_cuda));
}
