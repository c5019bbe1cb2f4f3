// One source for a classic build and for `abi = "compat"`: what a module of functions can be made of.
#include <torch/extension.h>

#include <array>
#include <map>
#include <set>
#include <stdexcept>
#include <variant>

using namespace pybind11::literals;

at::Tensor noop(const at::Tensor& x, const at::Tensor& y, const at::Tensor& z, double eps) { return x; }
at::Tensor twice(at::Tensor& x, float s) { return x * s; }
void inplace(at::Tensor x, std::optional<at::Tensor> bias) {
  x.add_(1);
  if (bias.has_value()) x.add_(*bias);
}
std::vector<at::Tensor> several(const at::Tensor& x) {
  at::Tensor none;
  return {x, none, x.clone()};
}
at::Tensor undefined() { return {}; }
std::tuple<int, at::Tensor, bool, std::string> mixed(at::Tensor x, int64_t n, bool flag, const std::string& s, std::vector<int64_t> v, std::optional<double> d) {
  return {static_cast<int>(n + static_cast<int64_t>(s.size() + v.size()) + (d ? static_cast<int64_t>(*d) : -100)), x, !flag, s};
}
std::pair<at::Tensor, std::vector<int64_t>> pair(at::Tensor x) { return {x, x.sizes().vec()}; }
std::tuple<at::Tensor> single(at::Tensor x) { return {x}; }
int32_t small(int32_t x) { return x; }
uint8_t byte(uint8_t x) { return x; }
uint64_t wide(uint64_t x) { return x; }
float single_float(float x) { return x; }
bool flag(bool x) { return x; }
std::string text(std::string x) { return x; }
std::vector<double> doubles(std::vector<double> v) { return v; }
std::vector<std::vector<int64_t>> nested(std::vector<std::vector<int64_t>> v) { return v; }
std::array<int64_t, 3> fixed(std::array<int64_t, 3> v) { return v; }
std::vector<at::Tensor> tensors(std::vector<at::Tensor> v) { return v; }
std::optional<int64_t> maybe(std::optional<int64_t> v) { return v; }
std::map<std::string, int64_t> table(std::map<std::string, int64_t> m) {
  m["more"] = 1;
  return m;
}
std::unordered_map<std::string, at::Tensor> named(const std::unordered_map<std::string, at::Tensor>& m) { return m; }
std::variant<int64_t, std::string> either(std::variant<int64_t, std::string> v) { return v; }
std::set<int64_t> unique(std::set<int64_t> v) { return v; }
std::tuple<int64_t, std::string> swap(std::pair<std::string, int64_t> p) { return {p.second, p.first}; }
at::ScalarType kind(at::ScalarType t) { return t; }
at::Device place(at::Device d) { return d; }
at::Scalar number(double s) { return s; }
std::vector<bool> bools(std::vector<bool> v) { return v; }
std::vector<std::optional<at::Tensor>> holes(std::vector<std::optional<at::Tensor>> v) { return v; }
std::vector<std::map<std::string, std::vector<double>>> deep(std::vector<std::map<std::string, std::vector<double>>> v) { return v; }
int64_t counted(py::args all, py::kwargs named) { return static_cast<int64_t>(all.size() * 10 + named.size()); }
int over(int a) { return a; }
std::string over(const std::string& a) { return a; }
double over(double a, double b) { return a + b; }
int chosen(double) { return 1; }
int chosen(int64_t) { return 2; }
at::Tensor raises(int64_t which) {
  switch (which) {
    case 0: throw std::out_of_range("out of range");
    case 1: throw std::invalid_argument("invalid argument");
    case 2: throw std::domain_error("domain error");
    case 3: throw std::length_error("length error");
    case 4: throw std::range_error("range error");
    case 5: throw std::overflow_error("overflow error");
    case 6: throw std::runtime_error("runtime error");
    case 7: throw std::bad_alloc();
    case 8: throw std::logic_error("logic error");
    case 9: throw py::value_error("value error");
    case 10: throw py::index_error("index error");
    case 11: throw py::key_error("key error");
    case 12: throw py::type_error("type error");
    case 13: throw py::attribute_error("attribute error");
    case 14: throw py::import_error("import error");
    case 15: throw py::stop_iteration("stop");
    case 16: throw 42;
    case 17: TORCH_CHECK(false, "checked ", 1);
    case 18: TORCH_CHECK_VALUE(false, "checked value");
    case 19: TORCH_CHECK_INDEX(false, "checked index");
    case 20: TORCH_CHECK_TYPE(false, "checked type");
    case 21: TORCH_CHECK_NOT_IMPLEMENTED(false, "checked not implemented");
    case 22: throw std::underflow_error("underflow error");
  }
  return {};
}
struct Mine : std::runtime_error {
  using std::runtime_error::runtime_error;
};
void own(const std::string& s) { throw Mine(s); }
py::list py_list(py::list l) {
  py::list out;
  for (auto item : l) out.append(item);
  out.append(1);
  return out;
}
py::dict py_dict(const at::Tensor& x, py::dict given) {
  py::dict out;
  out["x"] = x;
  out["n"] = given.size();
  out["a"] = given["a"].cast<int64_t>();
  return out;
}
py::tuple py_tuple(py::tuple t) { return py::make_tuple(t.size(), "s", 2.5, py::none()); }
py::bytes py_bytes(py::bytes b) { return b; }
py::object py_none() { return py::none(); }

