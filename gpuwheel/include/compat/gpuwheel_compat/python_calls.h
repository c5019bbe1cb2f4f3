// Calls of operators that the Python side defines (launcher/compat.py), and what they raise.
#pragma once
#include <gpuwheel_compat/functions.h>

namespace gpuwheel_compat {
/// What Python raised, from the text that torch makes of it: "ValueError: too small\n\nAt:\n  module.py(3): function".
/// The Python side raises the exception itself where this text arrives there; torch before 2.13 keeps no text.
[[noreturn]] inline void fail_as_python(const std::string& text) {
  const auto trace = text.find("\n\nAt:\n");
  if (trace == std::string::npos) throw Error("torch: a call of Python failed");
  const auto type = text.find(": ");
  const auto begin = type == std::string::npos || type > trace ? 0 : type + 2;
  throw Error(text.substr(begin, trace - begin));
}

template <class R, class... A>
R call_python(const char* op, const A&... arguments) {
  try {
    return call<R>(op, "", arguments...);
  } catch (const std::exception& raised) {
    fail_as_python(raised.what());
  }
}
}  // namespace gpuwheel_compat
