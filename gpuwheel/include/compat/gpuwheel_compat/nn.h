// Those of torch::nn::functional that are operators with options.
#pragma once
#include <gpuwheel_compat/index.h>

namespace gpuwheel_compat {
namespace enumtype {
struct kConstant {};
struct kReflect {};
struct kReplicate {};
struct kCircular {};
}  // namespace enumtype
constexpr enumtype::kConstant kConstant{};
constexpr enumtype::kReflect kReflect{};
constexpr enumtype::kReplicate kReplicate{};
constexpr enumtype::kCircular kCircular{};

namespace nn::functional {
class PadFuncOptions {
 public:
  std::vector<int64_t> pad_;
  std::string mode_ = "constant";
  double value_ = 0;
  PadFuncOptions(std::vector<int64_t> pad) : pad_(std::move(pad)) {}
  PadFuncOptions(std::initializer_list<int64_t> pad) : pad_(pad) {}
  PadFuncOptions& pad(std::vector<int64_t> v) { return pad_ = std::move(v), *this; }
  PadFuncOptions& value(double v) { return value_ = v, *this; }
  PadFuncOptions& mode(enumtype::kConstant) { return mode_ = "constant", *this; }
  PadFuncOptions& mode(enumtype::kReflect) { return mode_ = "reflect", *this; }
  PadFuncOptions& mode(enumtype::kReplicate) { return mode_ = "replicate", *this; }
  PadFuncOptions& mode(enumtype::kCircular) { return mode_ = "circular", *this; }
};
inline Tensor pad(const Tensor& x, const PadFuncOptions& o) {
  return gpuwheel_compat::pad(x, o.pad_, o.mode_, o.mode_ == "constant" ? optional<double>(o.value_) : nullopt);
}

class SoftmaxFuncOptions {
 public:
  int64_t dim_;
  optional<ScalarType> dtype_;
  SoftmaxFuncOptions(int64_t dim) : dim_(dim) {}
  SoftmaxFuncOptions& dtype(ScalarType t) { return dtype_ = t, *this; }
};
using LogSoftmaxFuncOptions = SoftmaxFuncOptions;
inline Tensor softmax(const Tensor& x, const SoftmaxFuncOptions& o) { return gpuwheel_compat::softmax(x, o.dim_, o.dtype_); }
inline Tensor log_softmax(const Tensor& x, const SoftmaxFuncOptions& o) { return gpuwheel_compat::log_softmax(x, o.dim_, o.dtype_); }
inline Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {}) {
  return gpuwheel_compat::linear(x, weight, bias.defined() ? optional<Tensor>(bias) : nullopt);
}
inline Tensor one_hot(const Tensor& x, int64_t num_classes = -1) { return gpuwheel_compat::one_hot(x, num_classes); }
using gpuwheel_compat::relu;
using gpuwheel_compat::silu;
}  // namespace nn::functional
}  // namespace gpuwheel_compat
