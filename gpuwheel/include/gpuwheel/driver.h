// The CUDA driver API, found at run time: `libcuda.so.1` is opened by the first call that needs it. No CUDA header, no
// CUDA library at link time. Authors include <gpuwheel/launch.h>; this file is its lower half.
#pragma once

#if defined(__CUDACC_RTC__)
#error gpuwheel: <gpuwheel/launch.h> is for host code; the .cu files of a kernel group include <gpuwheel/device.h>
#endif

#include <dlfcn.h>
#include <time.h>
#include <unistd.h>

#include <gpuwheel/namespace.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <string>
#include <type_traits>

#if defined(__GLIBC__)
// What pthread_atfork is made of (Linux Standard Base, core): in libc of every glibc, and forgotten with the library.
extern "C" int __register_atfork(void (*)(), void (*)(), void (*)(), void*);
extern "C" __attribute__((visibility("hidden"))) void* __dso_handle;
#endif

GPUWHEEL_NAMESPACE_BEGIN

// What any CUDA call of these headers throws. The message names the kernel, the device and what the driver said.
class Error : public std::runtime_error {
 public:
  Error(int code, const std::string& message) : std::runtime_error(message), code_(code) {}

  // The CUresult; kNoDriver when there is no usable driver.
  int code() const noexcept { return code_; }

  static constexpr int kNoDriver = -1;

 private:
  int code_;
};

namespace driver {

using Result = int;    // CUresult
using Handle = void*;  // CUlibrary, CUkernel, CUcontext, CUstream

// cuda.h in the few parts that are needed. The tests assert every layout and value against the real header.
enum : Result {
  kSuccess = 0,
  kInvalidValue = 1,
  kNotInitialized = 3,
  kInvalidImage = 200,
  kInvalidContext = 201,
  kNoBinary = 209,
  kUnsupportedPtx = 222,
  kNotFound = 500,
};
enum LaunchAttributeId : int { kCooperative = 2, kClusterDimension = 4, kProgrammaticStreamSerialization = 6 };
enum FunctionAttribute : int {
  kMaxThreadsPerBlock = 0,
  kSharedSize = 1,
  kConstantSize = 2,
  kLocalSize = 3,
  kRegisters = 4,
  kPtxVersion = 5,
  kBinaryVersion = 6,
  kMaxDynamicSharedSize = 8,
  kNonPortableClusterSizeAllowed = 14,
};
enum DeviceAttribute : int {
  kMultiprocessorCount = 16,
  kComputeCapabilityMajor = 75,
  kComputeCapabilityMinor = 76,
  kMaxSharedPerBlockOptin = 97,
};
enum LibraryOption : int { kBinaryIsPreserved = 1 };

struct alignas(8) LaunchAttribute {  // CUlaunchAttribute
  int id;
  char padding[4];
  union {
    unsigned dimensions[3];
    int flag;
    char raw[64];
  } value;
};

struct LaunchConfig {  // CUlaunchConfig
  unsigned grid[3];
  unsigned block[3];
  unsigned shared_bytes;
  Handle stream;
  LaunchAttribute* attributes;
  unsigned attribute_count;
};

struct Functions {
  Result (*init)(unsigned flags);
  Result (*driver_version)(int* version);
  Result (*error_name)(Result, const char**);
  Result (*error_string)(Result, const char**);
  Result (*library_load_data)(Handle* library, const void* image, int* jit_options, void** jit_values, unsigned jit_count,
                              int* options, void** values, unsigned count);
  Result (*library_get_kernel)(Handle* kernel, Handle library, const char* symbol);
  Result (*kernel_get_function)(Handle* function, Handle kernel);
  Result (*kernel_get_attribute)(int* value, int attribute, Handle kernel, int device);
  Result (*kernel_set_attribute)(int attribute, int value, Handle kernel, int device);
  Result (*launch_kernel)(const LaunchConfig*, Handle kernel, void** parameters, void** extra);
  Result (*max_active_blocks)(int* blocks, Handle kernel, int block_size, std::size_t shared_bytes);
  Result (*max_potential_block_size)(int* grid, int* block, Handle kernel, std::size_t (*shared_bytes)(int), std::size_t, int);
  Result (*max_potential_cluster_size)(int* blocks, Handle kernel, const LaunchConfig*);
  Result (*device_get_attribute)(int* value, int attribute, int device);
  Result (*primary_context_retain)(Handle* context, int device);
  Result (*context_set_current)(Handle context);
  Result (*context_push_current)(Handle context);
  Result (*context_pop_current)(Handle* context);
  Result (*context_get_device)(int* device);
  pid_t process;  // that called cuInit
};

inline std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

inline std::string describe(const Functions& cuda, Result result) {
  const char* name = nullptr;
  const char* text = nullptr;
  cuda.error_name(result, &name);
  cuda.error_string(result, &text);
  return std::string(name ? name : "unknown error") + " (" + std::to_string(result) + ")" + (text ? std::string(": ") + text : "");
}

[[noreturn, gnu::cold, gnu::noinline]] inline void fail_in_child() {
  throw Error(kNotInitialized,
              "gpuwheel: CUDA_ERROR_NOT_INITIALIZED (3): CUDA was used before this process was forked: start processes with the 'spawn' method");
}

// A lock that knows whose it is. A process that was forked while another thread held it would wait for ever for a thread
// that it does not have: it gets an error. Held for one call of the driver, at the first use of something.
class Lock {
 public:
  void lock() {
    const pid_t self = getpid();
    for (pid_t owner = 0; !owner_.compare_exchange_weak(owner, self, std::memory_order_acquire, std::memory_order_relaxed); owner = 0) {
      if (owner != 0 && owner != self) fail_in_child();
      const timespec pause{0, 50000};
      if (owner != 0) nanosleep(&pause, nullptr);
    }
  }
  void unlock() { owner_.store(0, std::memory_order_release); }

