// C++ autograd functions of every shape that extensions use; compiled against torch's headers and against ours.
#include <torch/csrc/autograd/VariableTypeUtils.h>
#include <torch/extension.h>

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

// Shape 1: the class is the function; backward is made of differentiable calls.
class Square : public torch::autograd::Function<Square> {
 public:
  static torch::Tensor forward(AutogradContext* ctx, torch::Tensor x) {
    ctx->save_for_backward({x});
    return x.mul(x);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    auto x = ctx->get_saved_variables()[0];
    return {grads[0].mul(x).add(grads[0].mul(x))};
  }
};

// Shape 2: many arguments, lists of results, data of every kind beside the tensors.
namespace ops {
struct Mixed : torch::autograd::Function<Mixed> {
  static variable_list forward(AutogradContext* ctx, Variable a, int64_t n, torch::optional<Variable> b, std::string text,
                               bool flag, std::vector<int64_t> sizes, double factor, at::ScalarType type) {
    ctx->saved_data["n"] = n;
    ctx->saved_data["flag"] = flag;
    ctx->saved_data["text"] = text;
    ctx->saved_data["sizes"] = sizes;
    ctx->saved_data["factor"] = factor;
    ctx->saved_data["type"] = static_cast<int64_t>(type);
    ctx->saved_data["shape"] = a.sizes();
    ctx->saved_data["has"] = b.has_value() && b->defined();
    ctx->saved_data["tensor"] = a.detach();
    ctx->saved_data["tensors"] = std::vector<torch::Tensor>{a.detach()};
    ctx->save_for_backward({a, b.value_or(Variable())});
    auto first = a.mul(torch::full_like(a, static_cast<double>(n) * factor));
    return {b && b->defined() ? first.add(*b) : first, a.sum()};
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    auto saved = ctx->get_saved_variables();
    TORCH_CHECK(saved[1].defined() == ctx->saved_data["has"].toBool(), "an undefined tensor comes back so");
    TORCH_CHECK(ctx->saved_data["text"].toStringRef() == "text" && ctx->saved_data["flag"].toBool());
    TORCH_CHECK(ctx->saved_data["sizes"].toIntVector().size() == 2 && ctx->saved_data["shape"].toIntVector().size() == 1);
    TORCH_CHECK(ctx->saved_data["tensor"].toTensor().defined() && ctx->saved_data["tensors"].toTensorVector().size() == 1);
    const double scale = static_cast<double>(ctx->saved_data["n"].toInt()) * ctx->saved_data["factor"].toDouble();
    auto grad = grads[0].mul(torch::full_like(grads[0], scale)).add(grads[1].expand_as(grads[0]));
    auto other = ctx->saved_data["has"].toBool() ? grads[0] : Variable();
    return {grad, Variable(), other, Variable(), Variable(), Variable(), Variable(), Variable()};
  }
};
}  // namespace ops

// Shape 3: backward is a Function of its own, for double backward.
struct CubeBackward : torch::autograd::Function<CubeBackward> {
  static variable_list forward(AutogradContext* ctx, Variable grad, Variable x) {
    ctx->save_for_backward({grad, x});
    return {grad.mul(x).mul(x).mul(torch::full_like(x, 3.0))};
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    auto saved = ctx->get_saved_variables();
    auto six = torch::full_like(saved[1], 6.0), three = torch::full_like(saved[1], 3.0);
    return {grads[0].mul(saved[1]).mul(saved[1]).mul(three), grads[0].mul(saved[0]).mul(saved[1]).mul(six)};
  }
};
struct Cube : torch::autograd::Function<Cube> {
  static Variable forward(AutogradContext* ctx, const Variable& x) {
    ctx->save_for_backward({x});
    return x.mul(x).mul(x);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    return CubeBackward::apply(grads[0], ctx->get_saved_variables()[0]);
  }
};

