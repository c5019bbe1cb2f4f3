// References to arrays, and the containers that torch's interfaces take and give.
#pragma once
#include <gpuwheel_compat/check.h>

namespace gpuwheel_compat {
using std::in_place;
using std::in_place_t;
using std::make_optional;
using std::nullopt;
using std::nullopt_t;
using std::optional;
using std::string_view;
using SymInt = int64_t;  // sizes are numbers: code behind this ABI is not traced with symbols
using SymFloat = double;
using SymBool = bool;

template <class T, unsigned N = 6>
using SmallVector = std::vector<T>;
template <class T, size_t N = 5>
using DimVectorOf = std::vector<T>;
using DimVector = std::vector<int64_t>;
using SymDimVector = DimVector;
template <class T>
using List = std::vector<T>;

// A pointer and a length; it owns nothing, as torch's.
template <class T>
class ArrayRef final {
  const T* data_ = nullptr;
  size_t size_ = 0;

 public:
  using value_type = T;
  using iterator = const T*;
  using const_iterator = const T*;
  using size_type = size_t;
  using reverse_iterator = std::reverse_iterator<iterator>;

  constexpr ArrayRef() = default;
  constexpr ArrayRef(const T& one) : data_(&one), size_(1) {}
  constexpr ArrayRef(const T* data, size_t size) : data_(data), size_(size) {}
  constexpr ArrayRef(const T* begin, const T* end) : data_(begin), size_(static_cast<size_t>(end - begin)) {}
  template <class Container, class U = decltype(std::declval<const Container&>().data()),
            std::enable_if_t<std::is_same_v<std::remove_const_t<std::remove_pointer_t<U>>, T> && !std::is_same_v<Container, ArrayRef>, int> = 0>
  constexpr ArrayRef(const Container& c) : data_(c.data()), size_(c.size()) {}
  ArrayRef(const std::vector<T>& v) : data_(v.data()), size_(v.size()) {
    static_assert(!std::is_same_v<T, bool>, "ArrayRef<bool> cannot be constructed from a std::vector<bool> bitfield");
  }
  template <size_t N>
  constexpr ArrayRef(const std::array<T, N>& v) : data_(v.data()), size_(N) {}
  template <size_t N>
  constexpr ArrayRef(const T (&v)[N]) : data_(v), size_(N) {}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winit-list-lifetime"  // as any ArrayRef, it does not outlive what it refers to
#endif
  constexpr ArrayRef(const std::initializer_list<T>& v) : data_(v.begin() == v.end() ? nullptr : v.begin()), size_(v.size()) {}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

