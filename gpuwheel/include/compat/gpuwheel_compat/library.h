// TORCH_LIBRARY, TORCH_LIBRARY_FRAGMENT, TORCH_LIBRARY_IMPL and RegisterOperators: operators by their own schemas.
//
// Their bodies run while the library is loaded. An exception there would end the process: it is kept,
// told on the standard error, and raised at import.
#pragma once
#include <gpuwheel_compat/pybind.h>

namespace gpuwheel_compat {
enum class DispatchKey : uint16_t {
  CPU, CUDA, HIP, XLA, MPS, XPU, Meta, PrivateUse1, QuantizedCPU, QuantizedCUDA, SparseCPU, SparseCUDA, MkldnnCPU,
  AutogradCPU, AutogradCUDA, AutogradOther, Autograd, AutocastCPU, AutocastCUDA, BackendSelect, ADInplaceOrView,
  CatchAll, CompositeImplicitAutograd, CompositeExplicitAutograd, CompositeExplicitAutogradNonFunctional,
};
inline const char* toString(DispatchKey key) {
  static constexpr const char* names[] = {"CPU", "CUDA", "HIP", "XLA", "MPS", "XPU", "Meta", "PrivateUse1", "QuantizedCPU",
      "QuantizedCUDA", "SparseCPU", "SparseCUDA", "MkldnnCPU", "AutogradCPU", "AutogradCUDA", "AutogradOther", "Autograd",
      "AutocastCPU", "AutocastCUDA", "BackendSelect", "ADInplaceOrView", "CompositeImplicitAutograd",
      "CompositeImplicitAutograd", "CompositeExplicitAutograd", "CompositeExplicitAutogradNonFunctional"};
  return names[static_cast<size_t>(key)];
}
namespace bridge {
inline std::string key_of(DispatchKey key) { return toString(key); }
inline std::string key_of(DeviceType type) {
  switch (type) {
    case DeviceType::CPU: return "CPU";
    case DeviceType::CUDA: return "CUDA";
    case DeviceType::Meta: return "Meta";
    case DeviceType::XPU: return "XPU";
    case DeviceType::MPS: return "MPS";
    case DeviceType::PrivateUse1: return "PrivateUse1";
    default: throw Error(str("no dispatch key is known for the device type ", type));
  }
}
}  // namespace bridge

namespace bridge {
// A function that is a template argument: TORCH_FN(f).
template <auto f>
struct CompileTimeFunction;
template <class R, class... A, R (*f)(A...)>
struct CompileTimeFunction<f> {
  R operator()(A... a) const { return f(static_cast<A&&>(a)...); }
};
}  // namespace bridge
#define TORCH_FN(f) (::gpuwheel_compat::bridge::CompileTimeFunction<&f>{})
#define TORCH_FN_TYPE(f) ::gpuwheel_compat::bridge::CompileTimeFunction<&f>

namespace bridge {
// The types of a schema's arguments or results, without names, defaults, alias marks and lengths.
inline std::string type_of(const std::string& argument) {
  std::string type;
  int parentheses = 0;
  bool in_length = false;  // "int[2]" is "int[]"
  bool in_dict = false;    // "Dict(str, Tensor)" is "Dict(str,Tensor)"; or in a tuple
  for (char c : argument) {
    if (c == '(' && ++parentheses == 1) in_dict = type.empty() || type == "Dict";
    if (c == ')') --parentheses;
    if (in_dict) {
      if (c != ' ') type += c;
      in_dict = parentheses > 0;
    }
    else if (parentheses > 0 || c == ')') continue;  // "Tensor(a -> *)" is "Tensor"
    else if ((c == ' ' || c == '=') && !type.empty()) break;  // its name follows
    else if (c == ' ') continue;
    else if (c == ']') in_length = false, type += c;
    else if (!in_length) in_length = c == '[', type += c;
  }
  return type.rfind("SymInt", 0) == 0 ? "int" + type.substr(6) : type;
}
inline std::vector<std::string> types_of(const std::string& list) {
  std::vector<std::string> all;
  std::string now;
  int depth = 0;
  char quote = 0;
  const auto end = [&] {
    auto type = type_of(now);
    if (!type.empty() && type != "*") all.push_back(std::move(type));
    now.clear();
  };
  for (size_t at = 0; at < list.size(); ++at) {
    const char c = list[at];
    if (quote) quote = c == quote && list[at - 1] != '\\' ? 0 : quote;
    else if (c == '"' || c == '\'') quote = c;
    else depth += (c == '(' || c == '[') - (c == ')' || c == ']');
    if (c == ',' && depth == 0 && !quote) end();
    else now += c;
  }
  end();
  return all;
}
template <class T>
struct decayed_types;
template <class... A>
struct decayed_types<std::tuple<A...>> {
  using type = std::tuple<bare<A>...>;
};
template <class Arguments>
using decayed = typename decayed_types<Arguments>::type;
}  // namespace bridge

// A kernel, and for which key.
class CppFunction {
  std::string key_, inner_schema_;
  std::function<std::string(const std::string&, const std::string&)> describe_;

