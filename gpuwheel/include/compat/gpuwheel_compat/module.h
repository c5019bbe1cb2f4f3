// PYBIND11_MODULE without Python: functions are recorded, registered with the dispatcher, and described as JSON.
#pragma once
#include <gpuwheel_compat/functions.h>

// PYBIND11_MODULE without Python: records functions, registers them with the dispatcher, describes them as JSON for the Python side.
#ifndef GPUWHEEL_COMPAT_SLOTS
#define GPUWHEEL_COMPAT_SLOTS 128
#endif
namespace gpuwheel_compat {
using Boxed = std::function<void(StableIValue*, uint64_t, uint64_t)>;
struct Registry { std::string error, last; std::vector<Boxed> slots; std::string json; std::string needs_json; };
inline Registry& registry() { static Registry r; return r; }
template <size_t I> void trampoline(StableIValue* s, uint64_t a, uint64_t r) { registry().slots[I](s, a, r); }
using Trampoline = void (*)(StableIValue*, uint64_t, uint64_t);
template <size_t... I> constexpr std::array<Trampoline, sizeof...(I)> trampolines(std::index_sequence<I...>) { return {&trampoline<I>...}; }

template <class T> struct schema;  // the schema's name of a C++ type; no definition: this type cannot cross
#define GWC_SCHEMA(T, N) template <> struct schema<T> { static std::string name() { return N; } };
GWC_SCHEMA(gpuwheel_compat::Tensor, "Tensor") GWC_SCHEMA(int64_t, "int") GWC_SCHEMA(int, "int") GWC_SCHEMA(unsigned, "int") GWC_SCHEMA(int16_t, "int") GWC_SCHEMA(uint8_t, "int") GWC_SCHEMA(size_t, "int") GWC_SCHEMA(double, "float")
GWC_SCHEMA(float, "float") GWC_SCHEMA(bool, "bool") GWC_SCHEMA(std::string, "str") GWC_SCHEMA(gpuwheel_compat::ScalarType, "ScalarType") GWC_SCHEMA(gpuwheel_compat::Device, "Device")
GWC_SCHEMA(gpuwheel_compat::Generator, "Generator") GWC_SCHEMA(gpuwheel_compat::Scalar, "float")
template <class T> struct schema<std::vector<T>> { static std::string name() { return schema<T>::name() + "[]"; } };
template <class T, size_t N> struct schema<std::array<T, N>> : schema<std::vector<T>> {};
template <class T> struct schema<gpuwheel_compat::ArrayRef<T>> { static std::string name() { return schema<T>::name() + "[]"; } };
template <class T> struct schema<std::optional<T>> { static std::string name() { return schema<std::remove_cv_t<T>>::name() + "?"; } };

// How a value of type T is held while the function runs, and how it comes from / goes to a StableIValue.
template <class T> struct wire { using held = T; static T in(StableIValue v) { return torch::stable::detail::to<T>(v); } static StableIValue out(const T& v) { return torch::stable::detail::from(v); } };
template <class T, class W> struct wire_as { using held = T;
  static T in(StableIValue v) { W w = torch::stable::detail::to<W>(v);
    if constexpr (std::is_integral_v<T>) TORCH_CHECK_VALUE(static_cast<W>(static_cast<T>(w)) == w, "the value ", w, " does not fit the C++ argument");
    return static_cast<T>(w); }
  static StableIValue out(const T& v) { return torch::stable::detail::from(static_cast<W>(v)); } };
template <> struct wire<gpuwheel_compat::Generator> { using held = gpuwheel_compat::Generator; static held in(StableIValue) { TORCH_CHECK(false, "a Generator argument needs torch 2.13"); } static StableIValue out(const held&) { return 0; } };
template <> struct wire<int> : wire_as<int, int64_t> {};
template <> struct wire<unsigned> : wire_as<unsigned, int64_t> {};
template <> struct wire<int16_t> : wire_as<int16_t, int64_t> {};
template <> struct wire<uint8_t> : wire_as<uint8_t, int64_t> {};
template <> struct wire<size_t> : wire_as<size_t, int64_t> {};
template <> struct wire<float> : wire_as<float, double> {};
template <class T> struct wire<std::optional<T>> { using held = std::optional<T>;
  static held in(StableIValue v) { auto* p = torch::stable::detail::to<StableIValue*>(v); if (!p) return {}; held h(wire<std::remove_cv_t<T>>::in(*p)); delete p; return h; }
  static StableIValue out(const held& v) { return v ? torch::stable::detail::from(new StableIValue(wire<std::remove_cv_t<T>>::out(*v))) : torch::stable::detail::from(nullptr); } };
template <class T> struct wire<std::vector<T>> { using held = std::vector<T>;
  static held in(StableIValue v) { auto l = torch::stable::detail::to<StableListHandle>(v); size_t n; GWC_OK(torch_list_size(l, &n)); held h; h.reserve(n);
    for (size_t i = 0; i < n; ++i) { StableIValue e; GWC_OK(torch_list_get_item(l, i, &e)); h.push_back(wire<T>::in(e)); } GWC_OK(torch_delete_list(l)); return h; }
  static StableIValue out(const held& v) { StableListHandle l; GWC_OK(torch_new_list_reserve_size(v.size(), &l)); for (const auto& e : v) GWC_OK(torch_list_push_back(l, wire<std::decay_t<decltype(e)>>::out(e))); return torch::stable::detail::from(l); } };
template <class T, size_t N> struct wire<std::array<T, N>> { using held = std::array<T, N>; static held in(StableIValue v) { auto x = wire<std::vector<T>>::in(v); TORCH_CHECK_VALUE(x.size() == N, "a sequence of ", N, " is expected"); held h; std::copy(x.begin(), x.end(), h.begin()); return h; } static StableIValue out(const held& h) { return wire<std::vector<T>>::out({h.begin(), h.end()}); } };
template <class T> struct wire<gpuwheel_compat::ArrayRef<T>> : wire<std::vector<T>> {};
template <class T, class... U> struct schema<std::tuple<T, U...>> : schema<std::vector<T>> { static_assert((std::is_same_v<T, U> && ...)); };
template <class T, class... U> struct wire<std::tuple<T, U...>> { using held = std::tuple<T, U...>;
  template <size_t... I> static held go(const std::vector<T>& x, std::index_sequence<I...>) { return {x[I]...}; }
  static held in(StableIValue v) { auto x = wire<std::vector<T>>::in(v); TORCH_CHECK_VALUE(x.size() == 1 + sizeof...(U), "a tuple of ", 1 + sizeof...(U), " is expected"); return go(x, std::index_sequence_for<T, U...>{}); } };
template <class T> using bare = std::remove_cv_t<std::remove_reference_t<T>>;

template <class R> struct result {
  static std::string name() { return schema<R>::name(); } static constexpr const char* kind = "one";
  static void put(StableIValue* s, const R& r) { s[0] = wire<R>::out(r); } };
template <> struct result<void> { static std::string name() { return "()"; } static constexpr const char* kind = "none"; };
template <class... R> struct result<std::tuple<R...>> {
  static std::string name() { std::string n; ((n += (n.empty() ? "" : ", ") + schema<bare<R>>::name()), ...); return "(" + n + ")"; } static constexpr const char* kind = sizeof...(R) == 1 ? "tuple1" : "tuple";
  template <size_t... I> static void go(StableIValue* s, const std::tuple<R...>& r, std::index_sequence<I...>) { ((s[I] = wire<bare<R>>::out(std::get<I>(r))), ...); }
  static void put(StableIValue* s, const std::tuple<R...>& r) { go(s, r, std::index_sequence_for<R...>{}); } };
template <class A, class B> struct result<std::pair<A, B>> { static std::string name() { return result<std::tuple<A, B>>::name(); } static constexpr const char* kind = "tuple";
  static void put(StableIValue* s, const std::pair<A, B>& r) { result<std::tuple<A, B>>::put(s, {r.first, r.second}); } };

template <class F, class R, class... A, size_t... I>
void invoke(F& f, StableIValue* s, std::index_sequence<I...>) {
  std::tuple<typename wire<bare<A>>::held...> held{wire<bare<A>>::in(s[I])...};
  if constexpr (std::is_void_v<R>) f(static_cast<A&&>(std::get<I>(held))...);
  else result<bare<R>>::put(s, f(static_cast<A&&>(std::get<I>(held))...));
}
template <class F> struct signature : signature<decltype(&F::operator())> {};
template <class R, class... A> struct signature<R (*)(A...)> { using result_type = R;
  static std::vector<std::string> names() { return {schema<bare<A>>::name()...}; }
  template <class F> static Boxed box(F f) { return [f](StableIValue* s, uint64_t, uint64_t) mutable { invoke<F, R, A...>(f, s, std::index_sequence_for<A...>{}); }; } };
template <class C, class R, class... A> struct signature<R (C::*)(A...) const> : signature<R (*)(A...)> {};
template <class C, class R, class... A> struct signature<R (C::*)(A...)> : signature<R (*)(A...)> {};

inline std::string quoted(const std::string& s) { std::string o = "\""; for (char c : s) { if (c == '"' || c == '\\') { o += '\\'; o += c; } else if (c == '\n') o += "\\n"; else if (static_cast<unsigned char>(c) < 32) o += ' '; else o += c; } return o + "\""; }
template <class T, std::enable_if_t<std::is_arithmetic_v<T> && !std::is_same_v<T, bool>, int> = 0> std::string literal(T v) { std::ostringstream s; s.precision(17); s << v; auto t = s.str(); if (std::is_floating_point_v<T> && t.find_first_of(".en") == std::string::npos) t += ".0"; return t; }
inline std::string literal(bool v) { return v ? "True" : "False"; }
inline std::string literal(const char* v) { return quoted(v); }
inline std::string literal(const std::string& v) { return quoted(v); }
inline std::string literal(std::nullopt_t) { return "None"; }
inline std::string literal(std::nullptr_t) { return "None"; }
template <class T> std::string literal(const std::optional<T>& v) { return v ? literal(*v) : "None"; }
template <class T> std::string literal(const std::vector<T>& v) { std::string s = "["; for (const auto& e : v) s += (s.size() > 1 ? ", " : "") + literal(e); return s + "]"; }
}  // namespace gpuwheel_compat

