// Exceptions: torch's hierarchy, and how an error that the C ABI reports becomes one of it.
#pragma once
#include <gpuwheel_compat/base.h>

namespace gpuwheel_compat {
struct SourceLocation {
  const char* function;
  const char* file;
  uint32_t line;
};

// The root. Its text is what Python shows; where it was thrown is no part of it.
class __attribute__((visibility("hidden"))) Error : public std::exception {
  std::string text_;

 public:
  explicit Error(std::string text) : text_(std::move(text)) {}
  Error(SourceLocation, std::string text) : text_(std::move(text)) {}
  const char* what() const noexcept override { return text_.c_str(); }
  const char* what_without_backtrace() const noexcept { return text_.c_str(); }
  const std::string& msg() const { return text_; }
  // The name of the exception that Python raises for this.
  virtual const char* python_type() const noexcept { return "RuntimeError"; }
};

#define GWC_ERROR(NAME, PYTHON)                                               \
  class __attribute__((visibility("hidden"))) NAME : public Error {           \
   public:                                                                    \
    using Error::Error;                                                       \
    const char* python_type() const noexcept override { return PYTHON; }      \
  };
GWC_ERROR(IndexError, "IndexError")
GWC_ERROR(ValueError, "ValueError")
GWC_ERROR(TypeError, "TypeError")
GWC_ERROR(NotImplementedError, "NotImplementedError")
GWC_ERROR(BufferError, "BufferError")
GWC_ERROR(SyntaxError, "SyntaxError")
GWC_ERROR(EnforceFiniteError, "RuntimeError")
GWC_ERROR(OnnxfiBackendSystemError, "RuntimeError")
GWC_ERROR(LinAlgError, "torch.linalg.LinAlgError")
GWC_ERROR(OutOfMemoryError, "torch.OutOfMemoryError")
#undef GWC_ERROR

// The name of the Python exception for any C++ one: torch's own for ours, pybind11's table for those of the standard library.
inline const char* python_type(const std::exception& e) {
  if (auto* ours = dynamic_cast<const Error*>(&e)) return ours->python_type();
  if (dynamic_cast<const std::bad_alloc*>(&e)) return "MemoryError";
  if (dynamic_cast<const std::overflow_error*>(&e)) return "OverflowError";
  if (dynamic_cast<const std::range_error*>(&e)) return "ValueError";
  if (dynamic_cast<const std::out_of_range*>(&e)) return "IndexError";
  if (dynamic_cast<const std::domain_error*>(&e)) return "ValueError";
  if (dynamic_cast<const std::length_error*>(&e)) return "ValueError";
  if (dynamic_cast<const std::invalid_argument*>(&e)) return "ValueError";
  return "RuntimeError";
}

// An error's text as Python shows it: torch gives kinds of tensors the names that they had in Python (torch.cuda.FloatTensor).
inline std::string python_text(std::string text) {
  static const std::pair<const char*, const char*> places[] = {
      {"SparseCUDA", "torch.cuda.sparse."}, {"SparseCPU", "torch.sparse."}, {"CUDA", "torch.cuda."}, {"CPU", "torch."}};
  static const char* const types[] = {"Byte", "Char", "Double", "Float", "Int", "Long", "Short", "Half"};
  if (text.find("Type") == std::string::npos) return text;
  for (const auto& [place, name] : places)
    for (const auto* type : types) {
      const auto old = str(place, type, "Type");
      for (size_t at; (at = text.find(old)) != std::string::npos;) text.replace(at, old.size(), str(name, type, "Tensor"));
    }
  return text;
}

template <class E>
[[noreturn]] void fail(const std::string& text) {
  throw E(text);
}

// What torch says where it raises another type than RuntimeError: the C ABI keeps the text of an error and drops its type.
struct ErrorText {
  std::string_view part;
  void (*raise)(const std::string&);
};
inline constexpr ErrorText error_texts[] = {
    {"Dimension out of range (expected to be in range of", fail<IndexError>},
    {"Dimension specified as", fail<IndexError>},
    {"out of range for tensor of size", fail<IndexError>},
    {"is out of bounds for dimension", fail<IndexError>},
    {"index out of range in self", fail<IndexError>},
    {"select() cannot be applied to a 0-dim tensor", fail<IndexError>},
    {"start out of range (expected to be in range of", fail<IndexError>},
    {"invalid index of a 0-dim tensor", fail<IndexError>},
    {"too many indices for tensor of dimension", fail<IndexError>},
    {"tensors used as indices must be", fail<IndexError>},
    {"shape mismatch: indexing tensors could not be broadcast", fail<IndexError>},
    {"does not match the shape of the indexed tensor", fail<IndexError>},
    {"to have non-zero size.", fail<IndexError>},
    {"step must be greater than zero", fail<ValueError>},
    {"Could not run '", fail<NotImplementedError>},
    {"clamp is not supported for complex types", fail<NotImplementedError>},
    {"\" not implemented for '", fail<NotImplementedError>},
    {"could not be completed because", fail<LinAlgError>},
    {"the algorithm failed to converge", fail<LinAlgError>},
    {"out of memory. Tried to allocate", fail<OutOfMemoryError>},
};

inline constexpr const char* kNameCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.";

// An exception of Python that has no class among those above.
class PythonError : public Error {
  std::string type_;

 public:
  PythonError(std::string type, const std::string& text) : Error(text), type_(std::move(type)) {}
  const char* python_type() const noexcept override { return type_.c_str(); }
};

// Throws what an exception of Python is here, by the name of its type.
[[noreturn]] inline void fail_named(const std::string& type, const std::string& text) {
  if (type == "RuntimeError") fail<Error>(text);
  if (type == "IndexError") fail<IndexError>(text);
  if (type == "ValueError") fail<ValueError>(text);
  if (type == "TypeError") fail<TypeError>(text);
  if (type == "NotImplementedError") fail<NotImplementedError>(text);
  if (type == "_LinAlgError" || type == "torch.linalg.LinAlgError") fail<LinAlgError>(text);
  if (type == "OutOfMemoryError" || type == "torch.OutOfMemoryError") fail<OutOfMemoryError>(text);
  throw PythonError(type, text);
}

// An operator of Python's side has raised: pybind11 writes "TYPE: TEXT", and under it where.
[[noreturn]] inline void fail_as_torch(const std::string& text) {
  const auto where = text.find("\n\nAt:\n"), colon = text.find(": ");
  if (where != std::string::npos && colon < where && text.find_first_not_of(kNameCharacters) == colon)
    fail_named(text.substr(0, colon), text.substr(colon + 2, where - colon - 2));
  for (const auto& known : error_texts)
    if (text.find(known.part) != std::string::npos) known.raise(text);
  throw Error(text);
}

// Throws where a shim has failed. It caught a C++ exception of torch, whose text is kept since 2.13; before, torch prints it to stderr.
inline void ok(AOTITorchError e, const char* call) {
  if (C10_LIKELY(e == 0)) return;
  if (torch_exception_get_what_without_backtrace) fail_as_torch(torch_exception_get_what_without_backtrace());
  throw Error(str("torch: ", call, " failed (torch printed why to stderr)"));
}
#define GWC_OK(call) ::gpuwheel_compat::ok((call), #call)
}  // namespace gpuwheel_compat
