// PYBIND11_MODULE, and what its body says of functions: names, defaults, docs, overloads, constants, submodules.
#pragma once
#include <gpuwheel_compat/pyobjects.h>

namespace gpuwheel_compat::python {
// --- what follows the function in m.def(...)
struct arg_v;
struct arg {
  std::string name;
  bool no_convert = false, not_none = false;
  explicit arg(const char* n = "") : name(n) {}
  arg& noconvert(bool flag = true) {
    no_convert = flag;
    return *this;
  }
  arg& none(bool flag = true) {
    not_none = !flag;
    return *this;
  }
  template <class T>
  arg_v operator=(const T& value) const;
};
struct arg_v : arg {
  ValuePtr value;
  std::string description;  // shown in the place of the value
  template <class T>
  arg_v(const char* name, const T& v, const char* described = "") : arg_v(arg(name), v, described) {}
  template <class T>
  arg_v(arg from, const T& v, const char* described = "") : arg(std::move(from)), value(value_of_any(v)), description(described) {}
  arg_v& noconvert(bool flag = true) {
    arg::noconvert(flag);
    return *this;
  }
  arg_v& none(bool flag = true) {
    arg::none(flag);
    return *this;
  }
};
template <class T>
arg_v arg::operator=(const T& value) const {
  return arg_v(*this, value);
}
namespace literals {
inline arg operator""_a(const char* name, size_t) { return arg(name); }
}  // namespace literals
struct kw_only {};
struct pos_only {};
struct name {
  const char* value;
  explicit name(const char* v) : value(v) {}
};
struct doc {
  const char* value;
  explicit doc(const char* v) : value(v) {}
};
struct scope {
  explicit scope(const object&) {}
};
struct sibling {
  explicit sibling(const object&) {}
};
// Which object of Python owns what is returned: only classes are returned by reference, and there are none here.
enum class return_value_policy : uint8_t { automatic, automatic_reference, take_ownership, copy, move, reference, reference_internal };
template <int, int>
struct keep_alive {
  static_assert(sizeof(keep_alive*) == 0, "abi = \"compat\": py::keep_alive is for classes (py::class_), which need abi = \"exact\"");
};

class gil_scoped_release {
  int held_ = StandInLock::the().release();

 public:
  explicit gil_scoped_release(bool = false) {}
  gil_scoped_release(const gil_scoped_release&) = delete;
  gil_scoped_release& operator=(const gil_scoped_release&) = delete;
  ~gil_scoped_release() {
    if (held_) StandInLock::the().lock(held_);
  }
};
class gil_scoped_acquire {
 public:
  gil_scoped_acquire() { StandInLock::the().lock(); }
  gil_scoped_acquire(const gil_scoped_acquire&) = delete;
  gil_scoped_acquire& operator=(const gil_scoped_acquire&) = delete;
  ~gil_scoped_acquire() { StandInLock::the().unlock(); }
};
template <class... Guards>
struct call_guard {};

template <class... A>
struct overload_cast_impl {
  template <class R>
  constexpr auto operator()(R (*function)(A...)) const noexcept -> R (*)(A...) {
    return function;
  }
  template <class R, class C>
  constexpr auto operator()(R (C::*function)(A...), std::false_type = {}) const noexcept -> R (C::*)(A...) {
    return function;
  }
};
template <class... A>
inline constexpr overload_cast_impl<A...> overload_cast{};
inline constexpr auto const_ = std::true_type{};

// --- what m.def(...) was told, in order
struct Told {
  std::vector<std::string> arguments;  // JSON
  std::string doc;
  int kw_only = -1, pos_only = -1;
  bool holds_gil = true;

