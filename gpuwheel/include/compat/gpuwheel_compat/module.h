// What a library tells of its functions, and how the dispatcher gets to them.
//
// PYBIND11_MODULE's body runs when Python imports the module, as it did: it registers each function with the dispatcher
// and describes it, as JSON, for the module that Python sees (`launcher/compat*.py`).
#pragma once
#include <gpuwheel_compat/function.h>

#include <pthread.h>

#include <thread>

#ifndef GPUWHEEL_COMPAT_FUNCTIONS
#define GPUWHEEL_COMPAT_FUNCTIONS 1024  // pointers to functions and capturing lambdas; captureless lambdas are not counted
#endif

namespace gpuwheel_compat::bridge {
// The lock that stands in for Python's: the dispatcher calls without the GIL, which functions of a module relied on.
// It excludes the functions of one library from each other, unless they released the GIL.
class StandInLock {
  std::recursive_mutex mutex_;
  std::thread::id owner_;
  int depth_ = 0;

 public:
  StandInLock() {
    // A child of fork has one thread: what another held there, nobody will release.
    pthread_atfork(nullptr, nullptr, [] { the().after_fork(); });
  }
  static StandInLock& the() {
    static auto* lock = new StandInLock;  // is never destroyed: calls may come while the process ends
    return *lock;
  }
  void lock(int times = 1) {
    mutex_.lock();
    owner_ = std::this_thread::get_id();
    depth_ += times;
    for (int i = 1; i < times; ++i) mutex_.lock();
  }
  void unlock() {
    if (--depth_ == 0) owner_ = {};
    mutex_.unlock();
  }
  // Releases all that this thread holds; the answer is for `lock`.
  int release() {
    if (owner_ != std::this_thread::get_id()) return 0;
    const int held = depth_;
    for (int i = 0; i < held; ++i) unlock();
    return held;
  }

