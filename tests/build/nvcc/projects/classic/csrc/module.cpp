// An existing extension, as PyTorch's tutorials wrote them for years.
#include <torch/extension.h>

void launch_scale(float* out, const float* x, long long n, float factor);

at::Tensor scale(const at::Tensor& x, double factor) {
  TORCH_CHECK(x.scalar_type() == at::kFloat, "x must be float");
  if (x.is_cpu()) return x * factor;
  at::Tensor out = at::empty_like(x);
  launch_scale(out.data_ptr<float>(), x.data_ptr<float>(), x.numel(), static_cast<float>(factor));
  return out;
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("scale", &scale, "x * factor"); }
