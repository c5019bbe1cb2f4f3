// What Python is given: each operator looks at where its tensors are.
#pragma once
#include <ATen/core/Tensor.h>

namespace matrix_ops {

at::Tensor axpby(const at::Tensor& x, const at::Tensor& y, double a, double b);
at::Tensor gather_rows(const at::Tensor& x, const at::Tensor& rows);
at::Tensor gelu(const at::Tensor& x);
at::Tensor histogram(const at::Tensor& x, std::int64_t bins, double low, double high);
at::Tensor rms_norm(const at::Tensor& x, double epsilon);
at::Tensor rotate_pairs(const at::Tensor& x, double angle);
at::Tensor row_max(const at::Tensor& x);
at::Tensor row_scan(const at::Tensor& x);

}  // namespace matrix_ops
