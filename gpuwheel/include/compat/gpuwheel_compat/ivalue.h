// A value of any of the kinds that functions keep between forward and backward: torch's IValue, held by ourselves.
#pragma once
#include <gpuwheel_compat/functions.h>

#include <variant>

namespace gpuwheel_compat {
class IValue;

namespace ivalue_detail {
// The elements are incomplete here; a box makes the kinds that hold IValues themselves of one size.
using Elements = std::shared_ptr<std::vector<IValue>>;
struct Tuple {
  Elements elements;
};
struct GenericList {
  Elements elements;
};

template <class T>
struct is_vector : std::false_type {};
template <class T>
struct is_vector<std::vector<T>> : std::true_type {};
template <class T>
struct is_optional : std::false_type {};
template <class T>
struct is_optional<std::optional<T>> : std::true_type {};
template <class T>
struct is_array_ref : std::false_type {};
template <class T>
struct is_array_ref<ArrayRef<T>> : std::true_type {};
template <class T>
struct is_tuple : std::false_type {};
template <class... T>
struct is_tuple<std::tuple<T...>> : std::true_type {};
template <class T>
inline constexpr bool unknown = false;
}  // namespace ivalue_detail

class IValue {
  using Complex = c10::complex<double>;
  using Held = std::variant<std::monostate, bool, int64_t, double, Complex, std::string, Tensor, Device,
                            std::vector<bool>, std::vector<int64_t>, std::vector<double>, std::vector<std::string>,
                            std::vector<Tensor>, ivalue_detail::GenericList, ivalue_detail::Tuple>;
  Held held_;

 public:
  IValue() = default;
  IValue(std::nullopt_t) {}
  template <class T, std::enable_if_t<!std::is_same_v<std::decay_t<T>, IValue>, int> = 0>
  IValue(T&& value) : held_(hold(std::forward<T>(value))) {}

  bool isNone() const { return is<std::monostate>(); }
  bool isBool() const { return is<bool>(); }
  bool isInt() const { return is<int64_t>(); }
  bool isDouble() const { return is<double>(); }
  bool isComplexDouble() const { return is<Complex>(); }
  bool isScalar() const { return isBool() || isInt() || isDouble() || isComplexDouble(); }
  bool isString() const { return is<std::string>(); }
  bool isTensor() const { return is<Tensor>(); }
  bool isDevice() const { return is<Device>(); }
  bool isBoolList() const { return is<std::vector<bool>>(); }
  bool isIntList() const { return is<std::vector<int64_t>>(); }
  bool isDoubleList() const { return is<std::vector<double>>(); }
  bool isTensorList() const { return is<std::vector<Tensor>>(); }
  bool isTuple() const { return is<ivalue_detail::Tuple>(); }
  bool isList() const {
    return isBoolList() || isIntList() || isDoubleList() || isTensorList() || is<std::vector<std::string>>() ||
           is<ivalue_detail::GenericList>();
  }

  bool toBool() const { return get<bool>("Bool"); }
  int64_t toInt() const { return get<int64_t>("Int"); }
  double toDouble() const { return get<double>("Double"); }
  Complex toComplexDouble() const { return get<Complex>("ComplexDouble"); }
  const std::string& toStringRef() const { return get<std::string>("String"); }
  std::string_view toStringView() const { return toStringRef(); }
  const Tensor& toTensor() const& { return get<Tensor>("Tensor"); }
  Tensor toTensor() && { return get<Tensor>("Tensor"); }
  Device toDevice() const { return get<Device>("Device"); }
  // These cross torch's IValue as integers, too.
  ScalarType toScalarType() const { return static_cast<ScalarType>(toInt()); }
  Layout toLayout() const { return static_cast<Layout>(toInt()); }
  MemoryFormat toMemoryFormat() const { return static_cast<MemoryFormat>(toInt()); }
  Scalar toScalar() const {
    if (isBool()) return Scalar(toBool());
    if (isInt()) return Scalar(toInt());
    if (isDouble()) return Scalar(toDouble());
    throw_kind("Scalar");
  }

  std::vector<int64_t> toIntVector() const { return get<std::vector<int64_t>>("IntList"); }
  std::vector<double> toDoubleVector() const { return get<std::vector<double>>("DoubleList"); }
  std::vector<Tensor> toTensorVector() const { return get<std::vector<Tensor>>("TensorList"); }
  List<bool> toBoolList() const { return copied<bool>("BoolList"); }
  List<int64_t> toIntList() const { return copied<int64_t>("IntList"); }
  List<double> toDoubleList() const { return copied<double>("DoubleList"); }
  List<Tensor> toTensorList() const { return copied<Tensor>("TensorList"); }
  inline std::vector<IValue> toListRef() const;
  inline std::vector<IValue> toTupleElements() const;

  template <class T>
  std::optional<T> toOptional() const {
    return isNone() ? std::nullopt : std::optional<T>(to<T>());
  }
  template <class T>
  T to() const;

  /// What torch calls the kind.
  const char* tagKind() const {
    constexpr const char* names[] = {"None", "Bool",   "Int",        "Double",      "ComplexDouble",
                                     "String", "Tensor", "Device",   "BoolList",    "IntList",
                                     "DoubleList", "StringList", "TensorList", "GenericList", "Tuple"};
    return names[held_.index()];
  }

