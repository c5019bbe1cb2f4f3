// Errors of CUDA, with torch's texts, and the functions of torch that its CPU builds lack.
#pragma once
#include <gpuwheel_compat/python_calls.h>

#include <cuda_runtime.h>
#include <cuda_runtime_api.h>

// libtorch_cuda alone has these: weak, so that the library loads beside a CPU build, where they are null.
extern "C" {
__attribute__((weak)) AOTITorchError torch_c10_cuda_check_msg(int32_t, const char*, const char*, uint32_t, bool, char**);
__attribute__((weak)) void torch_c10_cuda_free_error_msg(char*);
__attribute__((weak)) AOTITorchError torch_set_current_cuda_stream(void*, int32_t);
__attribute__((weak)) AOTITorchError torch_get_cuda_stream_from_pool(bool, int32_t, void**);
__attribute__((weak)) AOTITorchError torch_cuda_stream_synchronize(void*, int32_t);
__attribute__((weak)) AOTITorchError torch_get_current_cuda_blas_handle(void**);
__attribute__((weak)) AOTITorchError aoti_torch_create_cuda_stream_guard(void*, int32_t, CUDAStreamGuardHandle*);
__attribute__((weak)) AOTITorchError aoti_torch_delete_cuda_stream_guard(CUDAStreamGuardHandle);
__attribute__((weak)) AOTITorchError aoti_torch_cuda_caching_allocator_raw_alloc(uint64_t, void**);
__attribute__((weak)) AOTITorchError aoti_torch_cuda_caching_allocator_raw_delete(void*);
}

namespace gpuwheel_compat {
// Python raises torch.AcceleratorError for it, a RuntimeError.
class __attribute__((visibility("hidden"))) AcceleratorError : public Error {
 public:
  using Error::Error;
  const char* python_type() const noexcept override { return "torch.AcceleratorError"; }
};
using CUDAError = AcceleratorError;
class __attribute__((visibility("hidden"))) CuDNNError : public Error {
 public:
  using Error::Error;
};

namespace cuda {
[[noreturn]] inline void fail_without_cuda() { throw Error("Torch not compiled with CUDA enabled"); }
/// Calls a function of libtorch_cuda where it is there: GWC_CUDA_OK(name, arguments...).
#define GWC_CUDA_OK(NAME, ...)                                                            \
  do {                                                                                    \
    if (C10_UNLIKELY(!NAME)) ::gpuwheel_compat::cuda::fail_without_cuda();                \
    ::gpuwheel_compat::ok(NAME(__VA_ARGS__), #NAME);                                      \
  } while (0)

/// Throws what torch throws for an error of the CUDA runtime: its text has its advice, and what device assertions say.
inline void c10_cuda_check_implementation(int32_t error, const char* file, const char* function, uint32_t line,
                                          bool device_assertions) {
  if (C10_LIKELY(error == cudaSuccess)) return;
  const auto code = static_cast<cudaError_t>(error);
  (void)cudaGetLastError();  // ours: torch clears that of its own runtime
  std::string text = str("CUDA error: ", cudaGetErrorString(code));
  char* message = nullptr;
  if (torch_c10_cuda_check_msg &&
      torch_c10_cuda_check_msg(error, file, function, line, device_assertions, &message) == 0 && message) {
    text = message;
    torch_c10_cuda_free_error_msg(message);
  }
  throw AcceleratorError(text);
}
}  // namespace cuda
}  // namespace gpuwheel_compat

#define C10_CUDA_CHECK(EXPR)                                                                                     \
  do {                                                                                                           \
    const cudaError_t gwc_error = EXPR;                                                                          \
    ::gpuwheel_compat::cuda::c10_cuda_check_implementation(static_cast<int32_t>(gwc_error), __FILE__, __func__,  \
                                                           static_cast<uint32_t>(__LINE__), true);               \
  } while (0)
#define C10_CUDA_CHECK_WARN(EXPR)                                      \
  do {                                                                 \
    const cudaError_t gwc_error = EXPR;                                \
    if (C10_UNLIKELY(gwc_error != cudaSuccess)) {                      \
      (void)cudaGetLastError();                                        \
      TORCH_WARN("CUDA warning: ", cudaGetErrorString(gwc_error));     \
    }                                                                  \
  } while (0)
#define C10_CUDA_ERROR_HANDLED(EXPR) EXPR
#define C10_CUDA_IGNORE_ERROR(EXPR)                                    \
  do {                                                                 \
    const cudaError_t gwc_error = EXPR;                                \
    if (C10_UNLIKELY(gwc_error != cudaSuccess)) (void)cudaGetLastError(); \
  } while (0)
#define C10_CUDA_CLEAR_ERROR() ((void)cudaGetLastError())
#define C10_CUDA_KERNEL_LAUNCH_CHECK() C10_CUDA_CHECK(cudaGetLastError())
#define AT_CUDA_CHECK(EXPR) C10_CUDA_CHECK(EXPR)
#define TORCH_CUDA_KERNEL_LAUNCH_CHECK() C10_CUDA_KERNEL_LAUNCH_CHECK()
#define TORCH_CUDA_CHECK(EXPR) C10_CUDA_CHECK(EXPR)
#define THCudaCheck(EXPR) C10_CUDA_CHECK(EXPR)
#define AT_CUDA_DRIVER_CHECK(EXPR)                                                                       \
  do {                                                                                                   \
    const CUresult gwc_result = EXPR;                                                                    \
    if (gwc_result != CUDA_SUCCESS) {                                                                    \
      const char* gwc_text = nullptr;                                                                    \
      if (cuGetErrorString(gwc_result, &gwc_text) != CUDA_SUCCESS) gwc_text = nullptr;                   \
      TORCH_CHECK(false, "CUDA driver error: ", gwc_text ? gwc_text : "unknown error");                  \
    }                                                                                                    \
  } while (0)
#define AT_CUDNN_CHECK(EXPR, ...)                                                                        \
  do {                                                                                                   \
    const cudnnStatus_t gwc_status = EXPR;                                                               \
    if (gwc_status != CUDNN_STATUS_SUCCESS)                                                              \
      throw ::gpuwheel_compat::CuDNNError(::gpuwheel_compat::str(                                        \
          "cuDNN error: ", cudnnGetErrorString(gwc_status),                                              \
          gwc_status == CUDNN_STATUS_NOT_SUPPORTED                                                       \
              ? ". This error may appear if you passed in a non-contiguous input."                       \
              : "",                                                                                      \
          ##__VA_ARGS__));                                                                               \
  } while (0)
#define TORCH_CUDABLAS_CHECK(EXPR)                                                                            \
  do {                                                                                                        \
    const cublasStatus_t gwc_status = EXPR;                                                                   \
    TORCH_CHECK(gwc_status == CUBLAS_STATUS_SUCCESS, "CUDA error: ", cublasGetStatusName(gwc_status),         \
                " when calling `" #EXPR "`");                                                                 \
  } while (0)
#define TORCH_CUDASPARSE_CHECK(EXPR)                                                                          \
  do {                                                                                                        \
    const cusparseStatus_t gwc_status = EXPR;                                                                 \
    TORCH_CHECK(gwc_status == CUSPARSE_STATUS_SUCCESS, "CUDA error: ", cusparseGetErrorString(gwc_status),    \
                " when calling `" #EXPR "`");                                                                 \
  } while (0)
