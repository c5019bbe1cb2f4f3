// TORCH_CHECK and its relatives.
#pragma once
#include <gpuwheel_compat/base.h>

namespace gpuwheel_compat {
// Not a class named gpuwheel_compat::Error: libtorch's `catch (const gpuwheel_compat::Error&)` would match it by its name and read it as its own.
using Error = ::gpuwheel_compat::Failure;
}
#define GWC_CHECK(E, cond, ...)                                                                                          \
  do { if (C10_UNLIKELY(!(cond))) {                                                                                      \
    std::string gwc_m = ::gpuwheel_compat::str(__VA_ARGS__);                                                             \
    if (gwc_m.empty()) gwc_m = "Expected " #cond " to be true, but got false.  (Could this error message be improved?  " \
                               "If so, please report an enhancement request to PyTorch.)";                               \
    ::gpuwheel_compat::fail<E>(__FILE__, __LINE__, gwc_m); } } while (0);
#undef TORCH_CHECK
#define TORCH_CHECK(cond, ...) GWC_CHECK(gpuwheel_compat::Error, cond, ##__VA_ARGS__)
#define TORCH_CHECK_VALUE(cond, ...) GWC_CHECK(std::invalid_argument, cond, ##__VA_ARGS__)
#define TORCH_CHECK_INDEX(cond, ...) GWC_CHECK(std::out_of_range, cond, ##__VA_ARGS__)
#define TORCH_CHECK_TYPE(cond, ...) GWC_CHECK(gpuwheel_compat::Error, cond, ##__VA_ARGS__)
#define TORCH_CHECK_NOT_IMPLEMENTED(cond, ...) GWC_CHECK(gpuwheel_compat::Error, cond, ##__VA_ARGS__)
#define TORCH_INTERNAL_ASSERT(cond, ...) GWC_CHECK(gpuwheel_compat::Error, cond, ##__VA_ARGS__)
#define AT_ASSERTM(cond, ...) GWC_CHECK(gpuwheel_compat::Error, cond, ##__VA_ARGS__)
#define AT_ASSERT(cond, ...) GWC_CHECK(gpuwheel_compat::Error, cond, ##__VA_ARGS__)
#define AT_CHECK(cond, ...) GWC_CHECK(gpuwheel_compat::Error, cond, ##__VA_ARGS__)
#define AT_ERROR(...) ::gpuwheel_compat::fail<gpuwheel_compat::Error>(__FILE__, __LINE__, ::gpuwheel_compat::str(__VA_ARGS__))
#define TORCH_WARN(...) ((void)fprintf(stderr, "Warning: %s\n", ::gpuwheel_compat::str(__VA_ARGS__).c_str()))
#define TORCH_CUDA_CHECK(E) C10_CUDA_CHECK(E)