struct InPlace : torch::autograd::Function<InPlace> {
  static variable_list forward(AutogradContext* ctx, Variable x, bool mark) {
    x.add_(torch::ones_like(x));
    if (mark) ctx->mark_dirty({x});
    return {x};
  }
  static variable_list backward(AutogradContext*, variable_list grads) { return {grads[0], Variable()}; }
};
struct Split : torch::autograd::Function<Split> {
  static variable_list forward(AutogradContext* ctx, Variable x) {
    auto index = torch::zeros_like(x), extra = x.mul(x);
    ctx->mark_non_differentiable({index, extra});
    return {x.mul(x), index, extra};
  }
  static variable_list backward(AutogradContext*, variable_list grads) {
    TORCH_CHECK(grads.size() == 3 && grads[1].defined() && grads[2].defined(), "undefined gradients are made zeros");
    return {grads[0]};
  }
};
struct Sparse : torch::autograd::Function<Sparse> {
  static variable_list forward(AutogradContext* ctx, Variable x) {
    ctx->set_materialize_grads(false);
    return {x.mul(x), x.add(x)};
  }
  static variable_list backward(AutogradContext*, variable_list grads) {
    TORCH_CHECK(grads[0].defined() && !grads[1].defined(), "undefined gradients stay so");
    return {Variable()};
  }
};
struct Same : torch::autograd::Function<Same> {
  static variable_list forward(AutogradContext*, Variable x, Variable y) { return {x, y.mul(y)}; }
  static variable_list backward(AutogradContext*, variable_list grads) { return {grads[0], grads[1]}; }
};
struct Saved : torch::autograd::Function<Saved> {  // keeps its output
  static Variable forward(AutogradContext* ctx, Variable x) {
    auto y = x.exp();
    ctx->save_for_backward({y});
    return y;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    return {grads[0].mul(ctx->get_saved_variables()[0])};
  }
};
struct Count : torch::autograd::Function<Count> {
  static Variable forward(AutogradContext*, Variable x, int64_t) { return x.mul(x); }
  static variable_list backward(AutogradContext* ctx, variable_list grads) { (void)ctx; return variable_list(static_cast<size_t>(grads[0].size(0)), grads[0]); }
};
struct Surplus : torch::autograd::Function<Surplus> {
  static Variable forward(AutogradContext*, Variable x) { return x.mul(x); }
  static variable_list backward(AutogradContext*, variable_list grads) { return {grads[0], Variable(), Variable()}; }
};
struct WrongShape : torch::autograd::Function<WrongShape> {
  static Variable forward(AutogradContext*, Variable x) { return x.mul(x); }
  static variable_list backward(AutogradContext*, variable_list grads) { return {grads[0].new_zeros({7})}; }
};
struct Throws : torch::autograd::Function<Throws> {
  static Variable forward(AutogradContext*, Variable x, std::string where) {
    TORCH_CHECK(where != "forward", "thrown in forward");
    if (where == "value") throw std::invalid_argument("thrown in forward, a ValueError");
    return x.mul(x);
  }
  static variable_list backward(AutogradContext*, variable_list) {
    TORCH_CHECK_VALUE(false, "thrown in backward");
    return {};
  }
};
struct Unused : torch::autograd::Function<Unused> {  // saves, and never asks
  static Variable forward(AutogradContext* ctx, Variable x) {
    ctx->save_for_backward({x});
    return x.mul(x);
  }
  static variable_list backward(AutogradContext*, variable_list grads) { return {grads[0]}; }
};
struct Needs : torch::autograd::Function<Needs> {
  static variable_list forward(AutogradContext*, Variable a, int64_t, Variable b) { return {a.mul(b)}; }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    auto seen = [&](bool needs) { return grads[0].mul(torch::full_like(grads[0], needs ? 1.0 : 0.0)); };
    const bool a = ctx->needs_input_grad(0), b = ctx->needs_input_grad(1);
    return {seen(b), Variable(), seen(a)};
  }
};
struct Lonely : torch::autograd::Function<Lonely> {
  static Variable forward(AutogradContext*, int64_t n) { return torch::zeros({n}).add(torch::ones({n})); }
  static variable_list backward(AutogradContext*, variable_list) { return {Variable()}; }
};
struct Many : torch::autograd::Function<Many> {  // tensors in a list are no variables
  static variable_list forward(AutogradContext*, std::vector<torch::Tensor> xs, Variable y) { return {xs[0].mul(y), xs[1]}; }
  static variable_list backward(AutogradContext*, variable_list grads) { return {Variable(), grads[0]}; }
};

torch::Tensor grad_of(torch::Tensor y, torch::Tensor x, bool create) {
  return torch::autograd::grad({y}, {x}, {}, torch::nullopt, create)[0];
}
void run_backward(std::vector<torch::Tensor> ys, bool retain) { torch::autograd::backward(ys, {}, retain); }

// Operators that TorchScript calls, which call a Function.
torch::Tensor scripted_cube(torch::Tensor x) { return Cube::apply(x); }
TORCH_LIBRARY(grads_of_scripts, m) { m.def("cube(Tensor x) -> Tensor", &scripted_cube); }

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("square", [](torch::Tensor x) { return Square::apply(x); });
  m.def("mixed", [](torch::Tensor a, torch::optional<torch::Tensor> b) {
    return ops::Mixed::apply(a, int64_t(3), b, std::string("text"), true, std::vector<int64_t>{1, 2}, 0.5, a.scalar_type());
  });
  m.def("cube", [](torch::Tensor x) { return Cube::apply(x); });
  m.def("in_place", [](torch::Tensor x, bool mark) { return InPlace::apply(x, mark); });
  m.def("split", [](torch::Tensor x) { return Split::apply(x); });
  m.def("sparse", [](torch::Tensor x) { return Sparse::apply(x); });
  m.def("same", [](torch::Tensor x, torch::Tensor y) { return Same::apply(x, y); });
  m.def("saved", [](torch::Tensor x) { return Saved::apply(x); });
  m.def("count", [](torch::Tensor x, int64_t n) { return Count::apply(x, n); });
  m.def("surplus", [](torch::Tensor x) { return Surplus::apply(x); });
  m.def("wrong_shape", [](torch::Tensor x) { return WrongShape::apply(x); });
  m.def("throws", [](torch::Tensor x, std::string where) { return Throws::apply(x, where); });
  m.def("unused", [](torch::Tensor x) { return Unused::apply(x); });
  m.def("needs", [](torch::Tensor a, torch::Tensor b) { return Needs::apply(a, int64_t(1), b)[0]; });
  m.def("lonely", [](int64_t n) { return Lonely::apply(n); });
  m.def("many", [](std::vector<torch::Tensor> xs, torch::Tensor y) { return Many::apply(xs, y); });
  m.def("grad_of", &grad_of, py::call_guard<py::gil_scoped_release>());
  m.def("run_backward", &run_backward, py::call_guard<py::gil_scoped_release>());
  m.def("bump", [](torch::Tensor x) { torch::autograd::increment_version(x); });
}