 private:
  template <class T>
  bool is() const {
    return std::holds_alternative<T>(held_);
  }
  [[noreturn]] void throw_kind(const char* wanted) const {
    TORCH_CHECK(false, "Expected ", wanted, " but got ", tagKind());
    std::abort();  // not reached: the check above throws
  }
  template <class T>
  const T& get(const char* wanted) const {
    if (const T* found = std::get_if<T>(&held_)) return *found;
    throw_kind(wanted);
  }
  template <class T>
  List<T> copied(const char* wanted) const {
    const auto& found = get<std::vector<T>>(wanted);
    return List<T>(found.begin(), found.end());
  }
  template <class T>
  static Held hold(T&& value);
  template <class V>
  static Held hold_list(const V& values);
};

template <class V>
IValue::Held IValue::hold_list(const V& values) {
  using E = std::decay_t<decltype(*values.begin())>;
  if constexpr (std::is_same_v<E, bool> || std::is_same_v<E, std::string> || std::is_same_v<E, Tensor>)
    return std::vector<E>(values.begin(), values.end());
  else if constexpr (std::is_integral_v<E>)
    return std::vector<int64_t>(values.begin(), values.end());
  else if constexpr (std::is_floating_point_v<E>)
    return std::vector<double>(values.begin(), values.end());
  else
    return ivalue_detail::GenericList{std::make_shared<std::vector<IValue>>(values.begin(), values.end())};
}

template <class T>
IValue::Held IValue::hold(T&& value) {
  using D = std::decay_t<T>;
  if constexpr (std::is_same_v<D, bool> || std::is_same_v<D, Tensor> || std::is_same_v<D, Device>) return D(value);
  else if constexpr (std::is_integral_v<D> || std::is_enum_v<D>) return static_cast<int64_t>(value);
  else if constexpr (std::is_floating_point_v<D>) return static_cast<double>(value);
  else if constexpr (std::is_same_v<D, Complex>) return value;
  else if constexpr (std::is_convertible_v<T, std::string>) return std::string(std::forward<T>(value));
  else if constexpr (std::is_same_v<D, std::string_view>) return std::string(value);
  else if constexpr (std::is_same_v<D, Scalar>) {
    if (value.isBoolean()) return value.template to<bool>();
    if (value.isFloatingPoint()) return value.toDouble();
    TORCH_CHECK(value.isIntegral(false), "a complex Scalar cannot be saved");
    return value.toLong();
  } else if constexpr (ivalue_detail::is_optional<D>::value) {
    if (value) return hold(*std::forward<T>(value));
    return std::monostate{};
  } else if constexpr (ivalue_detail::is_vector<D>::value || ivalue_detail::is_array_ref<D>::value)
    return hold_list(value);
  else if constexpr (ivalue_detail::is_tuple<D>::value)
    return ivalue_detail::Tuple{std::apply(
        [](const auto&... e) { return std::make_shared<std::vector<IValue>>(std::vector<IValue>{IValue(e)...}); }, value)};
  else
    static_assert(ivalue_detail::unknown<T>, "an IValue cannot hold this type under abi = \"compat\": keep it in a "
                                             "std::shared_ptr of your own, or save its tensors and numbers");
}

inline std::vector<IValue> IValue::toListRef() const {
  return std::visit(
      [this](const auto& held) -> std::vector<IValue> {
        using H = std::decay_t<decltype(held)>;
        if constexpr (ivalue_detail::is_vector<H>::value) {
          std::vector<IValue> all;
          for (const auto& each : held) all.emplace_back(static_cast<typename H::value_type>(each));
          return all;
        } else if constexpr (std::is_same_v<H, ivalue_detail::GenericList>)
          return *held.elements;
        else
          throw_kind("List");
      },
      held_);
}
inline std::vector<IValue> IValue::toTupleElements() const {
  return *get<ivalue_detail::Tuple>("Tuple").elements;
}

template <class T>
T IValue::to() const {
  if constexpr (std::is_same_v<T, IValue>) return *this;
  else if constexpr (std::is_same_v<T, bool>) return toBool();
  else if constexpr (std::is_integral_v<T>) return static_cast<T>(toInt());
  else if constexpr (std::is_floating_point_v<T>) return static_cast<T>(toDouble());
  else if constexpr (std::is_enum_v<T>) return static_cast<T>(toInt());
  else if constexpr (std::is_same_v<T, Scalar>) return toScalar();
  else if constexpr (ivalue_detail::is_optional<T>::value) return toOptional<typename T::value_type>();
  else if constexpr (std::is_same_v<T, Complex>) return toComplexDouble();
  else if constexpr (std::is_same_v<T, std::string>) return toStringRef();
  else if constexpr (std::is_same_v<T, Tensor>) return toTensor();
  else if constexpr (std::is_same_v<T, Device>) return toDevice();
  else if constexpr (ivalue_detail::is_vector<T>::value) {
    T all;
    for (const auto& each : toListRef()) all.push_back(each.template to<typename T::value_type>());
    return all;
  } else
    static_assert(ivalue_detail::unknown<T>, "an IValue cannot give this type under abi = \"compat\"");
}
}  // namespace gpuwheel_compat
