// Calls that failed: torch's C ABI says that one did, and since torch 2.13 with which text, but not what was thrown.
// Python, which knows all of it, is asked: it does the call again, on copies of what the operator writes to, and says what
// came (`gpuwheel_compat::explain_*`).
#pragma once
#include <gpuwheel_compat/boxed.h>

namespace gpuwheel_compat {
// An exception of Python that has no class among those of errors.h.
class PythonError : public Error {
  std::string type_;

 public:
  PythonError(std::string type, const std::string& text) : Error(text), type_(std::move(type)) {}
  const char* python_type() const noexcept override { return type_.c_str(); }
};

[[noreturn]] inline void fail_named(const std::string& type, const std::string& text) {
  if (type == "RuntimeError") throw Error(text);
  if (type == "IndexError") throw IndexError(text);
  if (type == "ValueError") throw ValueError(text);
  if (type == "TypeError") throw TypeError(text);
  if (type == "NotImplementedError") throw NotImplementedError(text);
  if (type == "torch.linalg.LinAlgError") throw LinAlgError(text);
  if (type == "torch.OutOfMemoryError") throw OutOfMemoryError(text);
  throw PythonError(type, text);
}

// "TYPE\nTEXT" of what the call throws in Python; empty where it throws nothing there, or where no module of ours is loaded.
inline std::string explained(const char* op, const char* overload, const std::initializer_list<Arg>& args) {
  StableIValue stack[kMostBoxes];
  if (dispatch("gpuwheel_compat::define_explanation", "", {str(std::strstr(op, "::") + 2, ".", overload)}, stack) != 0) return {};
  if (dispatch(by_python_name("explain_", op, overload).c_str(), "", args, stack) != 0) return {};
  return torch::stable::detail::to<std::string>(stack[0]);
}

inline void fail_call(const char* op, const char* overload, const std::initializer_list<Arg>& args) {
  std::string text;
  bool again = true;
  if (torch_exception_get_what_without_backtrace) {
    text = torch_exception_get_what_without_backtrace();
    // What the next call would not meet, or not alike.
    again = text.find("CUDA error") == std::string::npos && text.find("out of memory") == std::string::npos;
  }
  if (again) {
    const auto told = explained(op, overload, args);
    if (const auto end = told.find('\n'); end != std::string::npos) fail_named(told.substr(0, end), told.substr(end + 1));
  }
  if (!text.empty()) fail_as_torch(text);
  throw Error(str("torch: ", op, " failed (torch printed why to stderr)"));
}
}  // namespace gpuwheel_compat