 public:
  std::function<bridge::Trampoline(const std::string& name)> make;
  std::vector<std::string> types;  // as a schema has them
  std::string result, schema;

  template <class F, std::enable_if_t<!std::is_base_of_v<CppFunction, std::decay_t<F>>, int> = 0>
  CppFunction(F&& given) {
    using namespace bridge;
    using Function = std::decay_t<F>;
    using S = signature<Function>;
    using Arguments = typename S::arguments;
    using R = bridge::result<From::library, bare<typename S::result>>;
    constexpr bool is_direct = !arguments_of<From::library, Arguments>::has_packed && std::string_view(R::kind) != "packed";
    static_assert(is_direct || (declared<decayed<Arguments>>::is && declared<bare<typename S::result>>::is),
                  "abi = \"compat\": operators of TORCH_LIBRARY take and give tensors, numbers, bool, str, dtypes, devices, lists and "
                  "optionals of these, c10::Dict and tuples of these; at::Scalar cannot cross torch's C ABI (take a double)");
    constexpr auto travelling = is_direct ? From::library : From::module;
    make = [function = Function(std::forward<F>(given))](const std::string& name) mutable {
      return kernel_of<travelling>(function, false, name);
    };
    if constexpr (is_direct) {
      types = schema_types<From::library>(static_cast<Arguments*>(nullptr));
      result = R::name();
      schema = inferred_schema<From::library, S>();
    } else {
      types = declared<decayed<Arguments>>::names();
      result = declared<bare<typename S::result>>::name();
      schema = schema_of(types) + " -> " + result;
      for (auto& type : types) type = type_of(type);
      inner_schema_ = inferred_schema<From::module, S>();
      describe_ = [](const std::string& name, const std::string& overload) { return python::described_function<S>(name, overload, {}); };
    }
  }
  // By itself; or an operator of our own, which Python calls from the one that is asked for.
  void implement(const std::string& space, const std::string& name, const std::string& for_key) const {
    using namespace bridge;
    if (inner_schema_.empty()) return bridge::implement(space, name, for_key.c_str(), make(name));
    auto& all = registry();
    const auto inner = python::as_operator("l_", name), overload = "o" + std::to_string(all.numbered++);
    define(own_namespace(), inner + "." + overload + inner_schema_);
    bridge::implement(own_namespace(), inner + "." + overload, as_python_runs, make(name));
    all.operators.push_back("{\"key\": " + Writer::quoted(for_key) + ", \"name\": " + Writer::quoted(space + "::" + name) + describe_(inner, overload));
  }
  CppFunction&& with_key(std::string key) && {
    key_ = std::move(key);
    return std::move(*this);
  }
  const std::string& key() const { return key_; }

  template <class F>
  static CppFunction makeFromUnboxedFunction(F function) {
    return CppFunction(function);
  }
  template <class T = void>
  static CppFunction makeFallthrough() {
    static_assert(bridge::never<T>, "abi = \"compat\": torch's C ABI has no fallthrough kernels; torch.library.fallthrough_kernel in Python makes them");
    return std::declval<CppFunction>();
  }
  template <auto f>
  static CppFunction makeFromBoxedFunction() {
    static_assert(f == nullptr, "abi = \"compat\": boxed kernels (torch::jit::Stack) cannot cross torch's C ABI; write the arguments out");
    return std::declval<CppFunction>();
  }
};
template <class Key, class F>
CppFunction dispatch(Key key, F&& function) {
  return CppFunction(std::forward<F>(function)).with_key(bridge::key_of(key));
}

class Library {
  std::string space_, key_;

