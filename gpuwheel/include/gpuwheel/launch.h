// Launch the kernels of an embedded image. Free of torch and of CUDA headers; C++17; every call may be made from many
// threads. The generated NAME.kernels.h declares one Library and one typed Kernel per kernel.
#pragma once

#if defined(__CUDACC_RTC__)
#error gpuwheel: <gpuwheel/launch.h> is for host code; the .cu files of a kernel group include <gpuwheel/device.h>
#endif

#include <gpuwheel/driver.h>

#include <cstddef>
#include <cstdint>
#include <utility>

GPUWHEEL_NAMESPACE_BEGIN

// Counts of blocks or threads. Takes 64-bit numbers and refuses what does not fit: a large number of rows is never cut
// off silently.
struct Dim3 {
  unsigned x, y, z;

  constexpr Dim3(std::int64_t x_ = 1, std::int64_t y_ = 1, std::int64_t z_ = 1) : x(fit(x_)), y(fit(y_)), z(fit(z_)) {}

 private:
  static constexpr unsigned fit(std::int64_t n) {
    return n >= 0 && n <= 0x7fffffff ? static_cast<unsigned>(n)
                                     : throw std::out_of_range("gpuwheel: a grid or block cannot have " + std::to_string(n) + " elements in one dimension");
  }
};

struct Stream {
  void* handle = nullptr;  // CUstream = cudaStream_t; null: the default stream of `device`
  int device = -1;         // ordinal of the device that the stream belongs to; -1: the current one
};

struct LaunchConfig {
  Dim3 grid = {};
  Dim3 block = {};
  Stream stream = {};
  unsigned shared_bytes = 0;   // dynamic shared memory; more than the default limit is opted into by itself
  Dim3 cluster = {0, 0, 0};    // blocks per cluster (sm_90 and newer); zeros: as the kernel says
  bool cooperative = false;    // all blocks resident at once: grid.sync()
  bool programmatic = false;   // may start before the previous kernel of the stream ends (sm_90 and newer)
};

// What the compiler and the driver know about a kernel on one device. Sizes in bytes.
struct KernelAttributes {
  int registers;           // per thread
  int shared_bytes;        // static, per block
  int local_bytes;         // per thread: spills and arrays
  int constant_bytes;
  int max_threads;         // per block
  int max_dynamic_shared_bytes;  // currently allowed
  int binary_version;      // 90 for sm_90
  int ptx_version;
};

// A block size that fills the device, and the smallest grid that does.
struct BlockSize {
  int threads;
  int min_grid;
};

// One image (fatbin) in the binary: loaded by the first use of one of its kernels, for all devices at once, and never
// unloaded. Constant-initialised.
class Library {
 public:
  // `targets`: what the image holds, for messages, e.g. "sm_80 sm_90 compute_90".
  constexpr Library(const void* image, const char* name, const char* targets) : image_(image), name_(name), targets_(targets) {}
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  driver::Handle handle() {
    if (const driver::Handle handle = handle_.load(std::memory_order_acquire)) return handle;
    return load();
  }

  // Load the image now, e.g. before a CUDA graph is captured. Kernels are loaded by Kernel::preload.
  void preload() { handle(); }

  const char* name() const { return name_; }
  const char* targets() const { return targets_; }

 private:
  [[gnu::cold, gnu::noinline]] driver::Handle load() {
    const driver::Functions& cuda = driver::functions();
    const std::lock_guard<driver::Lock> lock(mutex_);
    if (const driver::Handle handle = handle_.load(std::memory_order_relaxed)) return handle;
    int option = driver::kBinaryIsPreserved;  // the image lives as long as we do: the driver need not copy it
    void* yes = reinterpret_cast<void*>(1);
    driver::Handle handle = nullptr;
    if (const driver::Result result = cuda.library_load_data(&handle, image_, nullptr, nullptr, 0, &option, &yes, 1)) {
      driver::fail(result, std::string("loading the kernels of ") + name_, driver::unserved(result, targets_, -1));
    }
    handle_.store(handle, std::memory_order_release);
    return handle;
  }

  const void* image_;
  const char* name_;
  const char* targets_;
  std::atomic<driver::Handle> handle_{nullptr};
  driver::Lock mutex_;
};

