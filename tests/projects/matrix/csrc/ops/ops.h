// Operators that know tensors. This header is how sources beside it come by torch's.
#pragma once
#include <ATen/core/Tensor.h>

namespace matrix_ops {

at::Tensor gather_rows_cuda(const at::Tensor& x, const at::Tensor& rows);
at::Tensor rms_norm_cuda(const at::Tensor& x, double epsilon);
at::Tensor rotate_pairs_cuda(const at::Tensor& x, double angle);
at::Tensor row_scan_cuda(const at::Tensor& x);

}  // namespace matrix_ops
