// What stands between the brackets of an index.
#pragma once
#include <gpuwheel_compat/tensor.h>

namespace gpuwheel_compat::indexing {
constexpr nullopt_t None = nullopt;
struct EllipsisIndexType final {};
constexpr EllipsisIndexType Ellipsis{};
constexpr int64_t INDEX_MIN = -(int64_t{1} << 62);
constexpr int64_t INDEX_MAX = -(INDEX_MIN + 1);

class Slice final {
  int64_t start_, stop_, step_;

 public:
  Slice(optional<int64_t> start = nullopt, optional<int64_t> stop = nullopt, optional<int64_t> step = nullopt)
      : start_(0), stop_(0), step_(step.value_or(1)) {
    TORCH_CHECK_VALUE(step_ != 0, "slice step cannot be zero");
    start_ = start.value_or(step_ < 0 ? INDEX_MAX : 0);
    stop_ = stop.value_or(step_ < 0 ? INDEX_MIN : INDEX_MAX);
  }
  int64_t start() const { return start_; }
  int64_t stop() const { return stop_; }
  int64_t step() const { return step_; }
  friend std::ostream& operator<<(std::ostream& s, const Slice& v) { return s << v.start_ << ":" << v.stop_ << ":" << v.step_; }
};

enum class TensorIndexType { None, Ellipsis, SymInt, Boolean, Slice, Tensor };

class TensorIndex final {
  TensorIndexType type_;
  int64_t integer_ = 0;
  bool boolean_ = false;
  Slice slice_;
  Tensor tensor_;

 public:
  TensorIndex(nullopt_t) : type_(TensorIndexType::None) {}
  TensorIndex(EllipsisIndexType) : type_(TensorIndexType::Ellipsis) {}
  TensorIndex(const char* text) : type_(TensorIndexType::Ellipsis) {
    TORCH_CHECK_VALUE(std::strcmp(text, "...") == 0, "Expected \"...\" to represent an ellipsis index, but got \"", text, "\"");
  }
  TensorIndex(int64_t v) : type_(TensorIndexType::SymInt), integer_(v) {}
  TensorIndex(int v) : TensorIndex(static_cast<int64_t>(v)) {}
  template <class T, std::enable_if_t<std::is_same_v<T, bool>, int> = 0>
  TensorIndex(T v) : type_(TensorIndexType::Boolean), boolean_(v) {}
  TensorIndex(Slice v) : type_(TensorIndexType::Slice), slice_(v) {}
  TensorIndex(Tensor v) : type_(TensorIndexType::Tensor), tensor_(std::move(v)) {}

  bool is_none() const { return type_ == TensorIndexType::None; }
  bool is_ellipsis() const { return type_ == TensorIndexType::Ellipsis; }
  bool is_integer() const { return type_ == TensorIndexType::SymInt; }
  bool is_boolean() const { return type_ == TensorIndexType::Boolean; }
  bool is_slice() const { return type_ == TensorIndexType::Slice; }
  bool is_tensor() const { return type_ == TensorIndexType::Tensor; }
  int64_t integer() const { return integer_; }
  bool boolean() const { return boolean_; }
  const Slice& slice() const { return slice_; }
  const Tensor& tensor() const { return tensor_; }
  friend std::ostream& operator<<(std::ostream& s, const TensorIndex& i) {
    switch (i.type_) {
      case TensorIndexType::None: return s << "None";
      case TensorIndexType::Ellipsis: return s << "...";
      case TensorIndexType::SymInt: return s << i.integer_;
      case TensorIndexType::Boolean: return s << (i.boolean_ ? "true" : "false");
      case TensorIndexType::Slice: return s << i.slice_;
      case TensorIndexType::Tensor: return s << i.tensor_.toString() << i.tensor_.sizes();
    }
    return s;
  }
};
}  // namespace gpuwheel_compat::indexing
