// Values to and from what the dispatcher takes, and the call of any of its operators.
#pragma once
#include <gpuwheel_compat/tensor.h>

// gpuwheel_compat::Tensor <-> StableIValue
HIDDEN_NAMESPACE_BEGIN(torch, stable, detail)
template <> struct FromImpl<gpuwheel_compat::Tensor> {
  static StableIValue call(const gpuwheel_compat::Tensor& v, uint64_t, bool) {
    AtenTensorHandle h;
    if (v.handle_or_null()) GWC_OK(aoti_torch_new_tensor_handle(v.handle_or_null(), &h));
    else GWC_OK(aoti_torch_new_uninitialized_tensor(&h));
    return torch::stable::detail::from(h);
  }
};
template <> struct ToImpl<gpuwheel_compat::Tensor> {
  static gpuwheel_compat::Tensor call(StableIValue v, uint64_t, bool) { return gpuwheel_compat::Tensor(to<AtenTensorHandle>(v), gpuwheel_compat::Tensor::steal{}); }
};
template <> struct FromImpl<gpuwheel_compat::Device> {
  static StableIValue call(const gpuwheel_compat::Device& d, uint64_t, bool) {
    return static_cast<uint64_t>(static_cast<uint32_t>(static_cast<int32_t>(d.index()))) | (static_cast<uint64_t>(static_cast<uint32_t>(torch::stable::detail::from(d.type()))) << 32);
  }
};
template <> struct ToImpl<gpuwheel_compat::Device> {
  static gpuwheel_compat::Device call(StableIValue v, uint64_t, bool) { return gpuwheel_compat::Device(to<gpuwheel_compat::DeviceType>(v >> 32), static_cast<int32_t>(static_cast<uint32_t>(v))); }
};
template <class T> struct FromImpl<gpuwheel_compat::ArrayRef<T>> {
  static StableIValue call(const gpuwheel_compat::ArrayRef<T>& v, uint64_t, bool) {
    StableListHandle l; GWC_OK(torch_new_list_reserve_size(v.size(), &l));
    for (const auto& e : v) GWC_OK(torch_list_push_back(l, torch::stable::detail::from(e)));
    return torch::stable::detail::from(l);
  }
};
HIDDEN_NAMESPACE_END(torch, stable, detail)
namespace gpuwheel_compat {
using gpuwheel_compat::optional;
template <class T> struct as_boxed { using type = T; };
template <> struct as_boxed<int> { using type = int64_t; };
template <> struct as_boxed<float> { using type = double; };
template <class T> using as_boxed_t = typename as_boxed<std::decay_t<T>>::type;

template <class R> R take(StableIValue* s) { return torch::stable::detail::to<R>(s[0]); }
template <class R> struct taker { static R run(StableIValue* s) { return torch::stable::detail::to<R>(s[0]); } };
template <> struct taker<void> { static void run(StableIValue*) {} };
template <class... R> struct taker<std::tuple<R...>> {
  template <size_t... I> static std::tuple<R...> go(StableIValue* s, std::index_sequence<I...>) { return {torch::stable::detail::to<R>(s[I])...}; }
  static std::tuple<R...> run(StableIValue* s) { return go(s, std::index_sequence_for<R...>{}); }
};
template <class R, class... A>
R call(const char* op, const char* overload, const A&... a) {
  StableIValue s[sizeof...(A) + 8] = {torch::stable::detail::from(static_cast<as_boxed_t<A>>(a))...};
  GWC_OK(torch_call_dispatcher(op, overload, s, TORCH_ABI_VERSION));
  return taker<R>::run(s);
}
}  // namespace gpuwheel_compat
HIDDEN_NAMESPACE_BEGIN(torch, stable, detail)
template <> struct FromImpl<std::optional<gpuwheel_compat::IntArrayRef>> {
  static StableIValue call(const std::optional<gpuwheel_compat::IntArrayRef>& v, uint64_t, bool) {
    if (!v) return torch::stable::detail::from(std::nullopt);
    return torch::stable::detail::from(new StableIValue(torch::stable::detail::from(*v)));
  }
};
HIDDEN_NAMESPACE_END(torch, stable, detail)

namespace gpuwheel_compat {
using namespace c10; using gpuwheel_compat::Tensor;
inline optional<std::string> owned(optional<string_view> s) { return s ? optional<std::string>(std::string(*s)) : nullopt; }
// A Scalar cannot cross the stable ABI: it goes as a 0-dim tensor to a helper operator that Python defines.
inline Tensor scalar_tensor(const Scalar& s) {
  AtenTensorHandle h;
  if (s.tag == Scalar::D) GWC_OK(aoti_torch_scalar_to_tensor_float64(s.d, &h));
  else if (s.tag == Scalar::B) GWC_OK(aoti_torch_scalar_to_tensor_bool(s.i != 0, &h));
  else GWC_OK(aoti_torch_scalar_to_tensor_int64(s.i, &h));
  return Tensor(h, Tensor::steal{});
}
inline optional<Tensor> scalar_tensor(const optional<Scalar>& s) { return s ? optional<Tensor>(scalar_tensor(*s)) : nullopt; }
inline std::vector<std::pair<std::string, std::string>>& needs() { static std::vector<std::pair<std::string, std::string>> v; return v; }
template <class Tag> struct Need { static const bool registered; };
template <class Tag> const bool Need<Tag>::registered = (needs().emplace_back(Tag::name, Tag::overload), true);
template <class R, class Tag, class... A> R call_scalar(const char* base, const A&... a) {
  (void)Need<Tag>::registered;
  static const std::string op = str("gpuwheel_compat::", base);
  return call<R>(op.c_str(), Tag::overload, a...);
}
}  // namespace gpuwheel_compat
