#include "bias_gelu.h"

#include "bias_operator.h"

namespace {

namespace kernels = gpuwheel_sample::kernels;

struct Op {
  static constexpr const char *kName = "bias_gelu", *kBackward = "bias_gelu_backward";
  template <typename A>
  using Function = gpuwheel_sample::BiasGelu<A>;
  template <typename T, int VEC>
  static auto& kernel() { return kernels::bias_gelu<T, VEC>; }
  template <typename T, int VEC>
  static auto& backward_kernel() { return kernels::bias_gelu_backward<T, VEC>; }
};
using Operator = gpuwheel_sample::BiasOperator<Op>;

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(gpuwheel_sample, m) {
  m.def("bias_gelu(Tensor x, Tensor bias) -> Tensor");
  m.def("bias_gelu_backward(Tensor grad, Tensor x, Tensor bias) -> (Tensor grad_x, Tensor grad_bias)");
}
STABLE_TORCH_LIBRARY_IMPL(gpuwheel_sample, CPU, m) {
  m.impl("bias_gelu", TORCH_BOX(&Operator::forward_cpu));
  m.impl("bias_gelu_backward", TORCH_BOX(&Operator::backward_cpu));
}
STABLE_TORCH_LIBRARY_IMPL(gpuwheel_sample, CUDA, m) {
  m.impl("bias_gelu", TORCH_BOX(&Operator::forward_cuda));
  m.impl("bias_gelu_backward", TORCH_BOX(&Operator::backward_cuda));
}
