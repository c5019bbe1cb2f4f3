// Calls of operators that the Python side defines (launcher/compat.py).
#pragma once
#include <gpuwheel_compat/functions.h>

namespace gpuwheel_compat {
template <class R, class... A>
R call_python(const char* op, const A&... arguments) {
  return call<R>(op, "", arguments...);
}
}  // namespace gpuwheel_compat
