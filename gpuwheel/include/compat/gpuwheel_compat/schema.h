// What a C++ type is called: in a schema of the dispatcher, and for the Python side, which checks arguments as pybind11 did.
//
// A type is `plain` where a schema has one for it; it then travels by itself (wire.h). All others travel as one packed
// text (value.h). A type that is neither cannot be an argument or a result, and says so where it is compiled.
#pragma once
#include <gpuwheel_compat/dict.h>
#include <gpuwheel_compat/value.h>

#include <complex>
#include <list>
#include <variant>

namespace gpuwheel_compat::bridge {
template <class T>
using bare = std::remove_cv_t<std::remove_reference_t<T>>;
template <class T>
inline constexpr bool never = false;

// `described` is JSON: a name, or a list of a name and what it is made of.
template <class T, class = void>
struct schema {
  static_assert(never<T>,
                "abi = \"compat\" cannot carry this type between Python and C++: use tensors, numbers, bool, std::string, "
                "std::vector, array, optional, tuple, pair, map, set, variant, dtypes, devices or py::list, dict, tuple, str, "
                "bytes of these; classes (py::class_), numpy arrays (py::array) and callbacks (py::function) need abi = \"exact\"");
};
#define GWC_PLAIN(TYPE, NAME, DESCRIBED)                                    \
  template <>                                                               \
  struct schema<TYPE> {                                                     \
    static constexpr bool plain = true;                                     \
    static std::string name() { return NAME; }                              \
    static std::string described() { return "\"" DESCRIBED "\""; }          \
  };
GWC_PLAIN(Tensor, "Tensor", "Tensor")
GWC_PLAIN(bool, "bool", "bool")
GWC_PLAIN(double, "float", "float")
GWC_PLAIN(float, "float", "float")
GWC_PLAIN(std::string, "str", "str")
GWC_PLAIN(std::string_view, "str", "str")
GWC_PLAIN(const char*, "str", "str")
// As its key: torch hands generators over from 2.13 on alone.
GWC_PLAIN(Generator, "int", "Generator")
#undef GWC_PLAIN

// Integers: all as int; the Python side knows their range, to say what does not fit as pybind11 did.
template <class T>
struct schema<T, std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool> && !std::is_same_v<T, char>>> {
  static constexpr bool plain = true;
  static std::string name() { return "int"; }
  static std::string described() {
    return str("[\"int\",", std::is_signed_v<T> ? "true" : "false", ",", sizeof(T) * 8, "]");
  }
};

#define GWC_PACKED(TYPE, DESCRIBED)                                         \
  template <>                                                               \
  struct schema<TYPE> {                                                     \
    static constexpr bool plain = false;                                    \
    static std::string described() { return "\"" DESCRIBED "\""; }          \
  };
GWC_PACKED(ScalarType, "dtype")
GWC_PACKED(Device, "device")
GWC_PACKED(Layout, "layout")
GWC_PACKED(MemoryFormat, "memory_format")
GWC_PACKED(Scalar, "Scalar")
GWC_PACKED(std::complex<double>, "complex")
GWC_PACKED(std::complex<float>, "complex")
GWC_PACKED(torch::headeronly::complex<double>, "complex")
GWC_PACKED(torch::headeronly::complex<float>, "complex")
GWC_PACKED(std::monostate, "None")

// A list is plain where what it holds is; lists in lists are not: the C ABI of 2.10 has them, but not of Tensor(a!)[].
template <class T, bool Plain>
struct list_schema {
  static constexpr bool plain = false;
};
template <class T>
struct list_schema<T, true> {
  static constexpr bool plain = true;
  static std::string name() { return schema<T>::name() + "[]"; }
};
template <class T>
inline constexpr bool is_element = schema<T>::plain;
template <class T>
inline constexpr bool is_element<std::vector<T>> = false;
template <class T, size_t N>
inline constexpr bool is_element<std::array<T, N>> = false;
template <class T>
inline constexpr bool is_element<ArrayRef<T>> = false;
template <class T>
inline constexpr bool is_element<std::optional<T>> = std::is_same_v<T, Tensor>;

template <class T>
struct schema<std::vector<T>> : list_schema<T, is_element<T>> {
  static std::string described() { return "[\"list\"," + schema<T>::described() + "]"; }
};
template <class T>
struct schema<ArrayRef<T>> : schema<std::vector<T>> {};
template <class T, size_t N>
struct schema<std::array<T, N>> : list_schema<T, is_element<T>> {
  static std::string described() { return str("[\"array\",", schema<T>::described(), ",", N, "]"); }
};
template <class T, bool Plain>
struct optional_schema {
  static constexpr bool plain = false;
};
template <class T>
struct optional_schema<T, true> {
  static constexpr bool plain = true;
  static std::string name() { return schema<T>::name() + "?"; }
};
template <class T>
struct schema<std::optional<T>> : optional_schema<bare<T>, schema<bare<T>>::plain> {  // also of a const T
  static std::string described() { return "[\"optional\"," + schema<bare<T>>::described() + "]"; }
};
template <class... T>
std::string described_all(const char* kind) {
  std::string all = str("[\"", kind, "\"");
  ((all += "," + schema<bare<T>>::described()), ...);
  return all + "]";
}
template <class... T>
struct schema<std::tuple<T...>> {
  static constexpr bool plain = false;
  static std::string described() { return described_all<T...>("tuple"); }
};
template <class A, class B>
struct schema<std::pair<A, B>> : schema<std::tuple<A, B>> {};
template <class... T>
struct schema<std::variant<T...>> {
  static constexpr bool plain = false;
  static std::string described() { return described_all<T...>("variant"); }
};
#define GWC_CONTAINER(TEMPLATE, KIND)                                       \
  template <class... T>                                                     \
  struct schema<TEMPLATE<T...>> {                                           \
    static constexpr bool plain = false;                                    \
    static std::string described() { return contained<TEMPLATE<T...>>(KIND); } \
  };
template <class C, class = void>
struct contents {
  static std::string text() { return schema<typename C::value_type>::described(); }
};
template <class C>
struct contents<C, std::void_t<typename C::mapped_type>> {
  static std::string text() { return schema<typename C::key_type>::described() + "," + schema<typename C::mapped_type>::described(); }
};
template <class C>
std::string contained(const char* kind) {
  return str("[\"", kind, "\",", contents<C>::text(), "]");
}
GWC_CONTAINER(std::map, "dict")
GWC_CONTAINER(std::unordered_map, "dict")
GWC_CONTAINER(Dict, "dict")
GWC_CONTAINER(std::set, "set")
GWC_CONTAINER(std::unordered_set, "set")
GWC_CONTAINER(std::deque, "list")
GWC_CONTAINER(std::list, "list")
#undef GWC_CONTAINER

// Functions of a module are called by our Python side alone, which packs what no schema has. Operators of TORCH_LIBRARY have
// schemas of their own: there, dtypes and the like have types, and nothing can be packed.
enum class From { module, library };
template <From from, class T>
struct travels : schema<T> {};
#define GWC_LIBRARY_TYPE(TYPE)                                              \
  template <>                                                               \
  struct travels<From::library, TYPE> {                                     \
    static constexpr bool plain = true;                                     \
    static std::string name() { return #TYPE; }                             \
  };
GWC_LIBRARY_TYPE(ScalarType)
GWC_LIBRARY_TYPE(Device)
GWC_LIBRARY_TYPE(Layout)
GWC_LIBRARY_TYPE(MemoryFormat)
#undef GWC_LIBRARY_TYPE
template <class T>
struct travels<From::library, std::optional<T>> {
  static constexpr bool plain = travels<From::library, bare<T>>::plain;
  static std::string name() { return travels<From::library, bare<T>>::name() + "?"; }
};

// What an operator of TORCH_LIBRARY may take and give: beside what travels by itself also dictionaries, tuples and lists of
// lists, which a schema has and torch's C ABI has not. Python then takes the call, and hands it on packed (`library.h`).
template <class T, class = void>
struct declared {
  static constexpr bool is = travels<From::library, T>::plain;
  static std::string name() { return travels<From::library, T>::name(); }
};
template <class K, class V>
struct declared<Dict<K, V>> {
  static constexpr bool is = declared<V>::is;
  static std::string name() { return "Dict(" + declared<K>::name() + ", " + declared<V>::name() + ")"; }
};
template <class T>
struct declared<std::optional<T>, std::enable_if_t<!travels<From::library, std::optional<T>>::plain>> : declared<bare<T>> {
  static std::string name() { return declared<bare<T>>::name() + "?"; }
};
template <class T>
struct declared<std::vector<T>, std::enable_if_t<!travels<From::library, std::vector<T>>::plain>> : declared<T> {
  static std::string name() { return declared<T>::name() + "[]"; }
};
template <class... T>
struct declared<std::tuple<T...>> {
  static constexpr bool is = (declared<bare<T>>::is && ...);
  static std::vector<std::string> names() { return {declared<bare<T>>::name()...}; }
  static std::string name() {
    std::string all;
    for (const auto& each : names()) all += (all.empty() ? "" : ", ") + each;
    return "(" + all + ")";
  }
};
template <class A, class B>
struct declared<std::pair<A, B>> : declared<std::tuple<A, B>> {};
template <>
struct declared<void> {
  static constexpr bool is = true;
  static std::string name() { return "()"; }
};
}  // namespace gpuwheel_compat::bridge
