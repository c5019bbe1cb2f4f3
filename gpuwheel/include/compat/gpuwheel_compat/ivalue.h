// A value of any of the kinds that functions keep between forward and backward: torch's IValue, held by ourselves.
#pragma once
#include <gpuwheel_compat/functions.h>

namespace gpuwheel_compat {
class IValue;

namespace ivalue_detail {
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
  using Elements = std::vector<IValue>;
  enum Kind : uint8_t {
    kNone, kBool, kInt, kDouble, kComplexDouble, kString, kTensor, kDevice, kBoolList, kIntList, kDoubleList, kStringList,
    kTensorList, kGenericList, kTuple
  };
  // Not a std::variant: every source that includes this would compile all that one does with each of its kinds.
  std::shared_ptr<const void> held_;  // a value of the kind, which nobody changes, so that copies share it
  Kind kind_ = kNone;

 public:
  IValue() = default;
  IValue(const IValue&) = default;
  IValue(IValue&& from) noexcept : held_(std::move(from.held_)), kind_(std::exchange(from.kind_, kNone)) {}
  IValue& operator=(const IValue&) = default;
  IValue& operator=(IValue&& from) noexcept {
    held_ = std::move(from.held_);
    kind_ = std::exchange(from.kind_, kNone);
    return *this;
  }
  IValue(std::nullopt_t) {}
  template <class T, std::enable_if_t<!std::is_same_v<std::decay_t<T>, IValue>, int> = 0>
  IValue(T&& value) { hold(std::forward<T>(value)); }

  bool isNone() const { return kind_ == kNone; }
  bool isBool() const { return kind_ == kBool; }
  bool isInt() const { return kind_ == kInt; }
  bool isDouble() const { return kind_ == kDouble; }
  bool isComplexDouble() const { return kind_ == kComplexDouble; }
  bool isScalar() const { return isBool() || isInt() || isDouble() || isComplexDouble(); }
  bool isString() const { return kind_ == kString; }
  bool isTensor() const { return kind_ == kTensor; }
  bool isDevice() const { return kind_ == kDevice; }
  bool isBoolList() const { return kind_ == kBoolList; }
  bool isIntList() const { return kind_ == kIntList; }
  bool isDoubleList() const { return kind_ == kDoubleList; }
  bool isTensorList() const { return kind_ == kTensorList; }
  bool isTuple() const { return kind_ == kTuple; }
  bool isList() const {
    return isBoolList() || isIntList() || isDoubleList() || isTensorList() || kind_ == kStringList ||
           kind_ == kGenericList;
  }

  bool toBool() const { return get<bool>(kBool); }
  int64_t toInt() const { return get<int64_t>(kInt); }
  double toDouble() const { return get<double>(kDouble); }
  Complex toComplexDouble() const { return get<Complex>(kComplexDouble); }
  const std::string& toStringRef() const { return get<std::string>(kString); }
  std::string_view toStringView() const { return toStringRef(); }
  const Tensor& toTensor() const& { return get<Tensor>(kTensor); }
  Tensor toTensor() && { return get<Tensor>(kTensor); }
  Device toDevice() const { return get<Device>(kDevice); }
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

  std::vector<int64_t> toIntVector() const { return get<std::vector<int64_t>>(kIntList); }
  std::vector<double> toDoubleVector() const { return get<std::vector<double>>(kDoubleList); }
  std::vector<Tensor> toTensorVector() const { return get<std::vector<Tensor>>(kTensorList); }
  List<bool> toBoolList() const { return copied<bool>(kBoolList); }
  List<int64_t> toIntList() const { return copied<int64_t>(kIntList); }
  List<double> toDoubleList() const { return copied<double>(kDoubleList); }
  List<Tensor> toTensorList() const { return copied<Tensor>(kTensorList); }
  template <class = void>
  std::vector<IValue> toListRef() const;
  std::vector<IValue> toTupleElements() const { return get<Elements>(kTuple); }

  template <class T>
  std::optional<T> toOptional() const {
    return isNone() ? std::nullopt : std::optional<T>(to<T>());
  }
  template <class T>
  T to() const;

  /// What torch calls the kind.
  const char* tagKind() const { return name_of(kind_); }