  static std::string joined(const std::vector<std::string>& all) {
    std::string text;
    for (const auto& each : all) text += (text.empty() ? "" : ", ") + each;
    return text;
  }
  // A kernel reads the stack by its C++ types: another schema would be read as what it is not.
  static void check(const std::string& schema, const CppFunction& function) {
    const auto open = schema.find('('), arrow = schema.rfind("->");
    const auto close = schema.rfind(')', arrow == std::string::npos ? arrow : arrow - 1);
    if (open == std::string::npos || close == std::string::npos || arrow == std::string::npos) return;  // torch says what is wrong
    auto out = schema.substr(arrow + 2);
    out = out.substr(std::min(out.size(), out.find_first_not_of(' ')));
    const auto bare_list = [](const std::string& text) {
      return !text.empty() && text.front() == '(' && text.back() == ')' ? text.substr(1, text.size() - 2) : text;
    };
    const auto declared = bridge::types_of(schema.substr(open + 1, close - open - 1)), results = bridge::types_of(bare_list(out));
    if (declared == function.types && results == bridge::types_of(bare_list(function.result))) return;
    throw Error(str("Inferred operator schema for a C++ kernel function doesn't match the expected function schema.\n  operator: ", schema,
                    "\n  expected schema: (", joined(declared), ") -> (", joined(results), ")\n  inferred schema: (", joined(function.types), ") -> ",
                    function.result));
  }
  std::pair<std::string, std::string> split(const std::string& name) const {
    const auto at = name.substr(0, name.find('(')).find("::");
    if (at == std::string::npos) return {space_, name};
    return {name.substr(0, at), name.substr(at + 2)};
  }

 public:
  Library(std::string space, std::string key) : space_(std::move(space)), key_(std::move(key)) {}

  Library& def(const std::string& schema) & {
    const auto [space, rest] = split(schema);
    bridge::define(space, rest);
    schemas()[space + "::" + rest.substr(0, rest.find('('))] = rest;
    return *this;
  }
  // With a schema, as it is written; with a name alone, what the C++ types say.
  Library& def(const std::string& name_or_schema, CppFunction function) & {
    const auto [space, rest] = split(name_or_schema);
    const auto name = rest.substr(0, rest.find('('));
    const bool is_schema = rest.find('(') != std::string::npos;
    if (is_schema) check(rest, function);
    def(space + "::" + (is_schema ? rest : name + function.schema));
    function.implement(space, name, function.key().empty() ? bridge::as_python_runs : function.key());
    return *this;
  }
  Library& impl(const std::string& name, CppFunction function) & {
    const auto [space, rest] = split(name);
    const auto known = schemas().find(space + "::" + rest);
    if (known != schemas().end()) check(known->second, function);
    const auto& key = function.key().empty() ? key_ : function.key();
    function.implement(space, rest, key.empty() ? bridge::as_python_runs : key);
    return *this;
  }
  template <class Key, class F>
  Library& impl(const std::string& name, Key key, F&& function) & {
    return impl(name, dispatch(key, std::forward<F>(function)));
  }
  template <class F>
  Library& fallback(F&&) & {
    static_assert(bridge::never<F>, "abi = \"compat\": torch's C ABI has no fallbacks for all operators; torch.library in Python has");
    return *this;
  }
  template <class T = void>
  Library& set_python_module(const char*, const char* = "") & {
    static_assert(bridge::never<T>, "abi = \"compat\": set_python_module needs torch 2.13; import the module in Python");
    return *this;
  }

