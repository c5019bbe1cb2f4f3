// All of CUDA for host code: errors, devices, streams, generators, and torch's handles and memory.
#pragma once
#include <gpuwheel_compat/philox.h>

#if __has_include(<cublas_v2.h>)
#include <cublas_v2.h>
#endif
#if __has_include(<cusparse.h>)
#include <cusparse.h>
#endif

struct cublasLtContext;  // as cublasLt.h declares it
namespace gpuwheel_compat::cuda {
#if __has_include(<cublas_v2.h>)
/// The handle of this thread and stream. Its workspace is cuBLAS's own.
inline cublasHandle_t getCurrentCUDABlasHandle(bool = true) {
  void* handle = nullptr;
  GWC_CUDA_OK(torch_get_current_cuda_blas_handle, &handle);
  return static_cast<cublasHandle_t>(handle);
}
// A handle of cuBLAS is one of cuBLASLt, too (NVIDIA's documentation of cuBLASLt, "cublasLtHandle_t").
inline ::cublasLtContext* getCurrentCUDABlasLtHandle() {
  return reinterpret_cast<::cublasLtContext*>(getCurrentCUDABlasHandle());
}
#endif
// Refused: the stable ABI gives none of these handles. Make one by cusparseCreate, cusolverDnCreate or cudnnCreate for
// each thread, and set its stream to getCurrentCUDAStream().
void* getCurrentCUDASparseHandle() = delete;
void* getCurrentCUDASolverDnHandle() = delete;
// Refused: an Allocator is no part of the stable ABI. Use at::empty({bytes}, at::kByte) on the device, or raw_alloc.
void* getCUDADeviceAllocator() = delete;
inline size_t getChosenWorkspaceSize() = delete;

namespace CUDACachingAllocator {
inline void* raw_alloc(size_t bytes) {
  void* memory = nullptr;
  GWC_CUDA_OK(aoti_torch_cuda_caching_allocator_raw_alloc, bytes, &memory);
  return memory;
}
inline void raw_delete(void* memory) { GWC_CUDA_OK(aoti_torch_cuda_caching_allocator_raw_delete, memory); }
inline void emptyCache() { call_python<void>(GWC_PYTHON "::cuda_empty_cache"); }
inline void* raw_alloc_with_stream(size_t bytes, cudaStream_t stream) {
  CUDAStreamGuard guard(getStreamFromExternal(stream, current_device()));
  return raw_alloc(bytes);
}
// Refused: the Allocator itself is no part of the stable ABI. Use raw_alloc, or at::empty.
void* get() = delete;
// Refused: no storage crosses the stable ABI. Call tensor.record_stream(stream) on the tensor.
template <class DataPtr>
void recordStream(const DataPtr&, CUDAStream) = delete;
}  // namespace CUDACachingAllocator
}  // namespace gpuwheel_compat::cuda