 private:
  std::atomic<pid_t> owner_{0};  // 0: free
};

inline Functions load() {
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);  // never closed: the driver outlives its users
  if (library == nullptr) {
    const char* reason = dlerror();
    throw Error(Error::kNoDriver, std::string("gpuwheel: no CUDA driver on this machine: ") + (reason ? reason : "libcuda.so.1"));
  }
  using Lookup = Result (*)(const char* name, void** function, int version, std::uint64_t flags, int* status);
  const auto lookup = reinterpret_cast<Lookup>(dlsym(library, "cuGetProcAddress_v2"));
  if (lookup == nullptr) {
    throw Error(Error::kNoDriver, "gpuwheel: the CUDA driver is too old: it has no cuGetProcAddress_v2 (CUDA 12.0, driver 525, or newer is needed)");
  }
  Functions cuda{};
  // `since`: the CUDA version whose signature is asked for.
  const auto find = [&](auto& function, const char* name, int since) {
    void* address = nullptr;
    if (lookup(name, &address, since, 0 /* legacy default stream */, nullptr) != kSuccess || address == nullptr) {
      int version = 0;
      if (cuda.driver_version) cuda.driver_version(&version);
      throw Error(Error::kNoDriver, std::string("gpuwheel: the CUDA driver is too old: it has no ") + name + " (it supports CUDA " +
                                        version_text(version) + "; 12.0, driver 525, or newer is needed)");
    }
    function = reinterpret_cast<std::decay_t<decltype(function)>>(address);
  };
  find(cuda.driver_version, "cuDriverGetVersion", 2020);
  find(cuda.init, "cuInit", 2000);
  find(cuda.error_name, "cuGetErrorName", 6000);
  find(cuda.error_string, "cuGetErrorString", 6000);
  find(cuda.library_load_data, "cuLibraryLoadData", 12000);
  find(cuda.library_get_kernel, "cuLibraryGetKernel", 12000);
  find(cuda.kernel_get_function, "cuKernelGetFunction", 12000);
  find(cuda.kernel_get_attribute, "cuKernelGetAttribute", 12000);
  find(cuda.kernel_set_attribute, "cuKernelSetAttribute", 12000);
  find(cuda.launch_kernel, "cuLaunchKernelEx", 11060);
  find(cuda.max_active_blocks, "cuOccupancyMaxActiveBlocksPerMultiprocessor", 6050);
  find(cuda.max_potential_block_size, "cuOccupancyMaxPotentialBlockSize", 6050);
  find(cuda.max_potential_cluster_size, "cuOccupancyMaxPotentialClusterSize", 11070);
  find(cuda.device_get_attribute, "cuDeviceGetAttribute", 2000);
  find(cuda.primary_context_retain, "cuDevicePrimaryCtxRetain", 7000);
  find(cuda.context_set_current, "cuCtxSetCurrent", 4000);
  find(cuda.context_push_current, "cuCtxPushCurrent", 4000);
  find(cuda.context_pop_current, "cuCtxPopCurrent", 4000);
  find(cuda.context_get_device, "cuCtxGetDevice", 2000);
  cuda.process = getpid();
  if (const Result result = cuda.init(0)) throw Error(result, "gpuwheel: the CUDA driver does not start: " + describe(cuda, result));
  return cuda;
}