  constexpr iterator begin() const { return data_; }
  constexpr iterator end() const { return data_ + size_; }
  constexpr iterator cbegin() const { return data_; }
  constexpr iterator cend() const { return data_ + size_; }
  constexpr reverse_iterator rbegin() const { return reverse_iterator(end()); }
  constexpr reverse_iterator rend() const { return reverse_iterator(begin()); }
  constexpr const T* data() const { return data_; }
  constexpr size_t size() const { return size_; }
  constexpr bool empty() const { return size_ == 0; }
  template <class F>
  bool allMatch(const F& f) const { return std::all_of(begin(), end(), f); }
  constexpr const T& operator[](size_t i) const { return data_[i]; }
  const T& at(size_t i) const {
    TORCH_CHECK(i < size_, "ArrayRef: invalid index Index = ", i, "; Length = ", size_);
    return data_[i];
  }
  const T& front() const {
    TORCH_CHECK(!empty(), "ArrayRef: attempted to access front() of empty list");
    return data_[0];
  }
  const T& back() const {
    TORCH_CHECK(!empty(), "ArrayRef: attempted to access back() of empty list");
    return data_[size_ - 1];
  }
  ArrayRef slice(size_t from, size_t count) const {
    TORCH_CHECK(from + count <= size_, "ArrayRef: invalid slice, N = ", from, "; M = ", count, "; size = ", size_);
    return {data_ + from, count};
  }
  ArrayRef slice(size_t from) const {
    TORCH_CHECK(from <= size_, "ArrayRef: invalid slice, N = ", from, "; size = ", size_);
    return slice(from, size_ - from);
  }
  std::vector<T> vec() const { return {begin(), end()}; }
  constexpr bool equals(ArrayRef o) const { return size_ == o.size_ && std::equal(begin(), end(), o.begin()); }
  // An assignment from a temporary would dangle at once.
  template <class U>
  std::enable_if_t<std::is_same_v<U, T>, ArrayRef>& operator=(U&&) = delete;
  template <class U>
  std::enable_if_t<std::is_same_v<U, T>, ArrayRef>& operator=(std::initializer_list<U>) = delete;
};
template <class T>
bool operator==(ArrayRef<T> a, ArrayRef<T> b) { return a.equals(b); }
template <class T>
bool operator!=(ArrayRef<T> a, ArrayRef<T> b) { return !a.equals(b); }
template <class T>
bool operator==(const std::vector<T>& a, ArrayRef<T> b) { return ArrayRef<T>(a).equals(b); }
template <class T>
bool operator!=(const std::vector<T>& a, ArrayRef<T> b) { return !ArrayRef<T>(a).equals(b); }
template <class T>
bool operator==(ArrayRef<T> a, const std::vector<T>& b) { return a.equals(ArrayRef<T>(b)); }
template <class T>
bool operator!=(ArrayRef<T> a, const std::vector<T>& b) { return !a.equals(ArrayRef<T>(b)); }
template <class T>
std::ostream& operator<<(std::ostream& s, ArrayRef<T> a) {
  s << "[";
  for (size_t i = 0; i < a.size(); ++i) s << (i ? ", " : "") << a[i];
  return s << "]";
}
using IntArrayRef = ArrayRef<int64_t>;
using SymIntArrayRef = IntArrayRef;
using IntList = IntArrayRef;
template <class T>
ArrayRef<T> makeArrayRef(const T& one) { return one; }
template <class T>
ArrayRef<T> makeArrayRef(const T* data, size_t size) { return {data, size}; }
template <class T>
ArrayRef<T> makeArrayRef(const std::vector<T>& v) { return v; }
inline IntArrayRef asIntArrayRefUnchecked(IntArrayRef a) { return a; }
inline IntArrayRef C10_AS_INTARRAYREF_SLOW_IMPL(IntArrayRef a) { return a; }
inline optional<IntArrayRef> asIntArrayRefSlowOpt(IntArrayRef a) { return a; }
#define C10_AS_INTARRAYREF_SLOW(a) (a)
inline IntArrayRef fromIntArrayRefSlow(IntArrayRef a) { return a; }

// `[V, V, ... N times]`, for as long as the program runs: what a default argument of a schema is.
template <int64_t V, size_t N>
IntArrayRef rep() {
  static const std::array<int64_t, N> a = [] {
    std::array<int64_t, N> x{};
    x.fill(V);
    return x;
  }();
  return a;
}

// `options.value` in the generated code, `options.value()` in a source: the same optional, which can be called.
template <class T>
struct CallableOptional : optional<ArrayRef<T>> {
  using optional<ArrayRef<T>>::optional;
  CallableOptional(const optional<ArrayRef<T>>& v) : optional<ArrayRef<T>>(v) {}
  const ArrayRef<T>& operator()() const { return optional<ArrayRef<T>>::value(); }
};

// An optional reference. `value` may point at `own_`, which holds what came as a number or as a braced list.
template <class T>
class OptionalArrayRef final {
  std::array<T, 8> own_{};
  void settle(const OptionalArrayRef& o) {
    if (o.value && o.value->data() == o.own_.data()) value = ArrayRef<T>(own_.data(), o.value->size());
  }

 public:
  CallableOptional<T> value;

  OptionalArrayRef() = default;
  OptionalArrayRef(nullopt_t) {}
  OptionalArrayRef(ArrayRef<T> v) : value(v) {}
  OptionalArrayRef(const std::vector<T>& v) : value(ArrayRef<T>(v)) {}
  template <size_t N>
  OptionalArrayRef(const std::array<T, N>& v) : value(ArrayRef<T>(v)) {}
  OptionalArrayRef(const optional<ArrayRef<T>>& v) : value(v) {}
  OptionalArrayRef(const optional<std::vector<T>>& v) {
    if (v) value = ArrayRef<T>(*v);
  }
  template <class I, std::enable_if_t<std::is_integral_v<I> && std::is_integral_v<T>, int> = 0>
  OptionalArrayRef(I v) : own_{static_cast<T>(v)} { value = ArrayRef<T>(own_.data(), 1); }
  OptionalArrayRef(std::initializer_list<T> v) {
    TORCH_CHECK(v.size() <= own_.size(), "a braced list of up to ", own_.size(), " numbers is expected, got ", v.size());
    std::copy(v.begin(), v.end(), own_.begin());
    value = ArrayRef<T>(own_.data(), v.size());
  }
  OptionalArrayRef(const OptionalArrayRef& o) : own_(o.own_), value(o.value) { settle(o); }
  OptionalArrayRef& operator=(const OptionalArrayRef& o) {
    own_ = o.own_;
    value = o.value;
    settle(o);
    return *this;
  }
  bool has_value() const { return value.has_value(); }
  explicit operator bool() const { return value.has_value(); }
  const ArrayRef<T>& operator*() const { return *value; }
  const ArrayRef<T>* operator->() const { return &*value; }
  ArrayRef<T> value_or(ArrayRef<T> other) const { return value.value_or(other); }
  operator optional<ArrayRef<T>>() const { return value; }
};
using OptionalIntArrayRef = OptionalArrayRef<int64_t>;
using OptionalSymIntArrayRef = OptionalIntArrayRef;
}  // namespace gpuwheel_compat
