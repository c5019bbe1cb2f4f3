// The state of torch: what can be asked of it, and the guards that change it.
#pragma once
#include <gpuwheel_compat/factories.h>

namespace gpuwheel_compat {
// ---- gradients recorded or not, in this thread
struct GradMode final {
  static bool is_enabled() { return aoti_torch_grad_mode_is_enabled(); }
  static void set_enabled(bool b) { aoti_torch_grad_mode_set_enabled(b); }
};
class AutoGradMode {
  bool before_;

 public:
  explicit AutoGradMode(bool enabled) : before_(GradMode::is_enabled()) { GradMode::set_enabled(enabled); }
  ~AutoGradMode() { GradMode::set_enabled(before_); }
  AutoGradMode(const AutoGradMode&) = delete;
  AutoGradMode& operator=(const AutoGradMode&) = delete;
};
struct NoGradGuard : AutoGradMode {
  NoGradGuard() : AutoGradMode(false) {}
};

// ---- what Python can say of torch's state (none of it has a C function)
namespace detail {
inline bool torch_flag(const char* name) { return call<bool>(GWC_PYTHON "::flag", "", std::string(name)); }
template <class T>
constexpr bool always_false = false;
}  // namespace detail

// Guards that the stable ABI cannot make: the compiler says so where one is.
#define GWC_REFUSED_GUARD(NAME, WHY)                                                                       \
  struct NAME {                                                                                            \
    template <class T = bool>                                                                              \
    explicit NAME(T = true) {                                                                              \
      static_assert(detail::always_false<T>, #NAME " is not in torch's stable ABI: " WHY);                 \
    }                                                                                                      \
    static bool is_enabled() { return detail::torch_flag("inference_mode"); }                              \
  };
GWC_REFUSED_GUARD(InferenceMode, "use torch::NoGradGuard here, or torch.inference_mode() in Python")
#undef GWC_REFUSED_GUARD
#define GWC_REFUSED_GUARD(NAME, WHY)                                                                       \
  struct NAME {                                                                                            \
    template <class T = bool>                                                                              \
    explicit NAME(T = true) {                                                                              \
      static_assert(detail::always_false<T>, #NAME " is not in torch's stable ABI: " WHY);                 \
    }                                                                                                      \
  };
GWC_REFUSED_GUARD(AutoDispatchBelowAutograd, "use torch::NoGradGuard, and call the function of the kernel itself")
GWC_REFUSED_GUARD(AutoDispatchBelowADInplaceOrView, "use torch::NoGradGuard, and call the function of the kernel itself")
GWC_REFUSED_GUARD(AutoNonVariableTypeMode, "use torch::NoGradGuard, and call the function of the kernel itself")
GWC_REFUSED_GUARD(AutoFwGradMode, "use torch.autograd.forward_ad in Python")
#undef GWC_REFUSED_GUARD

class Context final {
 public:
  bool deterministicAlgorithms() const { return detail::torch_flag("deterministic"); }
  bool deterministicAlgorithmsWarnOnly() const { return detail::torch_flag("deterministic_warn_only"); }
  bool deterministicFillUninitializedMemory() const { return detail::torch_flag("fill_uninitialized_memory"); }
  bool userEnabledCuDNN() const { return detail::torch_flag("cudnn"); }
  bool benchmarkCuDNN() const { return detail::torch_flag("cudnn_benchmark"); }
  bool deterministicCuDNN() const { return detail::torch_flag("cudnn_deterministic"); }
  bool allowTF32CuDNN() const { return detail::torch_flag("cudnn_tf32"); }
  bool allowTF32CuBLAS() const { return detail::torch_flag("matmul_tf32"); }
  bool userEnabledMkldnn() const { return detail::torch_flag("mkldnn"); }
  bool hasCUDA() const { return detail::torch_flag("has_cuda"); }
  bool hasCuDNN() const { return detail::torch_flag("has_cudnn"); }
  bool hasMKL() const { return detail::torch_flag("has_mkl"); }
  bool hasMKLDNN() const { return detail::torch_flag("has_mkldnn"); }
  bool hasOpenMP() const { return detail::torch_flag("has_openmp"); }
  bool hasMPS() const { return detail::torch_flag("has_mps"); }
  bool hasXPU() const { return detail::torch_flag("has_xpu"); }
  // Raises, or warns, where deterministic algorithms are asked for.
  void alertNotDeterministic(string_view caller) const {
    if (!deterministicAlgorithms()) return;
    const auto text = str(caller, " does not have a deterministic implementation, but you set 'torch.use_deterministic_algorithms(True");
    TORCH_CHECK(deterministicAlgorithmsWarnOnly(), text,
                ")'. You can turn off determinism just for this operation, or you can use the 'warn_only=True' option, if that's acceptable ",
                "for your application. You can also file an issue at https://github.com/pytorch/pytorch/issues to help us prioritize adding ",
                "deterministic support for this operation.");
    TORCH_WARN(text, ", warn_only=True)'. You can file an issue at https://github.com/pytorch/pytorch/issues to help us prioritize adding ",
               "deterministic support for this operation.");
  }
};
inline Context& globalContext() {
  static Context c;
  return c;
}
inline bool hasCUDA() { return globalContext().hasCUDA(); }
inline bool hasMKL() { return globalContext().hasMKL(); }
inline bool hasOpenMP() { return globalContext().hasOpenMP(); }

namespace autocast {
inline bool is_autocast_enabled(DeviceType t) {
  return call<bool>(GWC_PYTHON "::is_autocast_enabled", "", DeviceTypeName(t, true));
}
inline bool is_enabled() { return is_autocast_enabled(kCUDA); }
inline bool is_cpu_enabled() { return is_autocast_enabled(kCPU); }
inline ScalarType get_autocast_dtype(DeviceType t) {
  return call<ScalarType>(GWC_PYTHON "::get_autocast_dtype", "", DeviceTypeName(t, true));
}
inline ScalarType get_autocast_gpu_dtype() { return get_autocast_dtype(kCUDA); }
inline ScalarType get_autocast_cpu_dtype() { return get_autocast_dtype(kCPU); }
// As autocast casts an argument; what torch keeps of it for the next call is not kept here.
inline Tensor cached_cast(ScalarType to_type, const Tensor& t, DeviceType device = kCUDA) {
  const bool eligible = t.defined() && t.device().type() == device && t.is_floating_point() && t.scalar_type() != kDouble;
  return eligible && t.scalar_type() != to_type ? t.to(to_type) : t;
}
inline optional<Tensor> cached_cast(ScalarType to_type, const optional<Tensor>& t, DeviceType device = kCUDA) {
  return t ? optional<Tensor>(cached_cast(to_type, *t, device)) : nullopt;
}
inline std::vector<Tensor> cached_cast(ScalarType to_type, TensorList list, DeviceType device = kCUDA) {
  std::vector<Tensor> r;
  for (const auto& t : list) r.push_back(cached_cast(to_type, t, device));
  return r;
}
}  // namespace autocast

// ---- threads
namespace internal {
constexpr int64_t GRAIN_SIZE = 32768;
}
// Exceptions cross torch's threads as values: a C function stands between.
template <class F>
void parallel_for(int64_t begin, int64_t end, int64_t grain_size, const F& f) {
  TORCH_CHECK(grain_size >= 0, "Expected grain_size >= 0 to be true, but got false.  (Could this error message be improved?  If so, ",
              "please report an enhancement request to PyTorch.)");
  if (begin >= end) return;
  struct Run {
    const F& f;
    std::mutex mutex;
    std::exception_ptr error;
  } run{f, {}, nullptr};
  GWC_OK(torch_parallel_for(
      begin, end, grain_size,
      [](int64_t from, int64_t to, void* context) {
        auto& r = *static_cast<Run*>(context);
        try {
          r.f(from, to);
        } catch (...) {
          const std::lock_guard<std::mutex> lock(r.mutex);
          if (!r.error) r.error = std::current_exception();
        }
      },
      &run));
  if (run.error) std::rethrow_exception(run.error);
}
template <class T, class F, class Reduce>
T parallel_reduce(int64_t begin, int64_t end, int64_t grain_size, T identity, const F& f, const Reduce& reduce) {
  if (begin >= end) return identity;
  std::mutex mutex;
  std::map<int64_t, T> parts;  // in order, so that the result does not depend on which thread is first
  parallel_for(begin, end, grain_size, [&](int64_t from, int64_t to) {
    const T part = f(from, to, identity);
    const std::lock_guard<std::mutex> lock(mutex);
    parts.emplace(from, part);
  });
  T result = identity;
  for (const auto& [from, part] : parts) result = reduce(result, part);
  return result;
}
inline int get_num_threads() {
  uint32_t n = 0;
  GWC_OK(torch_get_num_threads(&n));
  return static_cast<int>(n);
}
inline int get_thread_num() {
  uint32_t n = 0;
  GWC_OK(torch_get_thread_idx(&n));
  return static_cast<int>(n);
}
inline void set_num_threads(int n) { call<void>(GWC_PYTHON "::set_num_threads", "", static_cast<int64_t>(n)); }
inline int64_t divup(int64_t x, int64_t y) { return (x + y - 1) / y; }
inline void manual_seed(uint64_t seed) { call<void>(GWC_PYTHON "::manual_seed", "", static_cast<int64_t>(seed)); }
}  // namespace gpuwheel_compat
