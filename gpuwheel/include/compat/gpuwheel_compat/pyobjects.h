// py::list, dict, tuple, set, str, bytes, int_, float_, bool_, none and object, where they carry values.
//
// They hold a Value, not an object of Python: what comes from Python is a copy, which may be read but not changed (the
// change would be lost, so it is refused), and what goes there becomes a new object.
#pragma once
#include <gpuwheel_compat/module.h>

namespace gpuwheel_compat::python {
using namespace bridge;
using Kind = Value::Kind;

// Exceptions of Python by their names.
#define GWC_RAISES(NAME, PYTHON)                                            \
  class NAME : public Error {                                               \
   public:                                                                  \
    explicit NAME(const std::string& text = "") : Error(text) {}            \
    const char* python_type() const noexcept override { return PYTHON; }    \
  };
GWC_RAISES(stop_iteration, "StopIteration")
GWC_RAISES(index_error, "IndexError")
GWC_RAISES(key_error, "KeyError")
GWC_RAISES(value_error, "ValueError")
GWC_RAISES(type_error, "TypeError")
GWC_RAISES(buffer_error, "BufferError")
GWC_RAISES(import_error, "ImportError")
GWC_RAISES(attribute_error, "AttributeError")
GWC_RAISES(cast_error, "RuntimeError")
GWC_RAISES(reference_cast_error, "RuntimeError")
#undef GWC_RAISES

template <class T, class = void>
inline constexpr bool is_value = false;
template <class T>
inline constexpr bool is_value<T, std::void_t<decltype(packed<T>::from(std::declval<const Value&>()))>> = true;

class object;
template <class T>
T cast(const object& from);
template <class T>
object cast(const T& from);

class object {
 protected:
  ValuePtr value_ = Value::make(Kind::none);
  bool is_null_ = false;  // as py::object() is, and py::none() is not