namespace pybind11 {
struct none {};
struct arg_v { std::string name, value; };
struct arg { std::string name; explicit arg(const char* n) : name(n) {} arg& noconvert(bool = true) { return *this; } arg& none(bool = true) { return *this; }
  template <class T> arg_v operator=(const T& v) const { return {name, ::gpuwheel_compat::literal(v)}; }
  arg_v operator=(pybind11::none) const { return {name, "None"}; } };
struct gil_scoped_release {}; struct gil_scoped_acquire {};
template <class...> struct call_guard {};
struct kw_only {};
namespace literals { inline arg operator""_a(const char* n, size_t) { return arg(n); } }

template <class... A> struct overload_cast_impl { template <class R> constexpr auto operator()(R (*f)(A...)) const { return f; } };
template <class... A> constexpr overload_cast_impl<A...> overload_cast{};
// A C++ signature does not say what is written to: every tensor may be, so that TorchScript and torch.compile neither drop nor reorder calls.
inline std::string mutable_type(std::string t, size_t i) { return t.rfind("Tensor", 0) == 0 && t.find("?[]") == std::string::npos ? "Tensor(a" + std::to_string(i) + "!)" + t.substr(6) : t; }
class module_ {
  std::string ns_, file_;
 public:
  explicit module_(const char* ns) : ns_(ns) {}
  std::string& doc() { return doc_; }
  template <class F, class... X>
  module_& def(const char* name, F f, const X&... extra) {
    using S = ::gpuwheel_compat::signature<F>; using R = ::gpuwheel_compat::result<::gpuwheel_compat::bare<typename S::result_type>>;
    auto types = S::names(); std::vector<arg_v> args; std::string text; bool named = false;
    (take(extra, args, text, named), ...);
    std::string sig, sep;
    for (size_t i = 0; i < types.size(); ++i) {
      sig += sep + mutable_type(types[i], i) + " " + (named ? args.at(i).name : "arg" + std::to_string(i)); sep = ", ";
      if (named && !args[i].value.empty()) sig += "=" + args[i].value;
    }
    auto& r = ::gpuwheel_compat::registry();
    const size_t slot = r.slots.size();
    static constexpr auto table = ::gpuwheel_compat::trampolines(std::make_index_sequence<GPUWHEEL_COMPAT_SLOTS>{});
    TORCH_CHECK(slot < table.size(), "gpuwheel: more functions than GPUWHEEL_COMPAT_SLOTS");
    r.slots.push_back(S::box(f));
    int n = 0; for (auto& s : seen_) n += s == name; seen_.push_back(name);
    const std::string op = std::string(name) + (n ? ".o" + std::to_string(n) : "");
    const std::string schema = op + "(" + sig + ") -> " + R::name();
    r.last = schema; TorchLibraryHandle lib;
    GWC_OK(aoti_torch_library_init_fragment(ns_.c_str(), __FILE__, __LINE__, &lib));
    GWC_OK(aoti_torch_library_def(lib, schema.c_str())); keep(lib);
    // As a pybind function runs: no dispatch key is excluded, autograd records what the function calls.
    GWC_OK(aoti_torch_library_init_impl(ns_.c_str(), "CompositeImplicitAutograd", __FILE__, __LINE__, &lib));
    GWC_OK(torch_library_impl(lib, op.c_str(), table[slot], TORCH_ABI_VERSION)); keep(lib);
    r.json += (r.json.empty() ? "" : ", ") + std::string("{\"name\": ") + ::gpuwheel_compat::quoted(name) + ", \"op\": " + ::gpuwheel_compat::quoted(op) + ", \"schema\": " + ::gpuwheel_compat::quoted(schema) +
              ", \"named\": " + (named ? "true" : "false") + ", \"kind\": \"" + R::kind + "\", \"doc\": " + ::gpuwheel_compat::quoted(text) + "}";
    return *this;
  }
 private:
  std::string doc_; std::vector<std::string> seen_;
  static void keep(TorchLibraryHandle) {}  // lives as long as the process
  static void take(const char* s, std::vector<arg_v>&, std::string& t, bool&) { t = s; }
  static void take(const std::string& s, std::vector<arg_v>&, std::string& t, bool&) { t = s; }
  static void take(const arg& a, std::vector<arg_v>& v, std::string&, bool& n) { v.push_back({a.name, ""}); n = true; }
  static void take(const arg_v& a, std::vector<arg_v>& v, std::string&, bool& n) { v.push_back(a); n = true; }
  template <class... G> static void take(const call_guard<G...>&, std::vector<arg_v>&, std::string&, bool&) {}
};
using module = module_;
}  // namespace pybind11
namespace py = pybind11;

