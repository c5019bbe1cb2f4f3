// The same on the CPU, by torch's own operators.
#pragma once
#include <ATen/core/Tensor.h>

namespace matrix_ops {

at::Tensor axpby_cpu(const at::Tensor& x, const at::Tensor& y, double a, double b);
at::Tensor gather_rows_cpu(const at::Tensor& x, const at::Tensor& rows);
at::Tensor gelu_cpu(const at::Tensor& x);
at::Tensor histogram_cpu(const at::Tensor& x, std::int64_t bins, double low, double high);
at::Tensor rms_norm_cpu(const at::Tensor& x, double epsilon);
at::Tensor rotate_pairs_cpu(const at::Tensor& x, double angle);
at::Tensor row_max_cpu(const at::Tensor& x);
at::Tensor row_scan_cpu(const at::Tensor& x);

}  // namespace matrix_ops