// What every kernel has, whatever its parameters. One handle serves all devices (CUDA 12 context-independent loading).
class KernelBase {
 public:
  // `symbol`: the mangled name in the image; `name`: the one for people.
  constexpr KernelBase(Library& library, const char* symbol, const char* name) : library_(library), symbol_(symbol), name_(name) {}
  KernelBase(const KernelBase&) = delete;
  KernelBase& operator=(const KernelBase&) = delete;

  // The CUkernel.
  driver::Handle handle() {
    if (const driver::Handle handle = handle_.load(std::memory_order_acquire)) return handle;
    return load();
  }

  const char* name() const { return name_; }
  const char* symbol() const { return symbol_; }

  // Load the kernel on a device now, so that its first launch may be captured into a CUDA graph.
  void preload(int device, unsigned shared_bytes = 0) {
    const driver::ContextGuard guard(device);
    driver::Handle function = nullptr;
    check(driver::functions().kernel_get_function(&function, handle()), "loading", device);
    if (shared_bytes != 0) allow_shared(shared_bytes, device);
  }

  KernelAttributes attributes(int device) {
    const auto get = [&](int attribute) {
      int value = 0;
      check(driver::functions().kernel_get_attribute(&value, attribute, handle(), device), "reading the attributes of", device);
      return value;
    };
    return {get(driver::kRegisters), get(driver::kSharedSize), get(driver::kLocalSize), get(driver::kConstantSize),
            get(driver::kMaxThreadsPerBlock), get(driver::kMaxDynamicSharedSize), get(driver::kBinaryVersion), get(driver::kPtxVersion)};
  }

  // How many blocks of this size one multiprocessor holds at a time.
  int max_blocks_per_multiprocessor(int device, int threads, unsigned shared_bytes = 0) {
    if (shared_bytes != 0) allow_shared(shared_bytes, device);
    const driver::ContextGuard guard(device);
    int blocks = 0;
    check(driver::functions().max_active_blocks(&blocks, handle(), threads, shared_bytes), "computing the occupancy of", device);
    return blocks;
  }

  // The block size with the highest occupancy, at most `max_threads` (0: as many as the kernel allows).
  BlockSize suggest_block_size(int device, unsigned shared_bytes = 0, int max_threads = 0) {
    if (shared_bytes != 0) allow_shared(shared_bytes, device);
    const driver::ContextGuard guard(device);
    BlockSize size{};
    check(driver::functions().max_potential_block_size(&size.min_grid, &size.threads, handle(), nullptr, shared_bytes, max_threads),
          "suggesting a block size for", device);
    return size;
  }

  // The largest cluster, in blocks, that can be launched with this configuration (its `cluster` is not read).
  int max_cluster_size(const LaunchConfig& config) {
    const int device = config.stream.device < 0 ? driver::current_device() : config.stream.device;
    allow_large_clusters(device);
    if (config.shared_bytes != 0) allow_shared(config.shared_bytes, device);
    const driver::ContextGuard guard(device);
    const driver::LaunchConfig raw{{config.grid.x, config.grid.y, config.grid.z}, {config.block.x, config.block.y, config.block.z},
                                   config.shared_bytes, config.stream.handle, nullptr, 0};
    int blocks = 0;
    check(driver::functions().max_potential_cluster_size(&blocks, handle(), &raw), "computing the largest cluster of", device);
    return blocks;
  }

 protected:
  void launch_raw(const LaunchConfig& config, void** parameters) {
    const driver::StreamGuard stream(config.stream.handle, config.stream.device);
    const driver::Handle kernel = handle();
    const int device = stream.device();
    if (config.shared_bytes != 0 && allowed_shared_[driver::checked_device(device)].load(std::memory_order_relaxed) < config.shared_bytes) {
      allow_shared(config.shared_bytes, device);
    }
    driver::LaunchAttribute attributes[3];
    driver::LaunchConfig raw{{config.grid.x, config.grid.y, config.grid.z}, {config.block.x, config.block.y, config.block.z},
                             config.shared_bytes, config.stream.handle, attributes, 0};
    if (config.cluster.x != 0) {
      if (config.cluster.x * config.cluster.y * config.cluster.z > kPortableCluster) allow_large_clusters(device);
      driver::LaunchAttribute& attribute = attributes[raw.attribute_count++];
      attribute.id = driver::kClusterDimension;
      attribute.value.dimensions[0] = config.cluster.x;
      attribute.value.dimensions[1] = config.cluster.y;
      attribute.value.dimensions[2] = config.cluster.z;
    }
    if (config.cooperative) set_flag(attributes[raw.attribute_count++], driver::kCooperative);
    if (config.programmatic) set_flag(attributes[raw.attribute_count++], driver::kProgrammaticStreamSerialization);
    const driver::Result result = driver::functions().launch_kernel(&raw, kernel, parameters, nullptr);
    if (__builtin_expect(result != driver::kSuccess, 0)) mend(result, raw, parameters, device);
  }

