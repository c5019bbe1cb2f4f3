// What stands between the brackets of an index.
#pragma once
#include <gpuwheel_compat/types.h>

namespace gpuwheel_compat {
namespace indexing {
struct NoneType {}; struct EllipsisType {};
static constexpr NoneType None{}; static constexpr EllipsisType Ellipsis{};
struct Slice {
  optional<int64_t> a, b, s;
  static optional<int64_t> v(int64_t x) { return x; }
  static optional<int64_t> v(NoneType) { return nullopt; }
  bool ellipsis = false;
  Slice() = default;
  Slice(const char*) : ellipsis(true) {}
  Slice(EllipsisType) : ellipsis(true) {}
  template <class A> Slice(A x) : b(v(x)) {}
  template <class A, class B> Slice(A x, B y) : a(v(x)), b(v(y)) {}
  template <class A, class B> Slice(A x, B y, int64_t z) : a(v(x)), b(v(y)), s(z) {}
};

}
}  // namespace gpuwheel_compat