  void take(const char* text) { doc = text ? text : ""; }
  void take(const std::string& text) { doc = text; }
  void take(const python::doc& text) { doc = text.value; }
  void take(const arg& each) { arguments.push_back(start(each) + "}"); }
  void take(const arg_v& each) {
    Writer writer;
    writer.write(*each.value);
    if (!writer.tensors.empty())
      throw Error(gpuwheel_compat::str(each.name, ": abi = \"compat\" has no default that holds a tensor; take an optional, None by default"));
    auto text = start(each) + ", \"default\": " + writer.text;
    if (!each.description.empty()) text += ", \"shown\": " + Writer::quoted(each.description);
    arguments.push_back(text + "}");
  }
  void take(python::kw_only) { kw_only = static_cast<int>(arguments.size()); }
  void take(python::pos_only) { pos_only = static_cast<int>(arguments.size()); }
  void take(return_value_policy) {}
  void take(const scope&) {}
  void take(const sibling&) {}
  void take(const python::name&) {}
  template <class... Guards>
  void take(const call_guard<Guards...>&) {
    static_assert((std::is_same_v<Guards, gil_scoped_release> && ...), "abi = \"compat\": of the guards, py::call_guard<py::gil_scoped_release> is covered");
    holds_gil = sizeof...(Guards) == 0;
  }

 private:
  static std::string start(const arg& each) {
    return "{\"name\": " + Writer::quoted(each.name) + ", \"noconvert\": " + (each.no_convert ? "true" : "false") +
           ", \"not_none\": " + (each.not_none ? "true" : "false");
  }
};
inline std::string joined(const std::vector<std::string>& all) {
  std::string text = "[";
  for (const auto& each : all) text += (text.size() > 1 ? ", " : "") + each;
  return text + "]";
}
template <class... A>
std::string described_arguments(std::tuple<A...>*) {
  return joined({schema<bare<A>>::described()...});
}
template <class X>
inline constexpr bool names_argument = std::is_base_of_v<arg, X>;
template <class T>
inline constexpr bool is_rest = std::is_same_v<T, args> || std::is_same_v<T, kwargs>;
template <class... A>
constexpr size_t rest_count(std::tuple<A...>*) {
  return (size_t{0} + ... + is_rest<bare<A>>);
}

// An operator's name is an identifier.
inline std::string as_operator(std::string made, const std::string& name) {
  for (const char c : name) made += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return made;
}
template <class... A>
std::string plain_flags(std::tuple<A...>*) {
  return joined({schema<bare<A>>::plain ? "true" : "false"...});
}
// What the Python side has to know of a function to call its operator: the end of an object of JSON.
template <class S>
std::string described_function(const std::string& operator_name, const std::string& overload, const Told& told) {
  using Arguments = typename S::arguments;
  using R = result<From::module, bare<typename S::result>>;
  return ", \"operator\": " + Writer::quoted(operator_name) + ", \"overload\": " + Writer::quoted(overload) +
         ", \"types\": " + described_arguments(static_cast<Arguments*>(nullptr)) + ", \"arguments\": " + joined(told.arguments) +
         ", \"kw_only\": " + std::to_string(told.kw_only) + ", \"pos_only\": " + std::to_string(told.pos_only) +
         ", \"packs\": " + (arguments_of<From::module, Arguments>::has_packed ? "true" : "false") +
         ", \"plain\": " + plain_flags(static_cast<Arguments*>(nullptr)) + ", \"kind\": \"" + R::kind + "\", \"result\": " + R::described() +
         ", \"doc\": " + Writer::quoted(told.doc) + "}";
}

class module_ : public object {
  std::string path_;  // of a submodule: "sub.inner"

 public:
  // What m.attr("X") = value assigns to.
  class attribute {
    std::string path_, name_;

   public:
    attribute(std::string path, std::string name) : path_(std::move(path)), name_(std::move(name)) {}
    template <class T>
    void operator=(const T& value) {
      Writer writer;
      writer.write(*value_of_any(value));
      if (!writer.tensors.empty()) throw Error(gpuwheel_compat::str(name_, ": abi = \"compat\" has no attribute of a module that holds a tensor"));
      registry().attributes.push_back("[" + Writer::quoted(path_) + ", " + Writer::quoted(name_) + ", " + writer.text + "]");
    }
  };
  // m.doc() = "..."
  class text {
    std::string path_;

   public:
    explicit text(std::string path) : path_(std::move(path)) {}
    void operator=(const std::string& to) { registry().attributes.push_back("[" + Writer::quoted(path_) + ", \"__doc__\", " + Writer::quoted(to) + "]"); }
  };