 private:
  static constexpr unsigned kPortableCluster = 8;  // blocks; more must be opted into

  static void set_flag(driver::LaunchAttribute& attribute, int id) {
    attribute.id = id;
    attribute.value.flag = 1;
  }

  [[gnu::cold, gnu::noinline]] driver::Handle load() {
    driver::Handle handle = nullptr;
    const driver::Result result = driver::functions().library_get_kernel(&handle, library_.handle(), symbol_);
    if (result != driver::kSuccess) {
      const std::string doing = std::string("finding kernel ") + name_ + " in the image of " + library_.name();
      // Of a name that is not there, another GPU would not be the cure.
      driver::fail(result, doing, result == driver::kNotFound ? "" : driver::unserved(result, library_.targets(), -1));
    }
    handle_.store(handle, std::memory_order_release);  // two threads may both come here: the handle is the same
    return handle;
  }

  // A thread that never called the CUDA runtime has no current context, which some drivers want for any stream: make the
  // device's primary context current and try once more.
  [[gnu::cold, gnu::noinline]] void mend(driver::Result result, const driver::LaunchConfig& raw, void** parameters, int device) {
    if (result == driver::kInvalidContext) {
      const driver::Functions& cuda = driver::functions();
      result = cuda.context_set_current(driver::primary_context(device));
      if (result == driver::kSuccess) result = cuda.launch_kernel(&raw, handle(), parameters, nullptr);
      if (result == driver::kSuccess) return;
    }
    const auto text = [](const unsigned (&v)[3]) {
      return "(" + std::to_string(v[0]) + ", " + std::to_string(v[1]) + ", " + std::to_string(v[2]) + ")";
    };
    driver::fail(result, std::string("launching ") + name_ + " with grid " + text(raw.grid) + ", block " + text(raw.block) + ", " +
                             std::to_string(raw.shared_bytes) + " bytes of dynamic shared memory on device " + std::to_string(device),
                 driver::unserved(result, library_.targets(), device));
  }

  void check(driver::Result result, const char* doing, int device) {
    if (__builtin_expect(result != driver::kSuccess, 0)) {
      const std::string subject = std::string(doing) + " " + name_ + " on device " + std::to_string(device);
      driver::fail(result, subject, driver::unserved(result, library_.targets(), device));
    }
  }

  // Raises the limit of dynamic shared memory, never lowers it: another thread may be about to launch with more.
  [[gnu::noinline]] void allow_shared(unsigned bytes, int device) {
    std::atomic<unsigned>& allowed = allowed_shared_[driver::checked_device(device)];
    if (allowed.load(std::memory_order_relaxed) >= bytes) return;
    const driver::Functions& cuda = driver::functions();
    const driver::Handle kernel = handle();
    const std::lock_guard<driver::Lock> lock(mutex_);
    if (allowed.load(std::memory_order_relaxed) >= bytes) return;
    int current = 0;  // by default 48 KB less the kernel's static shared memory
    check(cuda.kernel_get_attribute(&current, driver::kMaxDynamicSharedSize, kernel, device), "reading the shared memory limit of", device);
    if (static_cast<unsigned>(current) < bytes) {
      if (const driver::Result result = cuda.kernel_set_attribute(driver::kMaxDynamicSharedSize, static_cast<int>(bytes), kernel, device)) {
        int most = 0;
        cuda.device_get_attribute(&most, driver::kMaxSharedPerBlockOptin, device);
        driver::fail(result, "allowing " + std::to_string(bytes) + " bytes of dynamic shared memory to " + name_ + " on device " +
                                 std::to_string(device) + " (which has " + std::to_string(most) + " per block)");
      }
      current = static_cast<int>(bytes);
    }
    allowed.store(static_cast<unsigned>(current), std::memory_order_relaxed);
  }

