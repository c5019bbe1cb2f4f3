// TORCH_CHECK and its relatives: the types and texts that torch's own macros give.
#pragma once
#include <gpuwheel_compat/errors.h>

namespace gpuwheel_compat::detail {
// The text of a failed check: what the source says, or torch's sentence about the condition.
template <class... A>
C10_NOINLINE std::string check_text(const char* condition, const A&... a) {
  if constexpr (sizeof...(A) > 0) {
    return ::gpuwheel_compat::str(a...);
  } else {
    return ::gpuwheel_compat::str("Expected ", condition, " to be true, but got false.  (Could this error message be improved?  If so, ",
                                  "please report an enhancement request to PyTorch.)");
  }
}
template <class... A>
C10_NOINLINE std::string assert_text(const char* condition, const char* file, int line, const A&... a) {
  return ::gpuwheel_compat::str(condition, " INTERNAL ASSERT FAILED at \"", file, "\":", line, ", please report a bug to PyTorch. ", a...);
}
template <class... A>
void warn(const char* function, const char* file, int line, const A&... a) {
  aoti_torch_warn(function, file, static_cast<uint32_t>(line), ::gpuwheel_compat::str(a...).c_str());
}
}  // namespace gpuwheel_compat::detail

// An `if` with braces, as torch's own are: sources leave out the semicolon.
#define GWC_CHECK(E, cond, ...)                                                                   \
  if (C10_UNLIKELY_OR_CONST(!(cond))) {                                                           \
    ::gpuwheel_compat::fail<E>(::gpuwheel_compat::detail::check_text(#cond, ##__VA_ARGS__));      \
  }

#undef TORCH_CHECK
#define TORCH_CHECK(cond, ...) GWC_CHECK(::gpuwheel_compat::Error, cond, ##__VA_ARGS__)
#define TORCH_CHECK_WITH(E, cond, ...) GWC_CHECK(::gpuwheel_compat::E, cond, ##__VA_ARGS__)
#define TORCH_CHECK_WITH_MSG(E, cond, type, ...) GWC_CHECK(::gpuwheel_compat::E, cond, ##__VA_ARGS__)
#define TORCH_CHECK_INDEX(cond, ...) GWC_CHECK(::gpuwheel_compat::IndexError, cond, ##__VA_ARGS__)
#define TORCH_CHECK_VALUE(cond, ...) GWC_CHECK(::gpuwheel_compat::ValueError, cond, ##__VA_ARGS__)
#define TORCH_CHECK_TYPE(cond, ...) GWC_CHECK(::gpuwheel_compat::TypeError, cond, ##__VA_ARGS__)
#define TORCH_CHECK_NOT_IMPLEMENTED(cond, ...) GWC_CHECK(::gpuwheel_compat::NotImplementedError, cond, ##__VA_ARGS__)
#define TORCH_CHECK_LINALG(cond, ...) GWC_CHECK(::gpuwheel_compat::LinAlgError, cond, ##__VA_ARGS__)
#define TORCH_CHECK_BUFFER(cond, ...) GWC_CHECK(::gpuwheel_compat::BufferError, cond, ##__VA_ARGS__)
#define TORCH_CHECK_IF_NOT_ON_CUDA(cond, ...) TORCH_CHECK(cond, ##__VA_ARGS__)
#define TORCH_CHECK_ARG(cond, argN, ...) TORCH_CHECK(cond, "invalid argument ", argN, ": ", __VA_ARGS__)

#define TORCH_INTERNAL_ASSERT(cond, ...)                                                         \
  if (C10_UNLIKELY_OR_CONST(!(cond))) {                                                           \
    ::gpuwheel_compat::fail<::gpuwheel_compat::Error>(                                            \
        ::gpuwheel_compat::detail::assert_text(#cond, __FILE__, __LINE__, ##__VA_ARGS__));        \
  }
#ifdef NDEBUG
#define TORCH_INTERNAL_ASSERT_DEBUG_ONLY(...) \
  do {                                        \
    if (false) TORCH_INTERNAL_ASSERT(__VA_ARGS__); \
  } while (false)
#else
#define TORCH_INTERNAL_ASSERT_DEBUG_ONLY(...) TORCH_INTERNAL_ASSERT(__VA_ARGS__)
#endif
#define AT_ASSERT(...)                    \
  do {                                    \
    TORCH_INTERNAL_ASSERT(__VA_ARGS__);   \
  } while (false)
#define AT_ASSERTM(cond, ...)                   \
  do {                                          \
    TORCH_INTERNAL_ASSERT(cond, ##__VA_ARGS__); \
  } while (false)
#define AT_ERROR(...)                                                                             \
  do {                                                                                            \
    ::gpuwheel_compat::fail<::gpuwheel_compat::Error>(::gpuwheel_compat::str(__VA_ARGS__));       \
  } while (false)
#define AT_INDEX_ERROR(...) ::gpuwheel_compat::fail<::gpuwheel_compat::IndexError>(::gpuwheel_compat::str(__VA_ARGS__))
#define C10_THROW_ERROR(E, msg) ::gpuwheel_compat::fail<::gpuwheel_compat::E>(msg)

// Warnings go where torch's own go: to Python's `warnings` where torch hands them there, else to stderr.
#define TORCH_WARN(...) ::gpuwheel_compat::detail::warn(__func__, __FILE__, __LINE__, __VA_ARGS__)
#define TORCH_WARN_WITH(category, ...) TORCH_WARN(__VA_ARGS__)
#define TORCH_WARN_DEPRECATION(...) TORCH_WARN(__VA_ARGS__)
#define TORCH_WARN_ONCE(...)                                                                      \
  do {                                                                                            \
    static const bool gwc_warned = [&](const char* gwc_function) {                                \
      ::gpuwheel_compat::detail::warn(gwc_function, __FILE__, __LINE__, __VA_ARGS__);             \
      return true;                                                                                \
    }(__func__);                                                                                  \
    (void)gwc_warned;                                                                             \
  } while (false)
#define AT_WARN(...) TORCH_WARN(__VA_ARGS__)
