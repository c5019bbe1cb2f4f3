// The random numbers of Philox 4x32 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), in torch's order.
#pragma once
#include <gpuwheel_compat/check.h>

namespace gpuwheel_compat {
class philox_engine {
  // Plain arrays: functions of std::array run on a device by --expt-relaxed-constexpr alone.
  uint32_t counter_[4], output_[4], key_[2], at_ = 0;

 public:
  C10_HOST_DEVICE explicit philox_engine(uint64_t seed = 67280421310721, uint64_t subsequence = 0, uint64_t offset = 0) {
    reset_state(seed, subsequence);
    incr_n(offset);
  }
  C10_HOST_DEVICE void reset_state(uint64_t seed = 67280421310721, uint64_t subsequence = 0) {
    key_[0] = low(seed), key_[1] = high(seed);
    counter_[0] = counter_[1] = 0;
    counter_[2] = low(subsequence), counter_[3] = high(subsequence);
    at_ = 0;
  }
  C10_HOST_DEVICE void set_offset(uint64_t offset) { counter_[0] = low(offset), counter_[1] = high(offset); }
  C10_HOST_DEVICE uint64_t get_offset() const { return counter_[0] | static_cast<uint64_t>(counter_[1]) << 32; }
  /// The next number; four come of each block of the engine.
  C10_HOST_DEVICE uint32_t operator()(int32_t rounds = 10) {
    if (at_ == 0) next_block(static_cast<uint32_t>(rounds));
    const uint32_t found = output_[at_];
    at_ = (at_ + 1) & 3;
    return found;
  }
  /// A normally distributed number of the block at hand, by Box and Muller. For the host, as torch's.
  float randn(uint32_t rounds) {
    if (at_ == 0) next_block(rounds);
    const float u = 1 - uniform(output_[0]), v = 1 - uniform(output_[1]);
    return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * 3.14159265358979323846 * v));
  }
  /// Skips n blocks: a sum of 128 bits, of which torch carries from the lower 64 to the upper.
  C10_HOST_DEVICE void incr_n(uint64_t n) {
    const uint64_t before = get_offset();
    set_offset(before + n);
    if (get_offset() < before && ++counter_[2] == 0) ++counter_[3];
  }
  C10_HOST_DEVICE void incr() { incr_n(1); }

 private:
  C10_HOST_DEVICE static uint32_t low(uint64_t x) { return static_cast<uint32_t>(x); }
  C10_HOST_DEVICE static uint32_t high(uint64_t x) { return static_cast<uint32_t>(x >> 32); }
  static float uniform(uint32_t x) { return static_cast<float>(x & 0x7FFFFFFF) * 4.6566127342e-10f; }  // in [0, 1)
  C10_HOST_DEVICE void next_block(uint32_t rounds) {
    uint32_t key[2] = {key_[0], key_[1]};
    for (int i = 0; i < 4; ++i) output_[i] = counter_[i];
    for (uint32_t round = 0; round < rounds; ++round) {
      const uint64_t a = static_cast<uint64_t>(0xD2511F53u) * output_[0], b = static_cast<uint64_t>(0xCD9E8D57u) * output_[2];
      const uint32_t mixed[4] = {high(b) ^ output_[1] ^ key[0], low(b), high(a) ^ output_[3] ^ key[1], low(a)};
      for (int i = 0; i < 4; ++i) output_[i] = mixed[i];
      key[0] += 0x9E3779B9u;
      key[1] += 0xBB67AE85u;
    }
    incr();
  }
};
using Philox4_32 = philox_engine;
}  // namespace gpuwheel_compat