 private:
  static std::unordered_map<std::string, std::string>& schemas() {
    static auto* all = new std::unordered_map<std::string, std::string>;
    return *all;
  }
};
inline const std::string& schema(const std::string& text) { return text; }

namespace bridge {
// Runs a body while the library is loaded.
struct LibraryBody : Exported {
  enum class Kind { whole, fragment, implementations };
  LibraryBody(Kind kind, const char* space, const char* key, void (*body)(Library&), const char* file, uint32_t line) {
    guarded(str("TORCH_LIBRARY(", space, ")"), [&] {
      if (kind == Kind::whole) {
        TorchLibraryHandle library;  // stays, and keeps others from the namespace, as with the classic macro
        GWC_OK(aoti_torch_library_init_def(space, file, line, &library));
      }
      Library library(space, key);
      body(library);
    });
  }
  template <class F>
  static void guarded(const std::string& what, F&& run) {
    auto& all = registry();
    try {
      run();
    } catch (...) {
      remember(std::current_exception());
      if (all.error.empty()) {
        all.error = what + ": " + last_failure().text;
        all.error_type = "ImportError";
        // Who loads the library by torch.ops.load_library imports nothing: that says it has loaded, and this that it has not all.
        aoti_torch_warn(__func__, __FILE__, __LINE__, all.error.c_str());
      }
      last_failure() = {};
    }
  }
};
}  // namespace bridge

#define GWC_NAME2(a, b) a##b
#define GWC_NAME(a, b) GWC_NAME2(a, b)
#define GWC_LIBRARY(KIND, SPACE, KEY, VARIABLE, NUMBER)                                                                   \
  static void GWC_NAME(gwc_library_body_, NUMBER)(::gpuwheel_compat::Library&);                                          \
  __attribute__((used)) static const ::gpuwheel_compat::bridge::LibraryBody GWC_NAME(gwc_library_, NUMBER)(                      \
      ::gpuwheel_compat::bridge::LibraryBody::Kind::KIND, SPACE, KEY, &GWC_NAME(gwc_library_body_, NUMBER), __FILE__, __LINE__); \
  void GWC_NAME(gwc_library_body_, NUMBER)([[maybe_unused]] ::gpuwheel_compat::Library & VARIABLE)
#undef TORCH_LIBRARY
#undef TORCH_LIBRARY_FRAGMENT
#undef TORCH_LIBRARY_IMPL
#define TORCH_LIBRARY(SPACE, VARIABLE) GWC_LIBRARY(whole, #SPACE, "", VARIABLE, __COUNTER__)
#define TORCH_LIBRARY_FRAGMENT(SPACE, VARIABLE) GWC_LIBRARY(fragment, #SPACE, "", VARIABLE, __COUNTER__)
#define TORCH_LIBRARY_IMPL(SPACE, KEY, VARIABLE) GWC_LIBRARY(implementations, #SPACE, #KEY, VARIABLE, __COUNTER__)
#define TORCH_LIBRARY_EXPAND(SPACE, VARIABLE) TORCH_LIBRARY(SPACE, VARIABLE)
#define TORCH_LIBRARY_IMPL_EXPAND(SPACE, KEY, VARIABLE) TORCH_LIBRARY_IMPL(SPACE, KEY, VARIABLE)
// Nothing is left out of a build here.
#define TORCH_SELECTIVE_NAME(name) name
#define TORCH_SELECTIVE_SCHEMA(schema) schema

// The older way to register: `static auto registry = torch::RegisterOperators("ns::name", &f).op(...)`.
class RegisterOperators : public bridge::Exported {
 public:
  RegisterOperators() = default;
  template <class F>
  RegisterOperators(const std::string& name_or_schema, F&& function) {
    op(name_or_schema, std::forward<F>(function));
  }
  template <class F>
  RegisterOperators& op(const std::string& name_or_schema, F&& function) & {
    bridge::LibraryBody::guarded(str("RegisterOperators(", name_or_schema, ")"), [&] {
      Library library("", "");
      library.def(name_or_schema, CppFunction(std::forward<F>(function)));
    });
    return *this;
  }
  template <class F>
  RegisterOperators&& op(const std::string& name_or_schema, F&& function) && {
    return std::move(op(name_or_schema, std::forward<F>(function)));
  }
  template <class T = void>
  static void options() {
    static_assert(bridge::never<T>, "abi = \"compat\": RegisterOperators::options() is not covered; use TORCH_LIBRARY and TORCH_LIBRARY_IMPL");
  }
};
}  // namespace gpuwheel_compat
namespace torch::jit {
using RegisterOperators = ::gpuwheel_compat::RegisterOperators;
}
