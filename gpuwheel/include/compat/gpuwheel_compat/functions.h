// Functions: those of ATen that are generated, and those that the generator cannot know.
#pragma once
#include <gpuwheel_compat/aten.h>

namespace gpuwheel_compat {

// What the generator cannot know: several C++ overloads, types without an operator.
inline bool Tensor::is_contiguous(MemoryFormat f) const { return f == MemoryFormat::Contiguous ? is_contiguous() : gpuwheel_compat::call<bool>("aten::is_contiguous", "memory_format", *this, f); }
inline Tensor zeros_like(const Tensor& s, ScalarType t) { return zeros_like(s, TensorOptions(t)); }
struct indexing_apply {
  static Tensor run(const Tensor& t, const std::vector<indexing::Slice>& s) { Tensor r = t; for (size_t i = 0; i < s.size(); ++i) { const auto& e = s[i]; if (e.ellipsis) { for (size_t k = 1; i + k < s.size(); ++k) { const auto& q = s[s.size() - k]; r = r.slice(-static_cast<int64_t>(k), q.a, q.b, q.s.value_or(1)); } break; } if (e.a || e.b || e.s) r = r.slice(static_cast<int64_t>(i), e.a, e.b, e.s.value_or(1)); } return r; }
};
inline Tensor Tensor::index(std::initializer_list<indexing::Slice> s) const { return indexing_apply::run(*this, std::vector<indexing::Slice>(s.begin(), s.end())); }
template <class T> T Tensor::item() const {
  if constexpr (std::is_same_v<T, float>) { float v; GWC_OK(aoti_torch_item_float32(handle(), &v)); return v; }
  else if constexpr (std::is_same_v<T, double>) { if (scalar_type() == kDouble) { double v; GWC_OK(aoti_torch_item_float64(handle(), &v)); return v; } return to(kDouble).template item<double>(); }
  else if constexpr (std::is_same_v<T, bool>) { bool v; GWC_OK(aoti_torch_item_bool(handle(), &v)); return v; }
  else { Tensor t = to(kLong); int64_t v; GWC_OK(aoti_torch_item_int64(t.handle(), &v)); return static_cast<T>(v); }
}
inline bool Tensor::gpuwheel_compat_requires_grad(const Tensor& t) { return gpuwheel_compat::call<bool>("gpuwheel_compat::requires_grad", "", t); }
inline Tensor Tensor::operator[](int64_t i) const { return select(0, i); }
inline Tensor Tensor::operator[](const Tensor& i) const { return i.dim() == 0 ? select(0, i.item<int64_t>()) : index_select(0, i); }
inline Tensor Tensor::cuda() const { return to(device().is_cuda() ? device() : Device(DeviceType::CUDA, 0), scalar_type()); }
inline Tensor Tensor::cpu() const { return to(Device(DeviceType::CPU), scalar_type()); }
inline Tensor Tensor::toType(ScalarType t) const { return to(t); }
#define GWC_OP(OP, FN) inline Tensor operator OP(const Tensor& a, const Tensor& b) { return FN(a, b); } \
  template <class S, std::enable_if_t<std::is_arithmetic_v<S> || std::is_same_v<S, Scalar> || std::is_same_v<S, Half> || std::is_same_v<S, BFloat16>, int> = 0> Tensor operator OP(const Tensor& a, S b) { return FN(a, Scalar(b)); }
GWC_OP(+, gpuwheel_compat::add) GWC_OP(-, gpuwheel_compat::sub) GWC_OP(*, gpuwheel_compat::mul) GWC_OP(/, gpuwheel_compat::div) GWC_OP(==, gpuwheel_compat::eq) GWC_OP(!=, gpuwheel_compat::ne) GWC_OP(<, gpuwheel_compat::lt) GWC_OP(>, gpuwheel_compat::gt) GWC_OP(<=, gpuwheel_compat::le) GWC_OP(>=, gpuwheel_compat::ge) GWC_OP(%, gpuwheel_compat::remainder) GWC_OP(&, gpuwheel_compat::bitwise_and) GWC_OP(|, gpuwheel_compat::bitwise_or)
template <class S, std::enable_if_t<std::is_arithmetic_v<S>, int> = 0> Tensor operator+(S a, const Tensor& b) { return gpuwheel_compat::add(b, Scalar(a)); }
template <class S, std::enable_if_t<std::is_arithmetic_v<S>, int> = 0> Tensor operator*(S a, const Tensor& b) { return gpuwheel_compat::mul(b, Scalar(a)); }
template <class S, std::enable_if_t<std::is_arithmetic_v<S>, int> = 0> Tensor operator-(S a, const Tensor& b) { return gpuwheel_compat::rsub(b, Scalar(a)); }
template <class S, std::enable_if_t<std::is_arithmetic_v<S>, int> = 0> Tensor operator/(S a, const Tensor& b) { return gpuwheel_compat::mul(gpuwheel_compat::reciprocal(b), Scalar(a)); }
template <class S> Tensor& Tensor::operator+=(const S& o) { add_(o); return *this; }
template <class S> Tensor& Tensor::operator-=(const S& o) { sub_(o); return *this; }
template <class S> Tensor& Tensor::operator*=(const S& o) { mul_(o); return *this; }
template <class S> Tensor& Tensor::operator/=(const S& o) { div_(o); return *this; }
inline Tensor Tensor::operator-() const { return neg(); }
inline Tensor Tensor::operator~() const { return bitwise_not(); }
inline Tensor from_blob(void* p, IntArrayRef size, IntArrayRef stride, const TensorOptions& o = {}) {
  AtenTensorHandle h; const auto d = o.device();
  GWC_OK(aoti_torch_create_tensor_from_blob(p, static_cast<int64_t>(size.size()), size.data(), stride.data(), 0, torch::stable::detail::to<int32_t>(torch::stable::detail::from(o.dtype_or_default())), torch::stable::detail::to<int32_t>(torch::stable::detail::from(d.type())), d.index() < 0 ? 0 : d.index(), &h));
  return Tensor(h, Tensor::steal{});
}
inline Tensor from_blob(void* p, IntArrayRef size, const TensorOptions& o = {}) {
  std::vector<int64_t> st(size.size()); int64_t n = 1; for (size_t i = size.size(); i-- > 0;) { st[i] = n; n *= size[i]; } return from_blob(p, size, st, o);
}
template <class T> Tensor tensor(const std::vector<T>& v, const TensorOptions& o = {}) { auto t = empty({static_cast<int64_t>(v.size())}, TensorOptions(CppTypeToScalarType<T>::value)); std::copy(v.begin(), v.end(), t.template data_ptr<T>()); return o.dtype_ || o.device_ ? t.to(o.device_.value_or(Device()), o.dtype_.value_or(CppTypeToScalarType<T>::value)) : t; }
template <class F> void parallel_for(int64_t b, int64_t e, int64_t g, const F& f) { if (b >= e) return; GWC_OK(torch_parallel_for(b, e, g, [](int64_t x, int64_t y, void* c) { (*static_cast<const F*>(c))(x, y); }, const_cast<void*>(static_cast<const void*>(&f)))); }
inline int64_t get_num_threads() { uint32_t n; GWC_OK(torch_get_num_threads(&n)); return n; }
namespace internal { constexpr int64_t GRAIN_SIZE = 32768; }
using CheckedFrom = const char*;
struct TensorArg { Tensor tensor; const char* name; int pos; TensorArg(Tensor t, const char* n, int p) : tensor(std::move(t)), name(n), pos(p) {} const Tensor* operator->() const { return &tensor; } const Tensor& operator*() const { return tensor; } };
inline void checkAllSameGPU(CheckedFrom c, std::initializer_list<TensorArg> l) { for (auto& a : l) TORCH_CHECK(a->device() == (*l.begin())->device(), "Expected ", a.name, " on the same device as ", l.begin()->name, " (while checking arguments for ", c, ")"); }
inline void checkAllSameType(CheckedFrom c, std::initializer_list<TensorArg> l) { for (auto& a : l) TORCH_CHECK(a->scalar_type() == (*l.begin())->scalar_type(), "Expected ", a.name, " of the type of ", l.begin()->name, " (while checking arguments for ", c, ")"); }
inline void checkSameGPU(CheckedFrom c, const TensorArg& a, const TensorArg& b) { checkAllSameGPU(c, {a, b}); }
inline void checkAllContiguous(CheckedFrom c, std::initializer_list<TensorArg> l) { for (auto& a : l) TORCH_CHECK(a->is_contiguous(), "Expected contiguous ", a.name, " (while checking arguments for ", c, ")"); }
inline Scalar Tensor::item() const { return scalar_type() == kBool ? Scalar(item<bool>()) : is_floating_point() ? Scalar(item<double>()) : Scalar(item<int64_t>()); }
template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0> Tensor tensor(std::initializer_list<T> v, const TensorOptions& o = {}) { return tensor(std::vector<T>(v), o); }
template <class T> struct opmath { using type = T; }; template <> struct opmath<Half> { using type = float; }; template <> struct opmath<BFloat16> { using type = float; };
template <class T> using opmath_type = typename opmath<T>::type;
template <class T, bool> struct AccumulateType { using type = std::conditional_t<std::is_integral_v<T>, int64_t, typename opmath<T>::type>; };
template <class T, bool B> using acc_type = typename AccumulateType<T, B>::type;
struct Context {
  static void alertNotDeterministic(const char*) {}  // prototype: should ask Python  // no shim: Python answers
  bool deterministicAlgorithms() const { return gpuwheel_compat::call<bool>("gpuwheel_compat::deterministic_algorithms", ""); }
};
inline Context& globalContext() { static Context c; return c; }
}  // namespace gpuwheel_compat

namespace gpuwheel_compat {
using gpuwheel_compat::empty_like;
namespace nn::functional {
struct PadFuncOptions { std::vector<int64_t> pad_; std::string mode_ = "constant"; double value_ = 0;
  PadFuncOptions(std::initializer_list<int64_t> p) : pad_(p) {} PadFuncOptions(std::vector<int64_t> p) : pad_(std::move(p)) {}
  PadFuncOptions& value(double v) { value_ = v; return *this; } };
inline Tensor pad(const Tensor& x, const PadFuncOptions& o) { return gpuwheel_compat::pad(x, o.pad_, o.mode_, o.value_); }
}
struct NoGradGuard {};
class RegisterOperators {  // old registration: schema from the C++ signature
 public:
  template <class F> RegisterOperators&& op(const std::string& name, F f) && { reg(name, f); return std::move(*this); }
  template <class F> RegisterOperators& op(const std::string& name, F f) & { reg(name, f); return *this; }
  template <class F> RegisterOperators(const std::string& name, F f) { reg(name, f); }
  RegisterOperators() = default;
 private:
  template <class F> static void reg(const std::string& name, F f);
};

}
