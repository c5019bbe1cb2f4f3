// Names that torch's headers for kernels have without a namespace: a source that does not include those has its own.
#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/detail/IndexUtils.cuh>
#include <ATen/cuda/detail/TensorInfo.cuh>
#include <c10/cuda/CUDAGuard.h>
#include <torch/extension.h>

#define CUDA_NUM_THREADS 256
#define CUDA_KERNEL_LOOP(i, n) for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < (n); i += blockDim.x * gridDim.x)

template <typename T, size_t n>
struct AtomicAddIntegerImpl {
  __device__ void operator()(T* at, T by) { *at += by; }
};
template <typename T>
struct AtomicFPOp {};
template <typename T>
__device__ void gpuAtomicAdd(T* at, T by) {
  AtomicAddIntegerImpl<T, sizeof(T)>()(at, by);
}
template <typename T>
__device__ T WARP_SHFL_DOWN(T value, int) {
  return value;
}
template <typename T>
__device__ T doLdg(const T* at) {
  return *at;
}
__device__ unsigned ACTIVE_MASK() { return 1; }

__global__ void count_kernel(long long* out, const long long* in, int n) {
  CUDA_KERNEL_LOOP(i, n) gpuAtomicAdd(out, WARP_SHFL_DOWN(doLdg(in + i), 1) + ACTIVE_MASK());
}
void count(at::Tensor out, at::Tensor in) {
  const at::cuda::CUDAGuard guard(in.device());
  const auto pointer = [](const at::Tensor& x) { return reinterpret_cast<long long*>(x.data_ptr<int64_t>()); };
  count_kernel<<<1, CUDA_NUM_THREADS, 0, at::cuda::getCurrentCUDAStream()>>>(pointer(out), pointer(in), in.numel());
  AT_CUDA_CHECK(cudaGetLastError());
}
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("count", &count); }