struct Start {
  std::atomic<bool> done{false};
  Lock lock;
  bool watches_forks = false;
  Functions functions{};
};

inline Start& start() {
  static Start state;  // constant-initialised: without a guard, for which a forked child could wait
  return state;
}

// After a fork nothing of CUDA works, and a driver that another thread was just in may hang: it is not called again.
inline void in_child() { start().done.store(false, std::memory_order_relaxed); }

[[gnu::cold, gnu::noinline]] inline const Functions& first_use() {
  Start& state = start();
  const std::lock_guard<Lock> lock(state.lock);
  if (state.done.load(std::memory_order_relaxed)) return state.functions;
  if (state.functions.process != 0 && state.functions.process != getpid()) fail_in_child();
#if defined(__GLIBC__)
  if (!state.watches_forks) state.watches_forks = __register_atfork(nullptr, nullptr, in_child, &__dso_handle) == 0;
#endif
  state.functions = load();
  state.done.store(true, std::memory_order_release);
  return state.functions;
}

// Found once per shared library; a failure is tried again by the next call.
inline const Functions& functions() {
  return __builtin_expect(start().done.load(std::memory_order_acquire), 1) ? start().functions : first_use();
}

// `more`: what explains the error, behind the driver's words for it.
[[noreturn, gnu::cold, gnu::noinline]] inline void fail(Result result, const std::string& doing, const std::string& more = {}) {
  const Functions& cuda = functions();
  std::string message = "gpuwheel: " + doing + ": " + describe(cuda, result) + more;
  if (result == kNotInitialized && cuda.process != getpid()) {
    message += "; CUDA was used before this process was forked: start processes with the 'spawn' method";
  }
  throw Error(result, message);
}

// Where an image does not serve a device: what it holds, what the device needs, and the way out; else nothing.
inline std::string unserved(Result result, const char* targets, int device) {
  if (result != kNoBinary && result != kUnsupportedPtx && result != kInvalidImage && result != kNotFound) return "";
  const Functions& cuda = functions();
  if (device < 0 && cuda.context_get_device(&device) != kSuccess) return std::string(" (compiled for ") + targets + ")";
  int major = 0, minor = 0, version = 0;
  cuda.device_get_attribute(&major, kComputeCapabilityMajor, device);
  cuda.device_get_attribute(&minor, kComputeCapabilityMinor, device);
  cuda.driver_version(&version);
  return std::string("; compiled for ") + targets + ", device " + std::to_string(device) + " is sm_" + std::to_string(major * 10 + minor) +
         ", the driver supports CUDA " + version_text(version) + ": " +
         (result == kUnsupportedPtx ? "install a newer driver, which compiles its PTX, or " : "") +
         "install a release for this GPU, or build it with \"" + std::to_string(major) + "." + std::to_string(minor) + "\" in `archs`";
}

