// The forms in which ATen's headers declare one operator, and calls that fail in each way.
#include <torch/extension.h>

#include <string>
#include <vector>

using at::Tensor;

// In-place and out forms give back what they were given: the same object.
std::vector<bool> identities(Tensor x) {
  Tensor out = at::empty({0}, x.options()), values = at::empty({0}, x.options()), indices = at::empty({0}, x.options().dtype(at::kLong));
  Tensor& added = x.add_(1);
  Tensor& written = at::mul_out(out, x, x);
  Tensor& last = at::mul_outf(x, x, out);
  auto pair = at::max_out(values, indices, x, 1);
  const Tensor& constant = x;
  Tensor& filled = constant.fill_(2);
  return {&added == &x, &written == &out, &last == &out, &std::get<0>(pair) == &values, &std::get<1>(pair) == &indices, &filled == &x};
}

std::vector<Tensor> forms(Tensor x) {
  auto [values, indices] = x.max(1);
  const std::vector<c10::SymInt> size{x.numel()};
  c10::List<std::optional<Tensor>> at_rows;
  at_rows.push_back(at::tensor({0, 1, 0}));
  const auto image = x.reshape({1, 1, x.size(0), x.size(1)});
  const auto weight = at::ones({1, 1, 2, 2}, x.options());
  const auto grads = at::convolution_backward(at::conv2d(image, weight), image, weight, c10::nullopt, {1, 1}, {0, 0}, {1, 1}, false,
                                              {0, 0}, 1, {true, true, false});
  std::vector<Tensor> found{
      values, indices, x.view_symint(size), at::zeros({2, 2}, at::kInt, at::kStrided, at::Device(at::kCPU), false),
      at::zeros({2, 2}, at::kDouble), at::avg_pool2d(image, {2, 2}), at::avg_pool2d(image, {2, 2}, 1, 0, true), at::conv2d(image, weight),
      at::index(x, at_rows), at::sum(x), at::sum(x, 0), x.sum({0, 1}, true), at::cat({x, x}, 1), at::stack({x, x}), std::get<0>(grads),
      std::get<1>(grads), x.to(at::kHalf), x.to(at::kInt, false, true), at::full({2}, 3), at::full({2}, true), at::full({2}, 2.5),
      at::arange(5), at::arange(1, 2, 0.25), at::linspace(0, 1, 3), at::ones_like(x, at::kLong), x.clamp(0), x.clamp(c10::optional<at::Scalar>(), 1),
      at::where(x > 0, x, at::zeros_like(x)), x.norm(), std::get<0>(x.sort(0, true))};
  // Names that classes of c10 have too.
  found.push_back(at::complex(x, x).abs());
  found.push_back(torch::complex(x, x).abs());
  found.push_back(at::full({}, at::is_complex(x) || !torch::is_complex(at::complex(x, x))));
  found.push_back(std::get<2>(grads).defined() ? x : Tensor());
  return found;
}

// `torch::` honours requires_grad, `at::` passes over it.
std::vector<bool> gradients(Tensor x) {
  const auto options = x.options().requires_grad(true);
  return {torch::zeros({2}, options).requires_grad(), torch::empty({2}, options).requires_grad(), torch::ones_like(x, options).requires_grad(),
          torch::full({2}, 1.5, options).requires_grad(), torch::randn({2}, options).requires_grad(), at::zeros({2}, options).requires_grad(),
          torch::zeros({2}, x.options()).requires_grad(), torch::arange(3, options).requires_grad()};
}

Tensor fails(Tensor x, const std::string& how) {
  if (how == "view") return x.view({7, 7});
  if (how == "index") return x.select(0, 99);
  if (how == "dimension") return x.sum(5);
  // Tensors of a megabyte: one that is lost is seen.
  if (how == "lists") return at::cat({x, at::ones({1, 512, 512}, x.options()), x}, 0);
  if (how == "optional") return at::linear(x, at::ones({512, 512}, x.options()), at::ones({512, 512}, x.options()));
  if (how == "number") return x.clamp(c10::optional<at::Scalar>(), c10::optional<at::Scalar>());
  if (how == "text") return at::pad(x, {1, 1}, "no such mode", 0.5);
  if (how == "into") { x.add_(at::ones({512, 512, 9}, x.options())); return x; }
  if (how == "out") { Tensor out = at::empty({0}, x.options().dtype(at::kInt)); return at::mul_out(out, x, x); }
  if (how == "implemented") return x.bitwise_not();
  if (how == "undefined") return at::add(Tensor(), x);
  if (how == "options") return at::empty({2}, x.options().requires_grad(true));
  if (how == "negative") return at::zeros({-1}, x.options());
  if (how == "leaf") { auto y = torch::ones({2}, x.options().requires_grad(true)); y.mul_(2); return y; }
  if (how == "singular") return at::linalg_inv(at::zeros({2, 2}, x.options()));
  return x;
}

// What makes the node of the graph.
Tensor recorded(Tensor x, const std::string& how) {
  if (how == "add") return x.add(x);
  if (how == "add a number") return x + 2;
  if (how == "subtract from a number") return 2 - x;
  if (how == "multiply by a number") return x * 2;
  if (how == "divide by a number") return x / 2;
  if (how == "add into") { auto y = x.clone(); return y.add_(x); }
  if (how == "multiply into") { auto y = x.clone(); return y.mul_(2); }
  if (how == "view") return x.view({-1});
  if (how == "transpose") return x.t();
  if (how == "slice") return x.slice(0, 1, 2);
  if (how == "fill where") return x.masked_fill(x > 0, 1);
  return x.sum();
}

// Numbers from a generator that the caller has.
std::vector<Tensor> drawn(Tensor x, at::Generator generator) {
  auto y = x.clone();
  y.bernoulli_(0.5, generator);
  return {y, at::randperm(8, generator, at::TensorOptions(at::kLong)), at::normal(x, 1.0, generator), x.clone().uniform_(0, 1, generator)};
}

// An allocation and a sum into itself, for modes and transforms that make tensors without memory.
Tensor summed(Tensor x) {
  auto y = at::zeros(x.sizes(), at::kFloat);
  y = y + x;
  y.add_(x);
  return y;
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("identities", &identities);
  m.def("forms", &forms);
  m.def("gradients", &gradients);
  m.def("fails", &fails);
  m.def("recorded", &recorded);
  m.def("drawn", &drawn);
  m.def("summed", &summed);
}
