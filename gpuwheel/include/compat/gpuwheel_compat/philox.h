// Random numbers on CUDA: generators, and the state of the Philox engine that kernels take.
#pragma once
#include <gpuwheel_compat/philox_engine.h>
#include <gpuwheel_compat/streams.h>

namespace gpuwheel_compat {
/// The seed of a generator and where its numbers go on. As torch's; capture in a CUDA graph is refused, so `val` is held.
struct PhiloxCudaState {
  PhiloxCudaState() = default;
  PhiloxCudaState(uint64_t seed, uint64_t offset) {
    seed_.val = seed;
    offset_.val = offset;
  }
  union Payload {
    uint64_t val;
    int64_t* ptr;
  };
  Payload seed_{};
  Payload offset_{};
  uint64_t offset_intragraph_ = 0;
  bool captured_ = false;
};

/// A generator that Python keeps, under the key that it has there: `Generator::key`.
struct CUDAGeneratorImpl {
  // Callers hold it while they take a state, as torch's own. It is of this library: a kernel of torch that takes numbers of the
  // generator on another thread at the same time may get the same ones (docs/explanation/compat.md, "Differences").
  std::mutex mutex_;

  explicit CUDAGeneratorImpl(int64_t key) : key_(key) {}
  static DeviceType device_type() { return DeviceType::CUDA; }

  /// The state for a kernel whose threads take at most `increment` numbers each; the generator goes on behind them.
  PhiloxCudaState philox_cuda_state(uint64_t increment) {
    const auto [seed, offset] = advanced(increment);
    return PhiloxCudaState(seed, offset);
  }
  std::pair<uint64_t, uint64_t> philox_engine_inputs(uint64_t increment) { return advanced(increment); }
  uint64_t current_seed() const { return state(0).first; }
  uint64_t get_offset() const { return state(0).second; }
  uint64_t philox_offset_per_thread() const { return state(0).second; }
  void set_current_seed(uint64_t) = delete;  // call torch.cuda.manual_seed from Python
  void set_offset(uint64_t) = delete;        // call torch.Generator.set_offset from Python
  void set_philox_offset_per_thread(uint64_t) = delete;

 private:
  int64_t key_;
  std::pair<uint64_t, uint64_t> advanced(uint64_t increment) { return state(increment); }
  // Python sees both as signed numbers; the bits are the same.
  std::pair<uint64_t, uint64_t> state(uint64_t increment) const {
    const auto [seed, offset] = call_python<std::tuple<int64_t, int64_t>>(
        GWC_PYTHON "::philox", key_, static_cast<int64_t>(increment));
    return {static_cast<uint64_t>(seed), static_cast<uint64_t>(offset)};
  }
};

namespace generator_detail {
/// One object for each key.
inline CUDAGeneratorImpl& of_key(int64_t key) {
  static std::mutex lock;
  static std::map<int64_t, CUDAGeneratorImpl> made;
  std::lock_guard<std::mutex> locked(lock);
  return made.try_emplace(key, key).first->second;
}
}  // namespace generator_detail

template <class T>
T* check_generator(const std::optional<Generator>& generator) {
  static_assert(std::is_same_v<T, CUDAGeneratorImpl>, "abi = \"compat\" has generators of CUDA alone");
  TORCH_CHECK(generator.has_value(), "Expected Generator but received nullopt");
  TORCH_CHECK(generator->defined(), "Generator with undefined implementation is not allowed");
  return &generator_detail::of_key(generator->key());
}
/// The generator that the caller gave, or the default one.
template <class T>
T* get_generator_or_default(const std::optional<Generator>& given, const Generator& otherwise) {
  return check_generator<T>(given && given->defined() ? given : std::optional<Generator>(otherwise));
}
template <class T>
T* Generator::get() const {
  return check_generator<T>(*this);
}
inline std::mutex& Generator::mutex() const { return generator_detail::of_key(key_).mutex_; }

namespace cuda {
namespace detail {
inline Generator getDefaultCUDAGenerator(DeviceIndex device = -1) {
  if (device == -1) device = current_device();
  TORCH_CHECK(device >= 0 && device < device_count(), "device=", static_cast<int>(device),
              ", num_gpus=", static_cast<int>(device_count()));
  return Generator(device);
}
}  // namespace detail

namespace philox {
/// Seed and offset, in a kernel.
inline __host__ __device__ std::tuple<uint64_t, uint64_t> unpack(PhiloxCudaState state) {
  return std::make_tuple(state.seed_.val, state.offset_.val);
}
}  // namespace philox
}  // namespace cuda
}  // namespace gpuwheel_compat
