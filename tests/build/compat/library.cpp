// Operators by TORCH_LIBRARY and its relatives, and functions that rely on the GIL: in one library with module.cpp.
#include <torch/extension.h>

#include <chrono>
#include <thread>

namespace {
at::Tensor scaled(const at::Tensor& x, double s) { return x.mul(x.new_full({}, s)); }
at::Tensor as_type(const at::Tensor& x, std::optional<at::ScalarType> t) { return t ? x.to(*t) : x; }
void copy_of_first(at::Tensor out, const at::Tensor& x, int64_t times) {
  for (int64_t i = 0; i < times; ++i) out.copy_(x);
}
std::tuple<at::Tensor, at::Tensor> both(const at::Tensor& x) { return {x, x.clone()}; }
int count = 0;
int racing() {
  const int before = count;
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  count = before + 1;
  return count;
}
}  // namespace

TORCH_LIBRARY(twin_lib, m) {
  m.def("scaled(Tensor x, float s) -> Tensor", &scaled);
  m.def("declared(Tensor x, float s) -> Tensor");
  m.def("inferred", &scaled);
  m.def(TORCH_SELECTIVE_SCHEMA("twin_lib::as_type(Tensor x, ScalarType? t=None) -> Tensor"), TORCH_FN(as_type));
  m.def("copy(Tensor(a!) out, Tensor x, SymInt times) -> ()", &copy_of_first);
  m.def("both(Tensor x) -> (Tensor, Tensor)", &both);
  m.def("views(Tensor(a -> *) x, str s=\"a, b\", int[2] k=0) -> Tensor[]", [](const at::Tensor& x, const std::string&, std::vector<int64_t>) {
    return std::vector<at::Tensor>{x.clone()};
  });
  m.def("keyed(Tensor x) -> Tensor");
  m.impl("keyed", c10::DispatchKey::CPU, [](const at::Tensor& x) { return x.clone(); });
  m.def("raises(Tensor x) -> Tensor", [](const at::Tensor& x) {
    TORCH_CHECK_VALUE(false, "a value");
    return x;
  });
}
TORCH_LIBRARY_IMPL(twin_lib, CPU, m) { m.impl(TORCH_SELECTIVE_NAME("declared"), TORCH_FN(scaled)); }
TORCH_LIBRARY_FRAGMENT(twin_more, m) {
  m.def("same(int x) -> int", [](int64_t x) { return x; });
}
static auto registered =
    torch::RegisterOperators("twin_old::scaled", &scaled).op("twin_old::same(Tensor x) -> Tensor", [](at::Tensor x) { return x; });

void locked_functions(py::module_& m) {
  m.def("racing", &racing);
  m.def("racing_free", &racing, py::call_guard<py::gil_scoped_release>());
  m.def("count", [] { return count; });
  m.def("reset", [] { count = 0; });
  m.def("keys", [] {
    py::dict out;
    out[py::make_tuple(1, 2)] = 1;
    out[py::make_tuple(1, 3)] = 2;
    out[py::int_(1)] = 3;
    out[py::float_(1.0)] = 4;
    out[py::bool_(true)] = 5;
    return out;
  });
  m.def("lengths", [](py::str s, py::bytes b) { return std::vector<size_t>{py::len(s), py::len(b)}; });
  m.def("is_null", [] { return !static_cast<bool>(py::object()) && static_cast<bool>(py::none()); });
}

// Dictionaries of operators, which torch's schemas have and its C ABI has not.
namespace {
using Tensors = c10::Dict<std::string, at::Tensor>;
Tensors doubled(const Tensors& all, const c10::Dict<std::string, std::vector<int64_t>>& times) {
  Tensors out;
  for (const auto& kv : all) {
    at::Tensor made = kv.value() * 2;
    if (times.contains(kv.key())) made = made.repeat(times.at(kv.key()));
    out.insert(kv.key(), made);
  }
  return out;
}
std::tuple<c10::Dict<int64_t, double>, at::Tensor> counted(const at::Tensor& x, std::optional<c10::Dict<int64_t, double>> more) {
  c10::Dict<int64_t, double> out;
  out.insert(x.numel(), 1.5);
  TORCH_CHECK(!out.insert(x.numel(), 2.5).second, "inserted twice");
  if (more)
    for (auto it = more->begin(); it != more->end(); ++it) out.insert_or_assign(it->key(), it->value() + 1);
  const auto shared = out;
  if (shared.erase(-1) != 0) shared.insert(-2, 0.);
  return {out, x};
}
using Edge = std::tuple<std::string, std::string, std::string>;
std::vector<std::vector<int64_t>> lengths(const std::vector<Edge>& edges, std::pair<int64_t, double> more) {
  std::vector<std::vector<int64_t>> out{{more.first}};
  for (const auto& [from, by, to] : edges) out.push_back({int64_t(from.size()), int64_t(by.size()), int64_t(to.size())});
  return out;
}
double missing(const c10::Dict<std::string, double>& all) { return all.at("missing"); }
}  // namespace
TORCH_LIBRARY(twin_dicts, m) {
  m.def("doubled(Dict(str, Tensor) all, Dict(str, int[]) times) -> Dict(str, Tensor)", &doubled);
  m.def("counted(Tensor x, Dict(int, float)? more=None) -> (Dict(int, float), Tensor)");
  m.def("missing", &missing);
  m.def("lengths((str, str, str)[] edges, (int, float) more) -> int[][]", &lengths);
  m.def("named(Tensor x, *, Dict(str, float) by, int n=2, bool twice=False) -> Tensor",
        [](const at::Tensor& x, const c10::Dict<std::string, double>& by, int64_t n, bool twice) { return x * by.at("x") * n * (twice ? 2 : 1); });
}
TORCH_LIBRARY_IMPL(twin_dicts, CPU, m) { m.impl("counted", &counted); }
static auto registered_dicts = torch::RegisterOperators("twin_dicts::inferred", &doubled).op("twin_dicts::inferred_lengths", &lengths);