 private:
  void after_fork() {
    if (depth_ == 0 || owner_ == std::this_thread::get_id()) return;
    new (&mutex_) std::recursive_mutex;
    owner_ = {};
    depth_ = 0;
  }
};

struct Kernel {
  std::function<void(Stack)> call;
  bool holds_gil;
};

struct Registry {
  std::string error, error_type;  // of a TORCH_LIBRARY, which runs while the library is loaded
  std::deque<Kernel> pool;        // those that the trampolines call, by number
  std::vector<std::string> functions, attributes, submodules, exceptions, operators;  // JSON
  std::string doc;
  std::function<void()> body;  // of PYBIND11_MODULE
  bool registers = true;     // not while a build asks what there is
  int numbered = 0;
  std::mutex mutex;
};
inline Registry& registry() {
  static auto* registry = new Registry;
  return *registry;
}
#define GWC_STRING2(name) #name
#define GWC_STRING(name) GWC_STRING2(name)
// The namespace of this library's module functions, as profilers show it. The address is there so that no two libraries in
// a process share one: half of all extensions are called _C, and two versions of one may be loaded.
inline const std::string& own_namespace() {
#ifdef TORCH_EXTENSION_NAME
  static const auto* name = new std::string(str("gpuwheel_" GWC_STRING(TORCH_EXTENSION_NAME) "_", reinterpret_cast<uintptr_t>(&registry())));
#else
  static const auto* name = new std::string(str("gpuwheel_", reinterpret_cast<uintptr_t>(&registry())));
#endif
  return *name;
}

inline void run(const Kernel& kernel, Stack stack) {
  struct Lock {
    bool held;
    explicit Lock(bool held) : held(held) {
      if (held) StandInLock::the().lock();
    }
    ~Lock() {
      if (held) StandInLock::the().unlock();
    }
  } lock(kernel.holds_gil);
  leaving([&] { kernel.call(stack); });
}

// The dispatcher calls plain functions, which know nothing but the stack: each kernel needs one of its own.
// A lambda without captures has a type of its own, so has a function that is a template argument; others take one of a pool.
using Trampoline = void (*)(Stack, uint64_t, uint64_t);
inline void run_number(Stack stack, size_t number) { run(registry().pool[number], stack); }
template <class F>
struct Own {
  static Kernel*& kernel() {
    static Kernel* kernel = nullptr;
    return kernel;
  }
  static void call(Stack stack, uint64_t, uint64_t) { run(*kernel(), stack); }
};

constexpr size_t kPooled = GPUWHEEL_COMPAT_FUNCTIONS;
}  // namespace gpuwheel_compat::bridge
#if defined(__x86_64__) || defined(__aarch64__)
#define GWC_POOL_IN_ASSEMBLY
extern "C" __attribute__((used, visibility("hidden"))) inline void gpuwheel_compat_run_number(StableIValue* stack, uint64_t number, uint64_t) {
  ::gpuwheel_compat::bridge::run_number(stack, number);
}
#endif
namespace gpuwheel_compat::bridge {
#ifdef GWC_POOL_IN_ASSEMBLY
// A thousand functions of C++ that differ in a number cost the compiler a second. In assembly they cost nothing: each puts
// its number where the second argument is, and goes on to the function above. One copy in a library, as of inline functions.
constexpr size_t kPooledBytes = 16;
template <class Dependent>  // so that only sources that register functions have the pool
C10_NOINLINE Trampoline pooled(size_t number) {
  const char* first;
#define GWC_POOL_BEGIN                                                                                                  \
  ".ifndef gpuwheel_compat_pool\n"                                                                                      \
  ".pushsection .text.gpuwheel_compat_pool,\"axG\",%%progbits,gpuwheel_compat_pool,comdat\n"                             \
  ".weak gpuwheel_compat_pool\n.hidden gpuwheel_compat_pool\n.type gpuwheel_compat_pool,%%function\n.balign 16\n"        \
  "gpuwheel_compat_pool:\n.set gpuwheel_compat_number, 0\n"
#define GWC_POOL_END ".set gpuwheel_compat_number, gpuwheel_compat_number + 1\n.balign 16\n.endr\n.popsection\n.endif\n"
#ifdef __x86_64__
  asm(GWC_POOL_BEGIN ".rept %c1\nendbr64\nmovl $gpuwheel_compat_number, %%esi\njmp gpuwheel_compat_run_number\n" GWC_POOL_END
      "leaq gpuwheel_compat_pool(%%rip), %0"
      : "=r"(first) : "i"(kPooled));
#else
  asm(GWC_POOL_BEGIN ".rept %c1\nhint #34\nmov w1, #gpuwheel_compat_number\nb gpuwheel_compat_run_number\n" GWC_POOL_END
      "adrp %0, gpuwheel_compat_pool\nadd %0, %0, :lo12:gpuwheel_compat_pool"
      : "=r"(first) : "i"(kPooled));
#endif
#undef GWC_POOL_BEGIN
#undef GWC_POOL_END
  return reinterpret_cast<Trampoline>(reinterpret_cast<uintptr_t>(first + number * kPooledBytes));
}
#else
template <size_t I>
void pooled_number(Stack stack, uint64_t, uint64_t) { run_number(stack, I); }
template <size_t... I>
Trampoline pooled_of(size_t number, std::index_sequence<I...>) {
  static constexpr Trampoline table[] = {&pooled_number<I>...};
  return table[number];
}
template <class Dependent>
Trampoline pooled(size_t number) { return pooled_of(number, std::make_index_sequence<kPooled>{}); }
#endif
template <class F>
Trampoline trampoline(F&, Kernel kernel, const std::string& name) {
  if constexpr (std::is_empty_v<F>) {
    // The same lambda twice is the same function, with or without the lock.
    if (!Own<F>::kernel()) Own<F>::kernel() = new Kernel(std::move(kernel));
    return &Own<F>::call;
  } else {
    auto& pool = registry().pool;
    const auto number = pool.size();
    if (number >= kPooled)
      throw Error(str(name, ": there are more than ", GPUWHEEL_COMPAT_FUNCTIONS, " functions; define GPUWHEEL_COMPAT_FUNCTIONS as more"));
    pool.push_back(std::move(kernel));
    return pooled<std::void_t<F>>(number);
  }
}

// A library of the dispatcher. It stays: operators live as long as the process.
inline void define(const std::string& space, const std::string& schema) {
  TorchLibraryHandle library;
  GWC_OK(aoti_torch_library_init_fragment(space.c_str(), __FILE__, __LINE__, &library));
  GWC_OK(aoti_torch_library_def(library, schema.c_str()));
}
inline void implement(const std::string& space, const std::string& name, const char* key, Trampoline call) {
  TorchLibraryHandle library;
  GWC_OK(aoti_torch_library_init_impl(space.c_str(), key, __FILE__, __LINE__, &library));
  GWC_OK(torch_library_impl(library, name.c_str(), call, TORCH_ABI_VERSION));
}
// Runs as functions of pybind11 run: no dispatch key is excluded, autograd records what they call.
inline constexpr const char* as_python_runs = "CompositeImplicitAutograd";
// Under torch.func.vmap too: what they call is batched, and not they.
inline constexpr const char* under_vmap = "FuncTorchBatchedDecomposition";

template <From from, class F>
Trampoline kernel_of(F& function, bool holds_gil, const std::string& name) {
  using S = typename signature<F>::type;
  return trampoline(function, Kernel{[function](Stack stack) mutable { invoker<from, F, S>::run(function, stack); }, holds_gil}, name);
}
}  // namespace gpuwheel_compat::bridge
