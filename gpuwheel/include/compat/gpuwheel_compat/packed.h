// Values that travel packed: between a Value and C++. The types are those of schema.h; `given` is what C++ is called with.
#pragma once
#include <gpuwheel_compat/wire.h>

namespace gpuwheel_compat::bridge {
template <class T, class = void>
struct packed;

[[noreturn]] inline void not_packed(const char* expected) { throw Mismatch(str(expected, " is expected")); }
inline void expect(const Value& value, Value::Kind kind, const char* expected) {
  if (value.kind != kind) not_packed(expected);
}

template <>
struct packed<Tensor> {
  static Tensor from(const Value& v) {
    expect(v, Value::Kind::tensor, "a tensor");
    return v.tensor;
  }
  static ValuePtr to(const Tensor& v) { return Value::of_tensor(v); }
};
template <>
struct packed<bool> {
  static bool from(const Value& v) {
    expect(v, Value::Kind::boolean, "a bool");
    return v.magnitude != 0;
  }
  static ValuePtr to(bool v) { return Value::of_bool(v); }
};
template <class T>
struct packed<T, std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool>>> {
  static T from(const Value& v) {
    if (v.kind == Value::Kind::boolean) return static_cast<T>(v.magnitude);
    expect(v, Value::Kind::integer, "an int");
    constexpr auto most = static_cast<uint64_t>(std::numeric_limits<T>::max());
    if (v.magnitude > (v.negative ? (std::is_signed_v<T> ? most + 1 : 0) : most)) throw Mismatch("the value does not fit");
    return static_cast<T>(v.negative ? ~v.magnitude + 1 : v.magnitude);
  }
  static ValuePtr to(T v) {
    if constexpr (std::is_signed_v<T>) return Value::of_int(v);
    else return Value::of_uint(v);
  }
};
template <class T>
struct packed<T, std::enable_if_t<std::is_floating_point_v<T>>> {
  static T from(const Value& v) {
    if (v.kind == Value::Kind::integer) return static_cast<T>(v.negative ? -static_cast<double>(v.magnitude) : static_cast<double>(v.magnitude));
    expect(v, Value::Kind::real, "a float");
    return static_cast<T>(v.real);
  }
  static ValuePtr to(T v) { return Value::of_real(static_cast<double>(v)); }
};
template <>
struct packed<std::string> {
  static std::string from(const Value& v) {
    if (v.kind != Value::Kind::bytes) expect(v, Value::Kind::text, "a str");
    return v.text;
  }
  static ValuePtr to(std::string_view v) { return Value::of_text(std::string(v)); }
};
template <>
struct packed<std::string_view> : packed<std::string> {};
template <>
struct packed<const char*> {
  static CString from(const Value& v) { return packed<std::string>::from(v); }
  static ValuePtr to(const char* v) { return v ? Value::of_text(v) : Value::make(Value::Kind::none); }
};
template <size_t N>
struct packed<char[N]> : packed<const char*> {};

#define GWC_WORD(TYPE, KIND, WHAT)                                                              \
  template <>                                                                                   \
  struct packed<TYPE> {                                                                         \
    static TYPE from(const Value& v) {                                                          \
      expect(v, Value::Kind::KIND, WHAT);                                                       \
      return static_cast<TYPE>(value_of(KIND##_names, v.text, WHAT));                           \
    }                                                                                           \
    static ValuePtr to(TYPE v) {                                                                \
      return Value::of_text(word_of(KIND##_names, static_cast<int>(v), WHAT), Value::Kind::KIND); \
    }                                                                                           \
  };
GWC_WORD(ScalarType, dtype, "a dtype")
GWC_WORD(Layout, layout, "a layout")
GWC_WORD(MemoryFormat, memory_format, "a memory format")
#undef GWC_WORD
template <>
struct packed<Device> {
  static Device from(const Value& v) {
    expect(v, Value::Kind::device, "a device");
    return Device(v.text);
  }
  static ValuePtr to(const Device& v) { return Value::of_text(v.str(), Value::Kind::device); }
};
template <class C>
struct packed_complex {
  using part = typename C::value_type;
  static C from(const Value& v) {
    if (v.kind == Value::Kind::complex) return C(static_cast<part>(v.real), static_cast<part>(v.imaginary));
    return C(packed<part>::from(v), part(0));
  }
  static ValuePtr to(const C& v) {
    auto value = Value::make(Value::Kind::complex);
    value->real = static_cast<double>(v.real());
    value->imaginary = static_cast<double>(v.imag());
    return value;
  }
};
template <class T>
struct packed<std::complex<T>> : packed_complex<std::complex<T>> {};
template <class T>
struct packed<torch::headeronly::complex<T>> : packed_complex<torch::headeronly::complex<T>> {};
template <>
struct packed<Scalar> {
  template <class V>
  static Scalar from(const V&) {
    static_assert(never<V>, "c10::Scalar is no argument of a module's function, in pybind11 of torch neither: take a double or an int64_t");
    return {};
  }
  static ValuePtr to(const Scalar& v) {
    if (v.isBoolean()) return Value::of_bool(v.to<bool>());
    if (v.isIntegral(false)) return Value::of_int(v.to<int64_t>());
    if (v.isFloatingPoint()) return Value::of_real(v.to<double>());
    return packed<torch::headeronly::complex<double>>::to(v.to<torch::headeronly::complex<double>>());
  }
};
template <>
struct packed<std::monostate> {
  static std::monostate from(const Value& v) {
    expect(v, Value::Kind::none, "None");
    return {};
  }
  static ValuePtr to(std::monostate) { return Value::make(Value::Kind::none); }
};
template <>
struct packed<std::nullopt_t> {
  static ValuePtr to(std::nullopt_t) { return Value::make(Value::Kind::none); }
};
template <>
struct packed<std::nullptr_t> {
  static ValuePtr to(std::nullptr_t) { return Value::make(Value::Kind::none); }
};

template <class T>
struct packed<std::optional<T>> {
  using inner = packed<std::remove_cv_t<T>>;
  using held = decltype(inner::from(std::declval<const Value&>()));
  static std::optional<std::conditional_t<std::is_const_v<T>, const held, held>> from(const Value& v) {
    if (v.kind == Value::Kind::none) return std::nullopt;
    return inner::from(v);
  }
  static ValuePtr to(const std::optional<T>& v) { return v ? inner::to(*v) : Value::make(Value::Kind::none); }
};

inline void expect_sequence(const Value& v) {
  if (v.kind != Value::Kind::tuple) expect(v, Value::Kind::list, "a sequence");
}
template <class C>
struct packed_list {
  using T = typename C::value_type;
  static C from(const Value& v) {
    expect_sequence(v);
    C all;
    for (const auto& item : v.items) all.insert(all.end(), T(packed<bare<T>>::from(*item)));
    return all;
  }
  template <class Any>
  static ValuePtr to(const Any& v, Value::Kind kind = Value::Kind::list) {
    auto value = Value::make(kind);
    for (const auto& item : v) value->items.push_back(packed<bare<T>>::to(item));
    return value;
  }
};
template <class T>
struct packed<std::vector<T>> : packed_list<std::vector<T>> {};
template <class T>
struct packed<ArrayRef<T>> : packed_list<std::vector<T>> {};
template <class T>
struct packed<std::initializer_list<T>> : packed_list<std::vector<T>> {};
template <class... T>
struct packed<std::deque<T...>> : packed_list<std::deque<T...>> {};
template <class... T>
struct packed<std::list<T...>> : packed_list<std::list<T...>> {};
template <class T, size_t N>
struct packed<std::array<T, N>> {
  static std::array<T, N> from(const Value& v) {
    expect_sequence(v);
    if (v.items.size() != N) throw Mismatch(str("a sequence of ", N, " is expected"));
    std::array<T, N> all;
    for (size_t at = 0; at < N; ++at) all[at] = packed<T>::from(*v.items[at]);
    return all;
  }
  static ValuePtr to(const std::array<T, N>& v) { return packed_list<std::vector<T>>::to(v); }
};

template <class C>
struct packed_set {
  static C from(const Value& v) {
    expect(v, Value::Kind::set, "a set");
    C all;
    for (const auto& item : v.items) all.insert(packed<typename C::value_type>::from(*item));
    return all;
  }
  static ValuePtr to(const C& v) { return packed_list<C>::to(v, Value::Kind::set); }
};
template <class... T>
struct packed<std::set<T...>> : packed_set<std::set<T...>> {};
template <class... T>
struct packed<std::unordered_set<T...>> : packed_set<std::unordered_set<T...>> {};
template <class C>
struct packed_map {
  using K = typename C::key_type;
  using M = typename C::mapped_type;
  static C from(const Value& v) {
    expect(v, Value::Kind::dict, "a dict");
    C all;
    for (size_t at = 0; at < v.items.size(); at += 2) all.emplace(packed<K>::from(*v.items[at]), packed<M>::from(*v.items[at + 1]));
    return all;
  }
  static ValuePtr to(const C& v) {
    auto value = Value::make(Value::Kind::dict);
    for (const auto& [key, item] : v) value->items.insert(value->items.end(), {packed<K>::to(key), packed<M>::to(item)});
    return value;
  }
};
template <class K, class M>
struct packed<Dict<K, M>> {
  static Dict<K, M> from(const Value& v) {
    expect(v, Value::Kind::dict, "a dict");
    Dict<K, M> all;
    for (size_t at = 0; at < v.items.size(); at += 2) all.insert(packed<K>::from(*v.items[at]), packed<M>::from(*v.items[at + 1]));
    return all;
  }
  static ValuePtr to(const Dict<K, M>& v) {
    auto value = Value::make(Value::Kind::dict);
    for (const auto& each : v) value->items.insert(value->items.end(), {packed<K>::to(each.key()), packed<M>::to(each.value())});
    return value;
  }
};
template <class... T>
struct packed<std::map<T...>> : packed_map<std::map<T...>> {};
template <class... T>
struct packed<std::unordered_map<T...>> : packed_map<std::unordered_map<T...>> {};

template <class... T>
struct packed<std::tuple<T...>> {
  static std::tuple<T...> from(const Value& v) {
    expect_sequence(v);
    if (v.items.size() != sizeof...(T)) throw Mismatch(str("a tuple of ", sizeof...(T), " is expected"));
    return each(v, std::index_sequence_for<T...>{});
  }
  template <class... U>
  static ValuePtr to(const std::tuple<U...>& v) {
    auto value = Value::make(Value::Kind::tuple);
    std::apply([&](const auto&... item) { (value->items.push_back(packed<bare<T>>::to(item)), ...); }, v);
    return value;
  }

 private:
  template <size_t... I>
  static std::tuple<T...> each([[maybe_unused]] const Value& v, std::index_sequence<I...>) {
    return std::tuple<T...>{packed<bare<T>>::from(*v.items[I])...};
  }
};
template <class A, class B>
struct packed<std::pair<A, B>> {
  static std::pair<A, B> from(const Value& v) {
    auto both = packed<std::tuple<A, B>>::from(v);
    return {std::move(std::get<0>(both)), std::move(std::get<1>(both))};
  }
  static ValuePtr to(const std::pair<A, B>& v) { return packed<std::tuple<A, B>>::to(std::tie(v.first, v.second)); }
};
// The Python side has chosen: it sends the number of the alternative and the value, as pybind11 would have taken it.
template <class... T>
struct packed<std::variant<T...>> {
  static std::variant<T...> from(const Value& v) {
    expect(v, Value::Kind::tuple, "an alternative");
    return one(packed<size_t>::from(*v.items.at(0)), *v.items.at(1), std::index_sequence_for<T...>{});
  }
  static ValuePtr to(const std::variant<T...>& v) {
    return std::visit([](const auto& item) { return packed<bare<decltype(item)>>::to(item); }, v);
  }

 private:
  template <size_t... I>
  static std::variant<T...> one(size_t chosen, const Value& v, std::index_sequence<I...>) {
    std::optional<std::variant<T...>> found;
    (void)((chosen == I && (found.emplace(std::in_place_index<I>, packed<T>::from(v)), true)) || ...);
    if (!found) not_packed("an alternative");
    return std::move(*found);
  }
};
}  // namespace gpuwheel_compat::bridge
