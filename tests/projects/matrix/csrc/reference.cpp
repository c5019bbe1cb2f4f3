#include "reference.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/amax.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/erf.h>
#include <ATen/ops/histc.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/stack.h>

#include <cmath>

namespace matrix_ops {

at::Tensor axpby_cpu(const at::Tensor& x, const at::Tensor& y, double a, double b) { return x * a + y * b; }

at::Tensor gather_rows_cpu(const at::Tensor& x, const at::Tensor& rows) { return at::index_select(x, 0, rows); }

at::Tensor gelu_cpu(const at::Tensor& x) { return x * 0.5 * (at::erf(x * std::sqrt(0.5)) + 1.0); }

at::Tensor histogram_cpu(const at::Tensor& x, std::int64_t bins, double low, double high) {
  return at::histc(x, bins, low, high).to(at::kLong);
}

at::Tensor rms_norm_cpu(const at::Tensor& x, double epsilon) {
  return x * at::rsqrt(at::mean(x * x, {1}, /*keepdim=*/true) + epsilon);
}

at::Tensor rotate_pairs_cpu(const at::Tensor& x, double angle) {
  const at::Tensor pairs = x.reshape({-1, 2});
  const at::Tensor first = pairs.select(1, 0), second = pairs.select(1, 1);
  const double sine = std::sin(angle), cosine = std::cos(angle);
  return at::stack({first * cosine - second * sine, first * sine + second * cosine}, 1).reshape(x.sizes());
}

at::Tensor row_max_cpu(const at::Tensor& x) { return at::amax(x, {1}); }

at::Tensor row_scan_cpu(const at::Tensor& x) { return at::cumsum(x, 1); }

}  // namespace matrix_ops
