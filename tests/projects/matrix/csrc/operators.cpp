#include "operators.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include "device/launch.h"
#include "ops/ops.h"
#include "reference.h"

namespace matrix_ops {
namespace {
bool on_gpu(const at::Tensor& x) {
  TORCH_CHECK(x.scalar_type() == at::kFloat, "x must be float");
  TORCH_CHECK(x.is_contiguous(), "x must be contiguous");
  return x.is_cuda();
}

bool matrix_on_gpu(const at::Tensor& x) {
  TORCH_CHECK(x.dim() == 2 && x.numel() > 0, "x must have rows and columns");
  return on_gpu(x);
}
}  // namespace

at::Tensor axpby(const at::Tensor& x, const at::Tensor& y, double a, double b) {
  TORCH_CHECK(x.sizes() == y.sizes(), "x and y must be of one shape");
  if (!on_gpu(x) || !on_gpu(y)) return axpby_cpu(x, y, a, b);
  at::Tensor out = at::empty_like(x);
  launch_axpby(out.data_ptr<float>(), x.data_ptr<float>(), y.data_ptr<float>(), x.numel(), static_cast<float>(a),
               static_cast<float>(b));
  return out;
}

at::Tensor gelu(const at::Tensor& x) {
  if (!on_gpu(x)) return gelu_cpu(x);
  at::Tensor out = at::empty_like(x);
  launch_gelu(out.data_ptr<float>(), x.data_ptr<float>(), x.numel());
  return out;
}

at::Tensor histogram(const at::Tensor& x, std::int64_t bins, double low, double high) {
  TORCH_CHECK(bins > 0 && low < high, "bins must be positive, and low below high");
  if (!on_gpu(x)) return histogram_cpu(x, bins, low, high);
  at::Tensor out = at::zeros({bins}, x.options().dtype(at::kLong));
  launch_histogram(out.data_ptr<std::int64_t>(), x.data_ptr<float>(), x.numel(), static_cast<int>(bins),
                   static_cast<float>(low), static_cast<float>(high));
  return out;
}

at::Tensor row_max(const at::Tensor& x) {
  if (!matrix_on_gpu(x)) return row_max_cpu(x);
  at::Tensor out = at::empty({x.size(0)}, x.options());
  launch_row_max(out.data_ptr<float>(), x.data_ptr<float>(), x.size(0), x.size(1));
  return out;
}

at::Tensor gather_rows(const at::Tensor& x, const at::Tensor& rows) {
  return matrix_on_gpu(x) ? gather_rows_cuda(x, rows) : gather_rows_cpu(x, rows);
}

at::Tensor rms_norm(const at::Tensor& x, double epsilon) {
  return matrix_on_gpu(x) ? rms_norm_cuda(x, epsilon) : rms_norm_cpu(x, epsilon);
}

at::Tensor rotate_pairs(const at::Tensor& x, double angle) {
  TORCH_CHECK(x.numel() % 2 == 0, "x must have pairs");
  return on_gpu(x) ? rotate_pairs_cuda(x, angle) : rotate_pairs_cpu(x, angle);
}

at::Tensor row_scan(const at::Tensor& x) { return matrix_on_gpu(x) ? row_scan_cuda(x) : row_scan_cpu(x); }

}  // namespace matrix_ops
