// How extensions in the wild write things: no semicolon behind a check, Python.h for its own sake, tensors by value.
#include <Python.h>

#include <ATen/cuda/detail/IndexUtils.cuh>
#include <ATen/cuda/detail/KernelUtils.h>
#include <ATen/cuda/detail/TensorInfo.cuh>
#include <torch/csrc/utils/tensor_flatten.h>
#include <c10/util/Logging.h>
#include <torch/extension.h>

#ifdef _WIN32
PyMODINIT_FUNC PyInit_public_idioms(void) { return NULL; }
#endif

#define CHECK_SIZE(x, ...) TORCH_CHECK(x.sizes() == torch::IntArrayRef({__VA_ARGS__}), #x " must have size (" #__VA_ARGS__ ")")

int64_t checks(const at::Tensor& x, int64_t n) {
  TORCH_CHECK(x.dim() == 2)
  CHECK_SIZE(x, n, 2)
  AT_ASSERT(n < 5, "n is ", n);
  AT_ASSERTM(n != 4, "n is four");
  if (n > 2)
    TORCH_CHECK(x.is_contiguous(), "not contiguous")
  if (n == 1) AT_ERROR("n is one");
  Py_BEGIN_ALLOW_THREADS
  n += 1;
  Py_END_ALLOW_THREADS
  return n;
}

at::Tensor flatten(std::vector<at::Tensor> tensors) { return torch::utils::flatten_dense_tensors(tensors); }
std::vector<at::Tensor> unflatten(at::Tensor flat, std::vector<at::Tensor> tensors) {
  return torch::utils::unflatten_dense_tensors(flat, tensors);
}

// The elements of `x`, in order, read as a kernel reads them; dimensions joined where they can be.
template <int Dims>
std::vector<double> gather(at::Tensor x, bool collapse, int64_t excluded) {
  auto info = at::cuda::detail::getTensorInfo<double, int>(x);
  if (collapse) info.collapseDims(static_cast<int>(excluded));
  std::vector<double> out;
  for (int i = 0; i < x.numel(); ++i) out.push_back(info.data[at::cuda::detail::IndexToOffset<double, int, Dims>::get(i, info)]);
  out.push_back(info.dims);
  return out;
}

// (z, conjugate, norm, size, angle, exponential) of torch's complex type.
std::vector<double> parts(double re, double im) {
  const c10::complex<double> z(re, im), c = std::conj(z), e = std::exp(z);
  return {std::real(z), std::imag(z), c.real(), c.imag(), std::norm(z), std::abs(z), std::arg(z), e.real(), e.imag()};
}

// Optionals of what is const, by value and by reference.
std::optional<at::Tensor> sum_of(std::optional<const at::Tensor>& a, const std::optional<const at::Tensor>& b, std::optional<const double> by,
                                 const std::optional<const at::ScalarType> as) {
  if (!a.has_value()) return std::nullopt;
  at::Tensor out = a.value() + (b.has_value() ? *b : at::zeros_like(a.value()));
  if (by) out = out * *by;
  return as ? out.to(*as) : out;
}
TORCH_LIBRARY(public_idioms, m) {
  m.def("sum_of(Tensor? a, Tensor? b=None, float? by=None, ScalarType? as_dtype=None) -> Tensor?", &sum_of);
}

void logs(int64_t level) {
  FLAGS_caffe2_log_level = static_cast<int>(level);
  LOG(INFO) << "an info " << 1;
  LOG(WARNING) << "a warning " << 2;
  if (level == 1)
    LOG_IF(ERROR, level > 0) << "an error";
  else
    LOG_IF(ERROR, level > 5) << "not said";
  VLOG(1) << "verbose";
  CHECK(level < 9) << "not said";
  DLOG(INFO) << "debug";
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("logs", &logs);
  m.def("equal", [](int64_t a, int64_t b) { TORCH_CHECK_EQ(a, b) << "so " << a; });
  m.def("sum_of", &sum_of, py::arg("a"), py::arg("b") = py::none(), py::arg("by") = py::none(), py::arg("dtype") = py::none());
  m.def("checks", &checks);
  m.def("flatten", &flatten);
  m.def("any_requires_grad", [](torch::autograd::variable_list all) { return torch::autograd::any_variable_requires_grad(all); });
  m.def("unflatten", &unflatten);
  m.def("gather", &gather<-1>, py::arg("x"), py::arg("collapse") = false, py::arg("excluded") = -1);
  m.def("gather_contiguous", &gather<-2>);
  m.def("narrow", [](at::Tensor x, int64_t max) { return at::cuda::detail::canUse32BitIndexMath(x, max); });
  m.def("overlaps", [](at::Tensor x) { return at::cuda::detail::maybeOverlappingIndices(x); });
  m.def("parts", &parts);
  m.def("blocks", [](int64_t n) { return at::cuda::detail::GET_BLOCKS(n); });
}