#ifdef WITH_LIBRARY
void locked_functions(py::module_& m);
#endif

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
#ifdef WITH_LIBRARY
  locked_functions(m);
#endif
  m.doc() = "what a module of functions can be made of";
  m.attr("VERSION") = 3;
  m.attr("NAME") = "twin";
  m.attr("SIZES") = std::vector<int>{1, 2};
  m.attr("HALF") = py::float_(0.5);
  m.def("noop", &noop, "returns x", py::arg("x"), py::arg("y"), py::arg("z"), py::arg("eps") = 1e-5);
  m.def("twice", &twice, "x * s", "x"_a, "s"_a = 2.0f);
  m.def("inplace", &inplace, py::arg("x"), py::arg("bias") = py::none());
  m.def("several", &several);
  m.def("undefined", &undefined, "none");
  m.def("mixed", &mixed, py::arg("x"), py::arg("n") = 3, py::arg("flag") = true, py::arg("s") = "abc", py::arg("v") = std::vector<int64_t>{1, 2}, py::arg("d") = py::none());
  m.def("pair", &pair);
  m.def("single", &single);
  m.def("small", &small, py::arg("x"));
  m.def("byte", &byte);
  m.def("wide", &wide);
  m.def("single_float", &single_float);
  m.def("flag", &flag);
  m.def("strict_flag", &flag, py::arg("x").noconvert());
  m.def("strict_float", &single_float, py::arg().noconvert());
  m.def("text", &text);
  m.def("doubles", &doubles);
  m.def("nested", &nested);
  m.def("fixed", &fixed);
  m.def("tensors", &tensors);
  m.def("maybe", &maybe, py::arg("v") = std::nullopt);
  m.def("table", &table);
  m.def("named", &named);
  m.def("either", &either);
  m.def("unique", &unique);
  m.def("swap", &swap);
  m.def("kind", &kind);
  m.def("kind_default", &kind, py::arg("t") = at::kHalf);
  m.def("place", &place);
  m.def("number", &number);
  m.def("bools", &bools);
  m.def("holes", &holes);
  m.def("deep", &deep);
  m.def("counted", &counted);
  m.def("first", [](int64_t x, py::args rest, int64_t y) { return x + y + static_cast<int64_t>(rest.size()); }, py::arg("x"), py::arg("y") = 5);
  m.def("over", py::overload_cast<int>(&over), "of int");
  m.def("over", py::overload_cast<const std::string&>(&over), py::arg("a"));
  m.def("over", static_cast<double (*)(double, double)>(&over), "of two", py::arg("a"), py::arg("b") = 1.5);
  m.def("chosen", py::overload_cast<double>(&chosen));
  m.def("chosen", py::overload_cast<int64_t>(&chosen));
  m.def("raises", &raises);
  m.def("own", &own);
  py::register_exception<Mine>(m, "Mine");
  m.def("lambda", [](at::Tensor x, int k) { return x.size(k); }, py::call_guard<py::gil_scoped_release>());
  int captured = 7;
  m.def("captured", [captured](int x) { return x + captured; });
  m.def("function", std::function<int(int)>([](int x) { return x + 1; }));
  m.def("kw", [](int a, int b) { return a * 10 + b; }, py::arg("a"), py::kw_only(), py::arg("b") = 2);
  m.def("pos", [](int a, int b) { return a * 10 + b; }, py::arg("a"), py::pos_only(), py::arg("b") = 2);
  m.def("py_list", &py_list);
  m.def("py_dict", &py_dict);
  m.def("py_tuple", &py_tuple);
  m.def("py_bytes", &py_bytes);
  m.def("py_none", &py_none);
  m.def("py_str", [](py::str s) { return std::string(s) + "!"; });
  m.def("py_int", [](py::int_ i) { return static_cast<int64_t>(i) + 1; });
  m.def("no_none", [](std::optional<at::Tensor> x) { return x.has_value(); }, py::arg("x").none(false));
  m.def("released", [](int x) {
    py::gil_scoped_release no_gil;
    return x;
  });
  auto sub = m.def_submodule("sub", "a part");
  sub.def("inner", [](int x) { return x; }, py::arg("x") = -1);
  sub.attr("LIMIT") = 10;
}