 public:
  object() : is_null_(true) {}
  explicit object(ValuePtr value) : value_(std::move(value)) {}
  // Every change of a container begins so.
  void writes() const {
    if (value_->given)
      throw type_error("abi = \"compat\": a list or dict that comes from Python is a copy here, so that a change would be lost; return a new one");
  }
  const ValuePtr& value() const { return value_; }
  bool is_none() const { return value_->kind == Kind::none; }
  bool is(const object& other) const { return value_ == other.value_ || (is_none() && other.is_none()); }
  explicit operator bool() const { return !is_null_; }
  template <class T>
  T cast() const {
    return python::cast<T>(*this);
  }
  template <class T, std::enable_if_t<is_value<T>, int> = 0>
  operator T() const {
    return python::cast<T>(*this);
  }
  // What needs Python itself.
  template <class... A>
  object attr(A&&...) const {
    static_assert(sizeof...(A) == 99, "abi = \"compat\": attributes of Python objects cannot be read here; pass the values as arguments");
    return *this;
  }
  template <class... A>
  object operator()(A&&...) const {
    static_assert(sizeof...(A) == 99, "abi = \"compat\": C++ cannot call Python objects; call from Python, and hand tensors over");
    return *this;
  }
};
using handle = object;

template <class T>
T cast(const object& from) {
  if constexpr (std::is_base_of_v<object, T>) return T(from);
  else {
    try {
      return packed<bare<T>>::from(*from.value());
    } catch (const Mismatch&) {
      throw cast_error("Unable to cast Python instance to C++ type (#define PYBIND11_DETAILED_ERROR_MESSAGES or compile in debug mode for details)");
    }
  }
}
template <class T>
object cast(const T& from) {
  if constexpr (std::is_base_of_v<object, T>) return from;
  else return object(packed<bare<T>>::to(from));
}
template <class T>
ValuePtr value_of_any(const T& from) {
  return cast(from).value();
}

// An object of one kind. From another kind it is made as Python would, where that is plain, or refused.
#define GWC_OBJECT(NAME, KIND)                                                                  \
  NAME() : object(Value::make(KIND)) {}                                                         \
  explicit NAME(ValuePtr value) : object(std::move(value)) {}                                   \
  NAME(const object& from) : object(from) {                                                     \
    if (value_->kind != KIND) throw type_error("Object is not an instance of '" #NAME "'");    \
  }                                                                                             \
  static constexpr Kind kind = KIND

class none : public object {
 public:
  none() : object(Value::make(Kind::none)) {}
  none(const object& from) : object(from) {}
};

class str : public object {
 public:
  GWC_OBJECT(str, Kind::text);
  str(const char* from) : object(Value::of_text(from)) {}
  str(const std::string& from) : object(Value::of_text(from)) {}
  operator std::string() const { return value_->text; }
};
class bytes : public object {
 public:
  GWC_OBJECT(bytes, Kind::bytes);
  bytes(const char* from) : object(Value::of_text(from, Kind::bytes)) {}
  bytes(const char* from, size_t size) : object(Value::of_text(std::string(from, size), Kind::bytes)) {}
  bytes(const std::string& from) : object(Value::of_text(from, Kind::bytes)) {}
  operator std::string() const { return value_->text; }
};
class int_ : public object {
 public:
  int_() : object(Value::make(Kind::integer)) {}
  explicit int_(ValuePtr value) : object(std::move(value)) {}
  int_(const object& from) : object(from) {  // a bool is an int
    if (value_->kind != Kind::integer && value_->kind != Kind::boolean) throw type_error("Object is not an instance of 'int_'");
  }
  static constexpr Kind kind = Kind::integer;
  template <class T, std::enable_if_t<std::is_integral_v<T>, int> = 0>
  int_(T from) : object(std::is_signed_v<T> ? Value::of_int(static_cast<int64_t>(from)) : Value::of_uint(static_cast<uint64_t>(from))) {}
  template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>
  operator T() const {
    return python::cast<T>(*this);
  }
};
class float_ : public object {
 public:
  GWC_OBJECT(float_, Kind::real);
  float_(double from) : object(Value::of_real(from)) {}
  operator double() const { return value_->real; }
  operator float() const { return static_cast<float>(value_->real); }
};
class bool_ : public object {
 public:
  GWC_OBJECT(bool_, Kind::boolean);
  bool_(bool from) : object(Value::of_bool(from)) {}
  operator bool() const { return value_->magnitude != 0; }
};

// One item of a container, which may be written to.
class item : public object {
  ValuePtr container_;
  size_t at_;

 public:
  item(ValuePtr container, size_t at) : object(container->items.at(at)), container_(std::move(container)), at_(at) {}
  template <class T>
  item& operator=(const T& to) {
    object(container_).writes();
    value_ = container_->items.at(at_) = value_of_any(to);
    return *this;
  }
};

class sequence : public object {
 public:
  using object::object;
  size_t size() const { return value_->items.size(); }
  bool empty() const { return value_->items.empty(); }
  class iterator {
    const ValuePtr* at_;

   public:
    explicit iterator(const ValuePtr* at) : at_(at) {}
    object operator*() const { return object(*at_); }
    iterator& operator++() {
      ++at_;
      return *this;
    }
    bool operator!=(const iterator& other) const { return at_ != other.at_; }
    bool operator==(const iterator& other) const { return at_ == other.at_; }
  };
  iterator begin() const { return iterator(value_->items.data()); }
  iterator end() const { return iterator(value_->items.data() + size()); }
  item operator[](size_t at) const {
    if (at >= size()) throw index_error(value_->kind == Kind::tuple ? "tuple index out of range" : "list index out of range");
    return item(value_, at);
  }
};
class list : public sequence {
 public:
  list() : sequence(Value::make(Kind::list)) {}
  explicit list(size_t size) : list() {
    for (size_t at = 0; at < size; ++at) value_->items.push_back(Value::make(Kind::none));
  }
  explicit list(ValuePtr value) : sequence(std::move(value)) {}
  list(const object& from) : sequence(from.value()) {
    if (value_->kind == Kind::list) return;
    if (value_->kind != Kind::tuple && value_->kind != Kind::set) throw type_error("object is not iterable");
    auto made = Value::make(Kind::list);
    made->items = value_->items;
    value_ = made;
  }
  template <class T>
  void append(const T& each) {
    writes();
    value_->items.push_back(value_of_any(each));
  }
  void clear() {
    writes();
    value_->items.clear();
  }
  static constexpr Kind kind = Kind::list;
};
class tuple : public sequence {
 public:
  tuple() : sequence(Value::make(Kind::tuple)) {}
  explicit tuple(ValuePtr value) : sequence(std::move(value)) {}
  tuple(const object& from) : sequence(from.value()) {
    if (value_->kind == Kind::tuple) return;
    if (value_->kind != Kind::list && value_->kind != Kind::set) throw type_error("object is not iterable");
    auto made = Value::make(Kind::tuple);
    made->items = value_->items;
    value_ = made;
  }
  static constexpr Kind kind = Kind::tuple;
};
template <class... A>
tuple make_tuple(const A&... each) {
  auto made = Value::make(Kind::tuple);
  (made->items.push_back(value_of_any(each)), ...);
  return tuple(std::move(made));
}
inline bool is_number(const Value& v) {
  return v.kind == Kind::boolean || v.kind == Kind::integer || v.kind == Kind::real || v.kind == Kind::complex;
}
inline double real_of(const Value& v) {
  if (v.kind == Kind::real || v.kind == Kind::complex) return v.real;
  return v.negative ? -static_cast<double>(v.magnitude) : static_cast<double>(v.magnitude);
}
// Whether they are one key of a dict or set: numbers by their value, as in Python.
inline bool same_key(const Value& a, const Value& b) {
  if (a.kind == Kind::tensor || b.kind == Kind::tensor) throw type_error("abi = \"compat\": a tensor is no key in C++");
  if (is_number(a) && is_number(b)) {
    const bool whole = a.kind != Kind::real && a.kind != Kind::complex && b.kind != Kind::real && b.kind != Kind::complex;
    if (whole) return a.magnitude == b.magnitude && (a.negative == b.negative || a.magnitude == 0);
    return real_of(a) == real_of(b) && a.imaginary == b.imaginary;
  }
  if (a.kind == Kind::list || a.kind == Kind::dict) throw type_error(a.kind == Kind::list ? "unhashable type: 'list'" : "unhashable type: 'dict'");
  if (a.kind != b.kind || a.text != b.text || a.items.size() != b.items.size()) return false;
  for (size_t at = 0; at < a.items.size(); ++at)
    if (!same_key(*a.items[at], *b.items[at])) return false;
  return true;
}
class set : public sequence {
 public:
  set() : sequence(Value::make(Kind::set)) {}
  explicit set(ValuePtr value) : sequence(std::move(value)) {}
  template <class T>
  bool contains(const T& key) const {
    const auto wanted = value_of_any(key);
    return std::any_of(value_->items.begin(), value_->items.end(), [&](const auto& each) { return same_key(*each, *wanted); });
  }
  template <class T>
  bool add(const T& key) {
    writes();
    if (!contains(key)) value_->items.push_back(value_of_any(key));
    return true;
  }
  static constexpr Kind kind = Kind::set;
};

class dict : public object {
  std::optional<size_t> find(const Value& key) const {
    for (size_t at = 0; at < value_->items.size(); at += 2)
      if (same_key(*value_->items[at], key)) return at;
    return std::nullopt;
  }

 public:
  GWC_OBJECT(dict, Kind::dict);
  size_t size() const { return value_->items.size() / 2; }
  bool empty() const { return size() == 0; }
  template <class T>
  bool contains(const T& key) const {
    return find(*value_of_any(key)).has_value();
  }
  // `d[key]` reads (KeyError, as in Python) or is assigned to, as in Python.
  class entry {
    const dict& of_;
    ValuePtr key_;
    object found() const {
      const auto at = of_.find(*key_);
      if (!at) throw key_error(key_->text);
      return object(of_.value_->items[*at + 1]);
    }

   public:
    entry(const dict& of, ValuePtr key) : of_(of), key_(std::move(key)) {}
    template <class T>
    entry& operator=(const T& to) {
      of_.writes();
      const auto at = of_.find(*key_);
      if (at) of_.value_->items[*at + 1] = value_of_any(to);
      else of_.value_->items.insert(of_.value_->items.end(), {key_, value_of_any(to)});
      return *this;
    }
    template <class T>
    T cast() const {
      return found().template cast<T>();
    }
    bool is_none() const { return found().is_none(); }
    operator object() const { return found(); }
  };
  template <class T>
  entry operator[](const T& key) const {
    return entry(*this, value_of_any(key));
  }
  class iterator {
    const ValuePtr* at_;

   public:
    explicit iterator(const ValuePtr* at) : at_(at) {}
    std::pair<object, object> operator*() const { return {object(at_[0]), object(at_[1])}; }
    iterator& operator++() {
      at_ += 2;
      return *this;
    }
    bool operator!=(const iterator& other) const { return at_ != other.at_; }
  };
  iterator begin() const { return iterator(value_->items.data()); }
  iterator end() const { return iterator(value_->items.data() + value_->items.size()); }
};
class args : public tuple {
 public:
  using tuple::tuple;
};
class kwargs : public dict {
 public:
  using dict::dict;
};

inline size_t len(const object& of) {
  const auto& value = *of.value();
  switch (value.kind) {
    case Kind::dict: return value.items.size() / 2;
    case Kind::list:
    case Kind::tuple:
    case Kind::set: return value.items.size();
    case Kind::bytes: return value.text.size();
    case Kind::text:  // characters: bytes that do not go on with one
      return static_cast<size_t>(std::count_if(value.text.begin(), value.text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
    case Kind::tensor: return static_cast<size_t>(value.tensor.size(0));
    default: throw type_error("object has no len()");
  }
}
template <class T>
bool isinstance(const object& of) {
  const auto& value = *of.value();
  if constexpr (std::is_same_v<T, object>) return true;
  else if constexpr (std::is_same_v<T, none>) return value.kind == Kind::none;
  else if constexpr (std::is_same_v<T, int_>) return value.kind == Kind::integer || value.kind == Kind::boolean;
  else if constexpr (std::is_same_v<T, sequence>) return value.kind == Kind::list || value.kind == Kind::tuple || value.kind == Kind::text;
  else if constexpr (std::is_base_of_v<object, T>) return value.kind == T::kind;
  else {
    try {
      (void)packed<T>::from(value);
      return true;
    } catch (const Error&) {
      return false;
    }
  }
}
#undef GWC_OBJECT
}  // namespace gpuwheel_compat::python

namespace gpuwheel_compat::bridge {
#define GWC_OBJECT_SCHEMA(TYPE, DESCRIBED)                                              \
  template <>                                                                           \
  struct schema<python::TYPE> {                                                         \
    static constexpr bool plain = false;                                                \
    static std::string described() { return "\"" DESCRIBED "\""; }                      \
  };                                                                                    \
  template <>                                                                           \
  struct packed<python::TYPE> {                                                         \
    static python::TYPE from(const Value& v) { return python::TYPE(python::object(std::make_shared<Value>(v))); } \
    static ValuePtr to(const python::TYPE& v) { return v.value(); }                     \
  };
GWC_OBJECT_SCHEMA(object, "object")
GWC_OBJECT_SCHEMA(none, "None")
GWC_OBJECT_SCHEMA(str, "py_str")
GWC_OBJECT_SCHEMA(bytes, "py_bytes")
GWC_OBJECT_SCHEMA(int_, "py_int")
GWC_OBJECT_SCHEMA(float_, "py_float")
GWC_OBJECT_SCHEMA(bool_, "py_bool")
GWC_OBJECT_SCHEMA(list, "py_list")
GWC_OBJECT_SCHEMA(tuple, "py_tuple")
GWC_OBJECT_SCHEMA(set, "py_set")
GWC_OBJECT_SCHEMA(dict, "py_dict")
GWC_OBJECT_SCHEMA(args, "args")
GWC_OBJECT_SCHEMA(kwargs, "kwargs")
#undef GWC_OBJECT_SCHEMA
}  // namespace gpuwheel_compat::bridge
