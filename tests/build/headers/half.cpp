// The 16-bit types that stand in for torch's.
#include <gpuwheel/dtype.h>
#include <cmath>
#include <cstdio>
int main() {
  using namespace gpuwheel;
  long wrong = 0;
  for (unsigned i = 0; i < 65536; ++i) {  // every value survives a round trip
    half h; h.bits = static_cast<std::uint16_t>(i);
    bfloat16 b; b.bits = h.bits;
    const float f = h, g = b;
    if (std::isnan(f) ? !std::isnan(static_cast<float>(half(f))) : half(f).bits != i) ++wrong;
    if (std::isnan(g) ? !std::isnan(static_cast<float>(bfloat16(g))) : bfloat16(g).bits != i) ++wrong;
  }
#ifdef __FLT16_MANT_DIG__
  for (std::uint64_t i = 0; i < (std::uint64_t{1} << 32); i += 4093) {  // against the compiler's own conversion
    const float f = float16::float_of(static_cast<std::uint32_t>(i));
    const _Float16 expected = static_cast<_Float16>(f);
    std::uint16_t bits; std::memcpy(&bits, &expected, 2);
    if (!std::isnan(f) && half(f).bits != bits) ++wrong;
  }
#endif
  std::printf("wrong %ld, %g %g %g\n", wrong, static_cast<double>(static_cast<float>(half(65520.f))), static_cast<double>(static_cast<float>(half(1e-8f))),
              static_cast<double>(static_cast<float>(bfloat16(1.00390625f))));
}