 private:
  static const char* name_of(Kind kind) {
    constexpr const char* names[] = {"None", "Bool",   "Int",        "Double",      "ComplexDouble",
                                     "String", "Tensor", "Device",   "BoolList",    "IntList",
                                     "DoubleList", "StringList", "TensorList", "GenericList", "Tuple"};
    return names[kind];
  }
  [[noreturn]] void throw_kind(const char* wanted) const {
    TORCH_CHECK(false, "Expected ", wanted, " but got ", tagKind());
    std::abort();  // not reached: the check above throws
  }
  template <class T>
  const T& get(Kind wanted) const {
    if (kind_ != wanted) throw_kind(name_of(wanted));
    return *static_cast<const T*>(held_.get());
  }
  template <class T>
  List<T> copied(Kind wanted) const {
    const auto& found = get<std::vector<T>>(wanted);
    return List<T>(found.begin(), found.end());
  }
  template <class T>
  std::vector<IValue> listed() const {
    std::vector<IValue> all;
    for (const auto& each : *static_cast<const std::vector<T>*>(held_.get())) all.emplace_back(static_cast<T>(each));
    return all;
  }
  template <class T>
  void put(Kind kind, T value) {
    held_ = std::make_shared<const T>(std::move(value));
    kind_ = kind;
  }
  template <class T>
  void hold(T&& value);
  template <class V>
  void hold_list(const V& values);
};

template <class V>
void IValue::hold_list(const V& values) {
  using E = std::decay_t<decltype(*values.begin())>;
  if constexpr (std::is_same_v<E, bool>) put(kBoolList, std::vector<bool>(values.begin(), values.end()));
  else if constexpr (std::is_same_v<E, std::string>) put(kStringList, std::vector<std::string>(values.begin(), values.end()));
  else if constexpr (std::is_same_v<E, Tensor>) put(kTensorList, std::vector<Tensor>(values.begin(), values.end()));
  else if constexpr (std::is_integral_v<E>) put(kIntList, std::vector<int64_t>(values.begin(), values.end()));
  else if constexpr (std::is_floating_point_v<E>) put(kDoubleList, std::vector<double>(values.begin(), values.end()));
  else put(kGenericList, Elements(values.begin(), values.end()));
}

template <class T>
void IValue::hold(T&& value) {
  using D = std::decay_t<T>;
  if constexpr (std::is_same_v<D, bool>) put(kBool, value);
  else if constexpr (std::is_same_v<D, Tensor>) put(kTensor, Tensor(value));
  else if constexpr (std::is_same_v<D, Device>) put(kDevice, Device(value));
  else if constexpr (std::is_integral_v<D> || std::is_enum_v<D>) put(kInt, static_cast<int64_t>(value));
  else if constexpr (std::is_floating_point_v<D>) put(kDouble, static_cast<double>(value));
  else if constexpr (std::is_same_v<D, Complex>) put(kComplexDouble, Complex(value));
  else if constexpr (std::is_convertible_v<T, std::string>) put(kString, std::string(std::forward<T>(value)));
  else if constexpr (std::is_same_v<D, std::string_view>) put(kString, std::string(value));
  else if constexpr (std::is_same_v<D, Scalar>) {
    if (value.isBoolean()) return hold(value.template to<bool>());
    if (value.isFloatingPoint()) return hold(value.toDouble());
    TORCH_CHECK(value.isIntegral(false), "a complex Scalar cannot be saved");
    hold(value.toLong());
  } else if constexpr (ivalue_detail::is_optional<D>::value) {
    if (value) hold(*std::forward<T>(value));
  } else if constexpr (ivalue_detail::is_vector<D>::value || ivalue_detail::is_array_ref<D>::value)
    hold_list(value);
  else if constexpr (ivalue_detail::is_tuple<D>::value)
    put(kTuple, std::apply([](const auto&... e) { return Elements{IValue(e)...}; }, value));
  else
    static_assert(ivalue_detail::unknown<T>, "an IValue cannot hold this type under abi = \"compat\": keep it in a "
                                             "std::shared_ptr of your own, or save its tensors and numbers");
}

template <class>
std::vector<IValue> IValue::toListRef() const {
  switch (kind_) {
    case kBoolList: return listed<bool>();
    case kIntList: return listed<int64_t>();
    case kDoubleList: return listed<double>();
    case kStringList: return listed<std::string>();
    case kTensorList: return listed<Tensor>();
    case kGenericList: return *static_cast<const Elements*>(held_.get());
    default: throw_kind("List");
  }
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