inline int device_attribute(int attribute, int device) {
  int value = 0;
  if (const Result result = functions().device_get_attribute(&value, attribute, device)) {
    fail(result, "asking for attribute " + std::to_string(attribute) + " of device " + std::to_string(device));
  }
  return value;
}

inline constexpr int kMaxDevices = 64;  // a machine has at most 16 to 32; a device above that is an error, not an overrun

inline int checked_device(int device) {
  if (__builtin_expect(device < 0 || device >= kMaxDevices, 0)) throw std::out_of_range("gpuwheel: there is no CUDA device " + std::to_string(device));
  return device;
}

// The context that the CUDA runtime and torch use, retained once per device for the life of the process.
inline Handle primary_context(int device) {
  static std::atomic<Handle> contexts[kMaxDevices];
  static Lock mutex;
  std::atomic<Handle>& slot = contexts[checked_device(device)];
  if (const Handle context = slot.load(std::memory_order_acquire)) return context;
  const std::lock_guard<Lock> lock(mutex);
  if (const Handle context = slot.load(std::memory_order_relaxed)) return context;
  Handle context = nullptr;
  if (const Result result = functions().primary_context_retain(&context, device)) {
    fail(result, "retaining the context of device " + std::to_string(device));
  }
  slot.store(context, std::memory_order_release);
  return context;
}

// Makes a device's primary context current for a scope.
class ContextGuard {
 public:
  explicit ContextGuard(int device) : cuda_(functions()) {
    if (const Result result = cuda_.context_push_current(primary_context(device))) {
      fail(result, "making device " + std::to_string(device) + " current");
    }
  }
  ~ContextGuard() {
    Handle context = nullptr;
    cuda_.context_pop_current(&context);
  }
  ContextGuard(const ContextGuard&) = delete;
  ContextGuard& operator=(const ContextGuard&) = delete;

 private:
  const Functions& cuda_;
};

// The device of the calling thread; 0, as for the CUDA runtime, if none was made current yet.
inline int current_device() {
  int device = 0;
  const Result result = functions().context_get_device(&device);
  if (result != kSuccess && result != kInvalidContext) fail(result, "asking for the current device");
  return result == kSuccess ? device : 0;
}

// Makes the device of a default stream current for a scope: null, the legacy and the per-thread stream belong to whatever
// context is current. A thread without any gets the primary one and keeps it, as from the CUDA runtime.
class StreamGuard {
 public:
  // `device`: where to launch; -1: on the current one.
  StreamGuard(Handle stream, int device) : device_(device), cuda_(functions()) {
    if (reinterpret_cast<std::uintptr_t>(stream) > kPerThreadStream && device >= 0) {
      checked_device(device);
      return;
    }
    int current = 0;
    const Result found = cuda_.context_get_device(&current);
    if (found == kSuccess && (device < 0 || device == current)) {
      device_ = current;
    } else if (found == kSuccess) {
      enter(cuda_.context_push_current(primary_context(device)));
      is_pushed_ = true;
    } else if (found == kInvalidContext) {
      device_ = device < 0 ? 0 : device;
      enter(cuda_.context_set_current(primary_context(device_)));
    } else {
      fail(found, "asking for the current device");
    }
  }
  ~StreamGuard() {
    Handle context = nullptr;
    if (is_pushed_) cuda_.context_pop_current(&context);
  }
  StreamGuard(const StreamGuard&) = delete;
  StreamGuard& operator=(const StreamGuard&) = delete;

  int device() const { return device_; }

 private:
  static constexpr std::uintptr_t kPerThreadStream = 2;  // CU_STREAM_PER_THREAD; CU_STREAM_LEGACY is 1

  void enter(Result result) const {
    if (result != kSuccess) fail(result, "making device " + std::to_string(device_) + " current");
  }

  int device_;
  bool is_pushed_ = false;
  const Functions& cuda_;
};

}  // namespace driver
GPUWHEEL_NAMESPACE_END