  explicit module_(std::string path) : path_(std::move(path)) {}
  text doc() const { return text(path_); }
  attribute attr(const char* name) const { return {path_, name}; }
  template <class T>
  void add_object(const char* name, const T& value, bool = false) {
    attr(name) = value;
  }
  module_ def_submodule(const char* name, const char* about = nullptr) {
    auto path = path_.empty() ? std::string(name) : path_ + "." + name;
    registry().submodules.push_back(Writer::quoted(path));
    module_ made(path);
    if (about) made.doc() = about;
    return made;
  }

  template <class F, class... X>
  module_& def(const char* name, F&& given, const X&... told) {
    using Function = std::decay_t<F>;
    using S = signature<Function>;
    using Arguments = typename S::arguments;
    constexpr size_t named = (size_t{0} + ... + names_argument<std::decay_t<X>>);
    static_assert(named == 0 || named == S::count - rest_count(static_cast<Arguments*>(nullptr)),
                  "The number of argument annotations does not match the number of function arguments");
    Told all;
    (all.take(told), ...);
    auto& all_functions = registry();
    const auto number = all_functions.numbered++;
    Function function(std::forward<F>(given));
    const auto operator_name = as_operator("f_", name);
    const auto overload = "o" + std::to_string(number);
    if (all_functions.registers) {
      const auto full = operator_name + "." + overload;
      define(own_namespace(), full + inferred_schema<From::module, S>());
      const auto call = kernel_of<From::module>(function, all.holds_gil, name);
      implement(own_namespace(), full, as_python_runs, call);
      implement(own_namespace(), full, under_vmap, call);
    }
    all_functions.functions.push_back("{\"module\": " + Writer::quoted(path_) + ", \"name\": " + Writer::quoted(name) +
                                      described_function<S>(operator_name, overload, all));
    return *this;
  }
};
using module = module_;

// m.def_submodule(...), m.attr(...) reach no module of Python while the library describes itself: the Python side makes them.
template <class E>
struct exception {
  exception(const module_&, const char*, const object& = {}) {}
};
struct PythonException {
  const char* name;
};
template <class E>
exception<E> register_exception(const module_& m, const char* name, PythonException base = {"Exception"}) {
  registry().exceptions.push_back("[" + Writer::quoted(name) + ", " + Writer::quoted(base.name) + "]");
  translators().emplace_back([type = std::string(name)](const std::exception_ptr& thrown, LastFailure& failure) {
    try {
      std::rethrow_exception(thrown);
    } catch (const E& e) {
      failure = {"." + type, e.what(), false};
      return true;
    } catch (...) {
      return false;
    }
  });
  return {m, name};
}

// --- what needs Python's own objects: refused where it is used, by its name
// Their members are there so that the compiler says this, and nothing of members.
#define GWC_MEMBER(NAME)          \
  template <class... A>           \
  Self& NAME(A&&...) {            \
    return *this;                 \
  }
#define GWC_NEEDS_PYTHON(NAME, INSTEAD)                                                                 \
  template <class T, class... More>                                                                     \
  struct NAME {                                                                                         \
    static_assert(never<T>, "py::" #NAME " is not covered by abi = \"compat\": " INSTEAD);              \
    using Self = NAME;                                                                                  \
    template <class... A>                                                                               \
    explicit NAME(A&&...) {}                                                                            \
    GWC_MEMBER(def) GWC_MEMBER(def_static) GWC_MEMBER(def_readonly) GWC_MEMBER(def_readwrite)           \
    GWC_MEMBER(def_property) GWC_MEMBER(def_property_readonly) GWC_MEMBER(value) GWC_MEMBER(export_values) \
  };
GWC_NEEDS_PYTHON(class_, "keep the class in C++ and pass numbers or tensors as its handle, or use abi = \"exact\"")
GWC_NEEDS_PYTHON(enum_, "take an int, and set its names with m.attr(\"NAME\") = value, or use abi = \"exact\"")
GWC_NEEDS_PYTHON(array_t, "take at::Tensor (torch.from_numpy in Python), or use abi = \"exact\"")
#undef GWC_NEEDS_PYTHON
#undef GWC_MEMBER
struct only_for_classes {};
template <class... A>
only_for_classes init(A...) {
  return {};
}
template <class... A>
void print(A&&...) {
  static_assert(sizeof...(A) == 99, "py::print is not covered by abi = \"compat\": write to std::cout");
}
}  // namespace gpuwheel_compat::python

namespace gpuwheel_compat::bridge {
template <class... T>
struct schema<python::array_t<T...>> {
  static_assert(never<python::array_t<T...>>, "py::array_t is not covered by abi = \"compat\": take at::Tensor (torch.from_numpy in Python), or use abi = \"exact\"");
};

// The module of this library, as JSON. With `registers`, its functions become operators; a build only asks what there is.
inline const char* open_module(bool registers) {
  static auto* text = new std::string;
  auto& all = registry();
  std::lock_guard<std::mutex> guard(all.mutex);
  if (!text->empty()) return text->c_str();
  LastFailure failed{all.error_type, all.error, false};
  all.registers = registers;
  if (all.body && failed.type.empty()) {
    try {
      all.body();
    } catch (...) {
      remember(std::current_exception());
      failed = last_failure();
    }
  }
  *text = "{\"namespace\": " + Writer::quoted(own_namespace()) + ", \"functions\": " + python::joined(all.functions) + ", \"attributes\": " +
          python::joined(all.attributes) + ", \"submodules\": " + python::joined(all.submodules) + ", \"exceptions\": " + python::joined(all.exceptions) +
          ", \"error_type\": " + Writer::quoted(failed.type) + ", \"error\": " + Writer::quoted(failed.text) + "}";
  return text->c_str();
}
// Operators that Python implements by those of the library (`library.h`), as JSON.
inline const char* described_operators() {
  static const auto* text = new std::string("{\"namespace\": " + Writer::quoted(own_namespace()) + ", \"operators\": " +
                                            python::joined(registry().operators) + "}");
  return text->c_str();
}
}  // namespace gpuwheel_compat::bridge

// What the Python side calls by ctypes. Sources with a module or a library in them refer to these; the linker keeps one each.
#define GWC_EXPORTED __attribute__((visibility("default"))) inline
extern "C" {
GWC_EXPORTED const char* gpuwheel_compat_open(int registers) { return ::gpuwheel_compat::bridge::open_module(registers != 0); }
GWC_EXPORTED const char* gpuwheel_compat_operators() { return ::gpuwheel_compat::bridge::described_operators(); }
// The type of what the last failed call of this thread threw: "" if none did since this was asked, "!" if an argument was refused.
GWC_EXPORTED const char* gpuwheel_compat_failure() {
  thread_local std::string type;
  auto& failure = ::gpuwheel_compat::bridge::last_failure();
  type = failure.mismatch ? "!" : failure.type;
  failure.type.clear();
  failure.mismatch = false;
  return type.c_str();
}
GWC_EXPORTED const char* gpuwheel_compat_failure_text() { return ::gpuwheel_compat::bridge::last_failure().text.c_str(); }
GWC_EXPORTED void gpuwheel_compat_upper_half(int sends) { ::gpuwheel_compat::bridge::sends_upper_half() = sends != 0; }
}

namespace gpuwheel_compat::bridge {
struct Exported {
  const void* all[5] = {reinterpret_cast<const void*>(&gpuwheel_compat_open), reinterpret_cast<const void*>(&gpuwheel_compat_operators),
                        reinterpret_cast<const void*>(&gpuwheel_compat_failure),
                        reinterpret_cast<const void*>(&gpuwheel_compat_failure_text),
                        reinterpret_cast<const void*>(&gpuwheel_compat_upper_half)};
};
struct ModuleBody : Exported {
  explicit ModuleBody(void (*body)(python::module_&)) {
    registry().body = [body] {
      python::module_ module("");
      body(module);
    };
  }
};
}  // namespace gpuwheel_compat::bridge
#define PYBIND11_MODULE(NAME, VARIABLE, ...)                                                         \
  static void gwc_module_body(::gpuwheel_compat::python::module_&);                                  \
  __attribute__((used)) static const ::gpuwheel_compat::bridge::ModuleBody gwc_module(&gwc_module_body);     \
  void gwc_module_body([[maybe_unused]] ::gpuwheel_compat::python::module_& VARIABLE)

namespace pybind11 {
using namespace ::gpuwheel_compat::python;
namespace literals {
using namespace ::gpuwheel_compat::python::literals;
}
}  // namespace pybind11
namespace py = pybind11;
