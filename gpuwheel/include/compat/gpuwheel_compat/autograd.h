// C++ autograd functions: the node of the graph is made by Python.
#pragma once
#include <gpuwheel_compat/module.h>

// torch::autograd::Function in C++, with the graph node made by a Python torch.autograd.Function.
#include <any>
#ifndef TORCH_EXTENSION_NAME
#define TORCH_EXTENSION_NAME gpuwheel_compat_default
#endif
namespace gpuwheel_compat {
class IValue { std::any v_;
 public:
  IValue() = default;
  template <class T, std::enable_if_t<!std::is_same_v<std::decay_t<T>, IValue>, int> = 0> IValue(T v) { *this = std::move(v); }
  template <class T, std::enable_if_t<!std::is_same_v<std::decay_t<T>, IValue>, int> = 0> IValue& operator=(const T& v) {
    if constexpr (std::is_same_v<T, bool>) v_ = v; else if constexpr (std::is_integral_v<T>) v_ = static_cast<int64_t>(v); else if constexpr (std::is_floating_point_v<T>) v_ = static_cast<double>(v);
    else if constexpr (std::is_same_v<T, IntArrayRef>) v_ = v.vec(); else if constexpr (std::is_convertible_v<T, std::string>) v_ = std::string(v); else v_ = v;
    return *this; }
  int64_t toInt() const { return std::any_cast<int64_t>(v_); } double toDouble() const { return std::any_cast<double>(v_); } bool toBool() const { return std::any_cast<bool>(v_); }
  std::string toStringRef() const { return std::any_cast<std::string>(v_); } std::vector<int64_t> toIntVector() const { return std::any_cast<std::vector<int64_t>>(v_); }
  std::vector<int64_t> toIntList() const { return toIntVector(); } std::vector<gpuwheel_compat::Tensor> toTensorList() const { return std::any_cast<std::vector<gpuwheel_compat::Tensor>>(v_); }
  gpuwheel_compat::Tensor toTensor() const { return std::any_cast<gpuwheel_compat::Tensor>(v_); } bool isNone() const { return !v_.has_value(); }
};
}
namespace gpuwheel_compat { using gpuwheel_compat::IValue; }
namespace gpuwheel_compat::autograd {
inline void increment_version(const gpuwheel_compat::Tensor& t) { (void)t; /* prototype: torch._C._autograd increment_version by Python */ }
using Variable = gpuwheel_compat::Tensor; using variable_list = std::vector<gpuwheel_compat::Tensor>;
struct AutogradContext {
  std::unordered_map<std::string, gpuwheel_compat::IValue> saved_data; variable_list saved, non_differentiable;
  void save_for_backward(variable_list v) { saved = std::move(v); }
  variable_list get_saved_variables() const { return saved; }
  void mark_non_differentiable(const variable_list& v) { non_differentiable = v; }
  void mark_dirty(const variable_list&) {}
  void set_materialize_grads(bool) {}
};
}
namespace gpuwheel_compat {
using torch::autograd::AutogradContext; using torch::autograd::variable_list;
struct Node { AutogradContext ctx; std::function<variable_list(AutogradContext*)> forward; std::function<variable_list(AutogradContext*, variable_list)> backward; };
struct Nodes {
  std::mutex m; std::unordered_map<int64_t, std::shared_ptr<Node>> all; int64_t next = 0;
  int64_t add(std::shared_ptr<Node> n) { std::lock_guard<std::mutex> l(m); all[next] = std::move(n); return next++; }
  std::shared_ptr<Node> get(int64_t i) { std::lock_guard<std::mutex> l(m); return all.at(i); }
};
inline Nodes& nodes() { static Nodes n; return n; }
// Operators of this library that Python's node calls.
inline bool register_node_operators() {
  static const bool done = [] {
    auto* m = new pybind11::module_(GWC_STR(TORCH_EXTENSION_NAME));
    m->def("_gwc_forward", [](int64_t i) { auto n = nodes().get(i); auto r = n->forward(&n->ctx); n->forward = nullptr; return r; });
    m->def("_gwc_saved", [](int64_t i) { auto n = nodes().get(i); return std::move(n->ctx.saved); });
    m->def("_gwc_non_differentiable", [](int64_t i) { return std::move(nodes().get(i)->ctx.non_differentiable); });
    m->def("_gwc_backward", [](int64_t i, std::vector<std::optional<gpuwheel_compat::Tensor>> g, std::vector<std::optional<gpuwheel_compat::Tensor>> s) {
      auto n = nodes().get(i); n->ctx.saved.clear(); for (auto& t : s) n->ctx.saved.push_back(t.value_or(gpuwheel_compat::Tensor())); variable_list gs; for (auto& t : g) gs.push_back(t.value_or(gpuwheel_compat::Tensor()));
      auto r = n->backward(&n->ctx, gs); n->ctx.saved.clear(); return r; });
    m->def("_gwc_free", [](int64_t i) { std::shared_ptr<Node> n; { std::lock_guard<std::mutex> l(nodes().m); auto it = nodes().all.find(i); if (it != nodes().all.end()) { n = it->second; nodes().all.erase(it); } } });
    return true; }();
  return done;
}
template <class T> struct NodeOperators { static const bool v; };
template <class T> const bool NodeOperators<T>::v = register_node_operators();
}  // namespace gpuwheel_compat
namespace gpuwheel_compat::autograd {
template <class T>
struct Function {
  template <class X> static void gather(const X& x, variable_list& in, std::vector<bool>& is) {
    using B = std::decay_t<X>;
    if constexpr (std::is_same_v<B, gpuwheel_compat::Tensor>) { in.push_back(x); is.push_back(true); }
    else if constexpr (std::is_same_v<B, std::optional<gpuwheel_compat::Tensor>>) { if (x && x->defined()) { in.push_back(*x); is.push_back(true); } else is.push_back(false); }
    else is.push_back(false);
  }
  template <class... A> static auto apply(A&&... a) {
    using R = decltype(T::forward(static_cast<AutogradContext*>(nullptr), std::forward<A>(a)...));
    (void)::gpuwheel_compat::NodeOperators<T>::v;
    auto n = std::make_shared<::gpuwheel_compat::Node>(); variable_list in; std::vector<bool> is; (gather(a, in, is), ...);
    n->forward = [args = std::tuple<std::decay_t<A>...>(a...)](AutogradContext* c) mutable {
      auto r = std::apply([c](auto&... x) { return T::forward(c, x...); }, args);
      if constexpr (std::is_same_v<R, gpuwheel_compat::Tensor>) return variable_list{r}; else return r; };
    n->backward = [is](AutogradContext* c, variable_list g) { auto r = T::backward(c, std::move(g)); variable_list out; for (size_t i = 0; i < is.size(); ++i) if (is[i]) out.push_back(i < r.size() ? r[i] : gpuwheel_compat::Tensor()); return out; };
    auto out = ::gpuwheel_compat::call<variable_list>("gpuwheel_compat::autograd_apply", "", std::string(GWC_STR(TORCH_EXTENSION_NAME)), ::gpuwheel_compat::nodes().add(n), in);
    if constexpr (std::is_same_v<R, gpuwheel_compat::Tensor>) return out.at(0); else return out;
  }
};
}  // namespace gpuwheel_compat::autograd
