// Calls that failed: torch's C ABI says that one did, and since torch 2.13 with which text, but not what was thrown.
// Python, which knows all of it, is asked: it does the call again, on copies of what the operator writes to, and says what
// came (`explain_*`).
#pragma once
#include <gpuwheel_compat/boxed.h>

namespace gpuwheel_compat {
// "TYPE\nTEXT" of what the call throws in Python; empty where it throws nothing there, or where no module of ours is loaded.
inline std::string explained(const char* op, const char* overload, const std::initializer_list<Arg>& args) {
  StableIValue stack[kMostBoxes];
  if (dispatch(GWC_PYTHON "::define_explanation", "", {str(std::strstr(op, "::") + 2, ".", overload)}, stack) != 0) return {};
  if (dispatch(by_python_name("explain_", op, overload).c_str(), "", args, stack) != 0) return {};
  return torch::stable::detail::to<std::string>(stack[0]);
}

// What an operator of ours raised in Python, from the text that torch makes of it: "ValueError: too small\n\nAt:\n  m.py(3): f".
// The Python side raises the exception itself where this text arrives there; torch before 2.13 keeps no text.
[[noreturn]] inline void fail_as_python(const std::string& text) {
  const auto trace = text.find("\n\nAt:\n");
  if (trace == std::string::npos) throw Error("torch: a call of Python failed");
  const auto type = text.find(": ");
  if (type == std::string::npos || type > trace) throw Error(text.substr(0, trace));
  const auto name = text.substr(0, type), said = text.substr(type + 2, trace - type - 2);
  fail_named(name, said);
}

inline void fail_call(const char* op, const char* overload, const std::initializer_list<Arg>& args) {
  std::string text;
  bool again = true;
  const bool ours = std::strncmp(op, GWC_PYTHON "::", sizeof GWC_PYTHON "::" - 1) == 0;
  if (torch_exception_get_what_without_backtrace) {
    text = torch_exception_get_what_without_backtrace();
    if (ours) fail_as_python(text);
    // What the next call would not meet, or not alike.
    again = text.find("CUDA error") == std::string::npos && text.find("out of memory") == std::string::npos;
  }
  if (ours) fail_as_python("");
  if (again) {
    const auto told = explained(op, overload, args);
    const auto end = told.find('\n');
    // A copy may fail otherwise than what it is a copy of: then torch's own text is the right one.
    if (end != std::string::npos && (text.empty() || text.find(told.substr(end + 1)) != std::string::npos))
      fail_named(told.substr(0, end), told.substr(end + 1));
  }
  if (!text.empty()) fail_as_torch(text);
  throw Error(str("torch: ", op, " failed (torch printed why to stderr)"));
}
}  // namespace gpuwheel_compat