namespace gpuwheel_compat {
struct ModuleInit { ModuleInit(const char* ns, void (*f)(pybind11::module_&)) { static pybind11::module_ m(ns); try { f(m); } catch (const std::exception& e) { registry().error = str(registry().last, ": ", e.what()); } } };
}
namespace gpuwheel_compat { template <class F> void RegisterOperators::reg(const std::string& name, F f) { auto i = name.find("::"); auto* m = new pybind11::module_(name.substr(0, i).c_str()); m->def(name.substr(i + 2).c_str(), f); } }
#define TORCH_LIBRARY(NS, m) static void gwc_lib_##NS(pybind11::module_&); static const ::gpuwheel_compat::ModuleInit gwc_init_##NS(#NS, &gwc_lib_##NS); void gwc_lib_##NS(pybind11::module_& m)
#define GWC_STR2(x) #x
#define GWC_STR(x) GWC_STR2(x)
#define PYBIND11_MODULE(NAME, m)                                                                                           \
  static void gpuwheel_compat_module(pybind11::module_&);                                                                  \
  static const ::gpuwheel_compat::ModuleInit gpuwheel_compat_init(GWC_STR(NAME), &gpuwheel_compat_module);                 \
  extern "C" __attribute__((visibility("default"))) const char* gpuwheel_compat_describe() {                               \
    static std::string s; std::string n;                                                                                   \
    for (auto& x : ::gpuwheel_compat::needs()) n += (n.empty() ? "" : ", ") + ::gpuwheel_compat::quoted(x.first + "." + x.second); \
    s = "{\"ns\": \"" GWC_STR(NAME) "\", \"functions\": [" + ::gpuwheel_compat::registry().json + "], \"error\": " + ::gpuwheel_compat::quoted(::gpuwheel_compat::registry().error) + ", \"needs\": [" + n + "]}"; \
    return s.c_str(); }                                                                                                    \
  void gpuwheel_compat_module(pybind11::module_& m)
