// The one source that Python is in: what makes a wheel for each Python.
#include <torch/extension.h>

#include "operators.h"

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("axpby", &matrix_ops::axpby, "a * x + b * y");
  m.def("gather_rows", &matrix_ops::gather_rows, "x[rows]");
  m.def("gelu", &matrix_ops::gelu, "x * Phi(x)");
  m.def("histogram", &matrix_ops::histogram, "how many of x lie in each of some bins");
  m.def("rms_norm", &matrix_ops::rms_norm, "x / sqrt(mean(x * x) + epsilon), by row");
  m.def("rotate_pairs", &matrix_ops::rotate_pairs, "each pair of x turned by an angle");
  m.def("row_max", &matrix_ops::row_max, "the largest of each row");
  m.def("row_scan", &matrix_ops::row_scan, "sums of each row up to each column");
}
