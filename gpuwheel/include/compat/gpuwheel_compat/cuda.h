// Streams, guards and errors of CUDA.
#pragma once
#include <gpuwheel_compat/functions.h>

#include <cuda_runtime_api.h>
#include <cuda_runtime.h>
#if __has_include(<cublas_v2.h>)
#include <cublas_v2.h>
#endif
namespace gpuwheel_compat::cuda {
class CUDAStream {
  cudaStream_t s_; int d_;
 public:
  CUDAStream(cudaStream_t s, int d) : s_(s), d_(d) {}
  cudaStream_t stream() const { return s_; }
  operator cudaStream_t() const { return s_; }
  int device_index() const { return d_; }
  Device device() const { return Device(DeviceType::CUDA, d_); }
  int64_t id() const { return reinterpret_cast<int64_t>(s_); }
  void synchronize() const { cudaStreamSynchronize(s_); }
};
inline int device_count() { int n = 0; return cudaGetDeviceCount(&n) == cudaSuccess ? n : 0; }
inline int MaybeSetDevice(int d) { int old = -1; cudaGetDevice(&old); if (old != d) cudaSetDevice(d); return old; }
inline int current_device() { int32_t d; GWC_OK(aoti_torch_get_current_device_index(&d)); return d; }
inline CUDAStream getCurrentCUDAStream(int d = -1) {
  TORCH_CHECK(aoti_torch_get_current_cuda_stream, "this build of torch has no CUDA");
  if (d < 0) d = current_device();
  void* s; GWC_OK(aoti_torch_get_current_cuda_stream(d, &s)); return {static_cast<cudaStream_t>(s), d};
}
}
namespace gpuwheel_compat {
class DeviceGuard {  // CPU: nothing
  DeviceGuardHandle g_ = nullptr;
 public:
  explicit DeviceGuard(Device d) { if (!d.is_cpu() && d.has_index()) GWC_OK(aoti_torch_create_device_guard(d.index(), &g_)); }
  ~DeviceGuard() { if (g_) aoti_torch_delete_device_guard(g_); }
  DeviceGuard(const DeviceGuard&) = delete;
};
template <class T> class OptionalGuard { std::optional<T> g_; public: OptionalGuard() = default; };
inline std::optional<Device> device_of(const gpuwheel_compat::Tensor& t) { return t.defined() ? std::optional<Device>(t.device()) : std::nullopt; }
}
namespace gpuwheel_compat::cuda {
class CUDAGuard {
  DeviceGuardHandle g_ = nullptr;
 public:
  explicit CUDAGuard(int i) { GWC_OK(aoti_torch_create_device_guard(i, &g_)); }
  explicit CUDAGuard(Device d) : CUDAGuard(check(d)) {}
  static int check(Device d) { TORCH_CHECK(d.is_cuda(), "Expected a cuda device, but got ", d); return d.has_index() ? d.index() : current_device(); }
  ~CUDAGuard() { if (g_) aoti_torch_delete_device_guard(g_); }
  CUDAGuard(const CUDAGuard&) = delete;
  void set_index(int i) { GWC_OK(aoti_torch_device_guard_set_index(g_, i)); }
};
struct OptionalCUDAGuard { std::optional<CUDAGuard> g; OptionalCUDAGuard() = default; explicit OptionalCUDAGuard(std::optional<Device> d) { if (d && d->is_cuda()) g.emplace(*d); } explicit OptionalCUDAGuard(Device d) { if (d.is_cuda()) g.emplace(d); } };
}
namespace gpuwheel_compat { using gpuwheel_compat::DeviceGuard; using gpuwheel_compat::device_of; }
namespace gpuwheel_compat::cuda { using namespace gpuwheel_compat::cuda;
inline bool check_device(gpuwheel_compat::ArrayRef<gpuwheel_compat::Tensor> ts) { for (auto& t : ts) if (!t.is_cuda() || t.get_device() != ts[0].get_device()) return false; return true; } using gpuwheel_compat::cuda::getCurrentCUDAStream; using gpuwheel_compat::cuda::CUDAGuard; using gpuwheel_compat::cuda::CUDAStream;
inline cudaDeviceProp* getDeviceProperties(int d) { static std::array<std::optional<cudaDeviceProp>, 64> p; auto& q = p.at(d); if (!q) { q.emplace(); cudaGetDeviceProperties(&*q, d); } return &*q; }
inline cudaDeviceProp* getCurrentDeviceProperties() { return getDeviceProperties(current_device()); }
template <class T> T ATenCeilDiv(T a, T b) { return (a + b - 1) / b; } }
#define C10_CUDA_CHECK(E) do { const cudaError_t gwc_e = (E); if (gwc_e != cudaSuccess) { (void)cudaGetLastError(); TORCH_CHECK(false, "CUDA error: ", cudaGetErrorString(gwc_e)); } } while (0)
#define C10_CUDA_KERNEL_LAUNCH_CHECK() C10_CUDA_CHECK(cudaGetLastError())
#define AT_CUDA_CHECK(E) C10_CUDA_CHECK(E)
#define THCudaCheck(E) C10_CUDA_CHECK(E)
#define C10_CUDA_ERROR_HANDLED(E) (E)

#if __has_include(<cublas_v2.h>)
extern "C" __attribute__((weak)) AOTITorchError torch_get_current_cuda_blas_handle(void**);
namespace gpuwheel_compat::cuda { inline cublasHandle_t getCurrentCUDABlasHandle() { TORCH_CHECK(torch_get_current_cuda_blas_handle, "this build of torch has no CUDA"); void* h; GWC_OK(torch_get_current_cuda_blas_handle(&h)); return static_cast<cublasHandle_t>(h); } }
#define TORCH_CUDABLAS_CHECK(E) TORCH_CHECK((E) == CUBLAS_STATUS_SUCCESS, "CUDA error: cublas")
#endif
// Philox: no shim. Python advances the generator and says (seed, offset); not for capture in a CUDA graph.
namespace gpuwheel_compat {
struct PhiloxCudaState { union Payload { uint64_t val; int64_t* ptr; }; Payload seed_{}, offset_{}; uint32_t offset_intragraph_ = 0; bool captured_ = false;
  PhiloxCudaState() = default; PhiloxCudaState(uint64_t s, uint64_t o) { seed_.val = s; offset_.val = o; } };
struct CUDAGeneratorImpl { std::mutex mutex_; int device = -1;
  PhiloxCudaState philox_cuda_state(uint64_t n) { auto [s, o] = gpuwheel_compat::call<std::tuple<int64_t, int64_t>>("gpuwheel_compat::philox", "", gpuwheel_compat::cuda::current_device(), static_cast<int64_t>(n)); return {static_cast<uint64_t>(s), static_cast<uint64_t>(o)}; } };
namespace cuda::detail { inline Generator getDefaultCUDAGenerator(int d = -1) { return {}; } }
template <class T> T* get_generator_or_default(const std::optional<Generator>&, const Generator&) { static T t; return &t; }
template <class T> T* check_generator(const std::optional<Generator>&) { static T t; return &t; }
}
namespace gpuwheel_compat::cuda::philox { inline __host__ __device__ std::tuple<uint64_t, uint64_t> unpack(gpuwheel_compat::PhiloxCudaState a) { return std::make_tuple(a.seed_.val, a.offset_.val); } }