  // Clusters of more than 8 blocks are not portable and must be allowed per kernel.
  [[gnu::noinline]] void allow_large_clusters(int device) {
    const std::uint64_t bit = std::uint64_t{1} << driver::checked_device(device);
    if (large_clusters_.load(std::memory_order_relaxed) & bit) return;
    check(driver::functions().kernel_set_attribute(driver::kNonPortableClusterSizeAllowed, 1, handle(), device), "allowing large clusters to", device);
    large_clusters_.fetch_or(bit, std::memory_order_relaxed);
  }

  Library& library_;
  const char* symbol_;
  const char* name_;
  std::atomic<driver::Handle> handle_{nullptr};
  std::atomic<unsigned> allowed_shared_[driver::kMaxDevices] = {};  // bytes, per device
  std::atomic<std::uint64_t> large_clusters_{0};                    // one bit per device
  driver::Lock mutex_;
};

// A parameter of an extern "C" kernel, of which only the size is known: takes any trivially copyable value of that size.
template <std::size_t N>
struct Bytes {
  template <typename T, typename = std::enable_if_t<sizeof(T) == N && std::is_trivially_copyable<T>::value>>
  Bytes(const T& value) {
    __builtin_memcpy(raw, &value, N);
  }
  alignas(N >= 8 ? 8 : 1) unsigned char raw[N];
};

namespace detail {

template <typename Parameter, typename Argument, typename = void>
struct Converts : std::false_type {};
template <typename Parameter, typename Argument>
struct Converts<Parameter, Argument, std::void_t<decltype(Parameter{std::declval<Argument>()})>> : std::true_type {};

// One instantiation per argument, so that the compiler's message names its index and both types.
template <std::size_t Index, typename Parameter, typename Argument>
struct CheckArgument {
  static_assert(Converts<Parameter, Argument>::value,
                "gpuwheel: a kernel argument has another type than the kernel's parameter, or would be narrowed "
                "(see CheckArgument<index, parameter, argument> below)");
  static constexpr bool value = Converts<Parameter, Argument>::value;
};

template <typename... Types>
struct Pack {};

template <typename Parameters, typename Arguments, typename Indices>
struct CheckArguments;
template <typename... Parameters, typename... Arguments, std::size_t... Index>
struct CheckArguments<Pack<Parameters...>, Pack<Arguments...>, std::index_sequence<Index...>> {
  static constexpr bool value = (CheckArgument<Index, Parameters, Arguments>::value && ...);
};

}  // namespace detail

// A kernel and its parameter types, as the compiler of the device code saw them.
template <typename... Parameters>
class Kernel : public KernelBase {
 public:
  static_assert((std::is_trivially_copyable<Parameters>::value && ...), "gpuwheel: kernel parameters are copied byte by byte");
  using KernelBase::KernelBase;

  // Enqueue the kernel. Arguments must have the parameters' types, or convert to them without narrowing.
  template <typename... Arguments>
  void launch(const LaunchConfig& config, Arguments&&... arguments) {
    static_assert(sizeof...(Arguments) == sizeof...(Parameters), "gpuwheel: wrong number of kernel arguments");
    if constexpr (sizeof...(Arguments) == sizeof...(Parameters)) {
      using Check = detail::CheckArguments<detail::Pack<Parameters...>, detail::Pack<Arguments...>, std::index_sequence_for<Arguments...>>;
      if constexpr (Check::value) enqueue(config, static_cast<Parameters>(std::forward<Arguments>(arguments))...);
    }
  }

 private:
  void enqueue(const LaunchConfig& config, Parameters... parameters) {
    void* pointers[] = {const_cast<void*>(static_cast<const void*>(&parameters))..., nullptr};
    launch_raw(config, pointers);
  }
};

// The primary of a kernel template's variable template: an instantiation that the image does not hold.
struct NotCompiled {
  template <typename... Arguments>
  void launch(const LaunchConfig&, Arguments&&...) {
    static_assert(sizeof...(Arguments) == ~std::size_t{0},
                  "gpuwheel: this instantiation of the kernel is not in the image: add GPUWHEEL_INSTANTIATE(...) to its .cu file");
  }
};

GPUWHEEL_NAMESPACE_END
