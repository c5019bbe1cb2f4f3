// What CUDA sources of extensions use of torch, in one file; against torch's headers and against ours.
#include <ATen/ATen.h>
#include <ATen/cuda/Atomic.cuh>
#include <ATen/cuda/CUDAApplyUtils.cuh>
#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGeneratorImpl.h>
#include <ATen/cuda/CUDAGraphsUtils.cuh>
#include <ATen/cuda/DeviceUtils.cuh>
#include <ATen/cuda/detail/IndexUtils.cuh>
#include <ATen/cuda/detail/KernelUtils.h>
#include <ATen/cuda/detail/TensorInfo.cuh>
#include <ATen/native/cuda/KernelUtils.cuh>
#include <ATen/native/cuda/block_reduce.cuh>
#include <THC/THCAtomics.cuh>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAMathCompat.h>
#include <c10/cuda/CUDAStream.h>
#if __has_include(<curand_kernel.h>)
#include <curand_kernel.h>
#endif
#include <torch/extension.h>

#include <cmath>

// Arithmetic of every dtype in a kernel, with torch's macros that take CUDA's own operators away.
template <typename scalar_t>
__global__ void scale_kernel(const scalar_t* __restrict__ x, scalar_t* __restrict__ y, scalar_t by, int64_t n) {
  using acc_t = at::acc_type<scalar_t, true>;
  CUDA_KERNEL_LOOP(i, n) {
    scalar_t value = x[i] * by + scalar_t(1);
    value += value / scalar_t(2);
    value = value > scalar_t(0) ? value : -value;
    acc_t wide = static_cast<acc_t>(value) * acc_t(2) - acc_t(1);
    y[i] = static_cast<scalar_t>(::exp(wide) + acc_t(value == by) + acc_t(value != by));
  }
}
__global__ void narrow_kernel(at::Half* h, at::BFloat16* b, c10::complex<float>* c) {
  h[0] = h[1] * h[2] - h[3] / h[4];
  h[0] += 1.5f;
  h[1] = __float2half(static_cast<float>(h[0]));
  b[0] = b[1] * 2 + b[2];
  b[1] = std::max(static_cast<float>(b[0]), 0.f);
  c[0] = c[1] * c[2] + c10::complex<float>(1, 2);
}
template <typename scalar_t>
__global__ void scatter_kernel(scalar_t* out, const scalar_t* in, const int64_t* index, int64_t n) {
  CUDA_KERNEL_LOOP_TYPE(i, n, int64_t) {
    gpuAtomicAdd(out + index[i], in[i]);
    atomicAdd(out + index[i], in[i]);
    at::native::fastAtomicAdd(out, index[i], n, in[i], true);
  }
}
template <typename scalar_t>
__global__ void extremes_kernel(scalar_t* out, const scalar_t* in) {
  gpuAtomicMax(out, in[0]);
  gpuAtomicMin(out, in[0]);
  gpuAtomicMul(out, in[0]);
}
__global__ void integers_kernel(uint8_t* a, int8_t* b, int16_t* c, int32_t* d, int64_t* e, bool* f) {
  gpuAtomicAdd(a, uint8_t(1)), gpuAtomicAdd(b, int8_t(1)), gpuAtomicAdd(c, int16_t(1)), gpuAtomicAdd(d, 1);
  gpuAtomicAdd(e, int64_t(1)), gpuAtomicAdd(f, true);
  gpuAtomicMax(a, uint8_t(1)), gpuAtomicMin(b, int8_t(1)), gpuAtomicMul(c, int16_t(2)), gpuAtomicMax(e, int64_t(1));
}
template <typename scalar_t>
__global__ void warp_kernel(scalar_t* x, float* sums, unsigned* masks) {
  scalar_t value = x[threadIdx.x];
  value += WARP_SHFL_DOWN(value, 1);
  value += WARP_SHFL_XOR(value, 2);
  value += WARP_SHFL(value, 0);
  value += WARP_SHFL_UP(value, 1);
  x[threadIdx.x] = value;
  __shared__ float shared[32];
  const float sum = at::native::cuda_utils::BlockReduceSum(static_cast<float>(value), shared);
  if (threadIdx.x == 0) sums[0] = sum + doLdg(sums + 1);
  masks[0] = WARP_BALLOT(sum > 0) & ACTIVE_MASK();
  WARP_SYNC();
}
// Dropout by philox, as fused kernels have it.
__global__ void dropout_kernel(const float* x, float* y, float p, int64_t n, at::PhiloxCudaState state) {
  auto seeds = at::cuda::philox::unpack(state);
  const int64_t at = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x;
  at::Philox4_32 engine(std::get<0>(seeds), at, std::get<1>(seeds));
  float random = static_cast<float>(engine()) / 4294967296.f;
#if __has_include(<curand_kernel.h>)
  curandStatePhilox4_32_10_t curand;
  curand_init(std::get<0>(seeds), at, std::get<1>(seeds), &curand);
  random = curand_uniform4(&curand).x;
#endif
  if (at < n) y[at] = random < p ? x[at] / (1 - p) : 0.f;
}
template <typename scalar_t, typename index_t>
__global__ void strided_kernel(at::cuda::detail::TensorInfo<scalar_t, index_t> x, index_t n) {
  CUDA_KERNEL_LOOP(i, n) {
    const auto offset = at::cuda::detail::IndexToOffset<scalar_t, index_t, -1>::get(i, x);
    x.data[offset] += scalar_t(1);
  }
}
template <typename scalar_t>
__global__ void accessor_kernel(torch::PackedTensorAccessor32<scalar_t, 2, torch::RestrictPtrTraits> a,
                                const torch::PackedTensorAccessor64<scalar_t, 2, torch::RestrictPtrTraits> b) {
  CUDA_KERNEL_ASSERT(a.size(0) > 0);
  a[threadIdx.x][0] = b[threadIdx.x][1];
}

at::Tensor scale(const at::Tensor& x, double by) {
  const at::cuda::OptionalCUDAGuard guard(at::device_of(x));
  auto y = at::empty_like(x);
  const int64_t n = x.numel();
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, x.scalar_type(), "scale", [&] {
    scale_kernel<scalar_t><<<at::cuda::detail::GET_BLOCKS(n), 256, 0, at::cuda::getCurrentCUDAStream()>>>(
        x.data_ptr<scalar_t>(), y.data_ptr<scalar_t>(), static_cast<scalar_t>(by), n);
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return y;
}
at::Tensor scatter(at::Tensor out, const at::Tensor& in, const at::Tensor& index) {
  c10::cuda::CUDAGuard guard(out.device());
  auto stream = c10::cuda::getCurrentCUDAStream(out.get_device());
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, out.scalar_type(), "scatter", [&] {
    scatter_kernel<scalar_t><<<1, 32, 0, stream.stream()>>>(out.data_ptr<scalar_t>(), in.data_ptr<scalar_t>(),
                                                            index.data_ptr<int64_t>(), in.numel());
    extremes_kernel<scalar_t><<<1, 1, 0, stream>>>(out.data_ptr<scalar_t>(), in.data_ptr<scalar_t>());
    accessor_kernel<scalar_t><<<1, 1, 0, stream>>>(out.packed_accessor32<scalar_t, 2, torch::RestrictPtrTraits>(),
                                                   in.packed_accessor64<scalar_t, 2, torch::RestrictPtrTraits>());
  });
  AT_CUDA_CHECK(cudaGetLastError());
  return out;
}
at::Tensor dropout(const at::Tensor& x, double p, std::optional<at::Generator> generator) {
  at::cuda::CUDAGuard guard{static_cast<char>(x.get_device())};
  auto y = at::empty_like(x);
  auto* gen = at::get_generator_or_default<at::CUDAGeneratorImpl>(generator, at::cuda::detail::getDefaultCUDAGenerator());
  at::PhiloxCudaState state;
  {
    std::lock_guard<std::mutex> lock(gen->mutex_);
    state = gen->philox_cuda_state(4);
  }
  dropout_kernel<<<1, 32, 0, at::cuda::getCurrentCUDAStream()>>>(x.data_ptr<float>(), y.data_ptr<float>(),
                                                                static_cast<float>(p), x.numel(), state);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return y;
}
std::vector<int64_t> philox_numbers(int64_t count, std::optional<at::Generator> generator) {
  auto* gen = at::get_generator_or_default<at::CUDAGeneratorImpl>(generator, at::cuda::detail::getDefaultCUDAGenerator());
  std::lock_guard<std::mutex> lock(gen->mutex_);
  auto state = gen->philox_cuda_state(static_cast<uint64_t>(count));
  return {static_cast<int64_t>(state.seed_.val), static_cast<int64_t>(state.offset_.val)};
}
at::Tensor strided(at::Tensor x) {
  at::DeviceGuard guard(x.device());
  auto stream = at::cuda::getCurrentCUDAStream().stream();
  if (at::cuda::detail::canUse32BitIndexMath(x)) {
    auto info = at::cuda::detail::getTensorInfo<float, unsigned int>(x);
    info.collapseDims();
    strided_kernel<float, unsigned int><<<1, 32, 0, stream>>>(info, static_cast<unsigned>(x.numel()));
  } else {
    strided_kernel<float, uint64_t><<<1, 32, 0, stream>>>(at::cuda::detail::getTensorInfo<float, uint64_t>(x), x.numel());
  }
  return x;
}
// Streams, events and guards: numbers that say what was current when.
std::vector<int64_t> streams(const at::Tensor& x) {
  auto number = [](const c10::cuda::CUDAStream& s) { return reinterpret_cast<int64_t>(s.stream()); };
  std::vector<int64_t> seen;
  auto before = at::cuda::getCurrentCUDAStream();
  auto pool = at::cuda::getStreamFromPool(/*isHighPriority=*/false, x.get_device());
  TORCH_CHECK(number(pool) != number(before) && pool != before);
  at::cuda::CUDAEvent event, timed(cudaEventDefault), moved;
  event.record(before);
  event.block(pool);
  {
    at::cuda::CUDAStreamGuard guard(pool);
    seen.push_back(number(at::cuda::getCurrentCUDAStream()) == number(pool));
    seen.push_back(number(guard.original_stream()) == number(before));
    timed.record();
    x.record_stream(pool);
    guard.reset_stream(at::cuda::getDefaultCUDAStream());
    seen.push_back(number(at::cuda::getCurrentCUDAStream()));
  }
  {
    c10::cuda::OptionalCUDAStreamGuard guard;
    guard.reset_stream(pool);
    seen.push_back(guard.current_stream() == std::optional<c10::cuda::CUDAStream>(pool));
  }
  {
    c10::cuda::CUDAMultiStreamGuard guard(std::vector<c10::cuda::CUDAStream>{pool});
    seen.push_back(number(at::cuda::getCurrentCUDAStream()) == number(pool));
  }
  seen.push_back(at::cuda::getCurrentCUDAStream() == before);
  at::cuda::setCurrentCUDAStream(pool);
  at::cuda::setCurrentCUDAStream(before);
  event.synchronize(), pool.synchronize();
  moved = std::move(event);
  seen.push_back(moved.query() && moved.isCreated() && !event.isCreated());
  seen.push_back(pool.query() && pool.device_index() == x.get_device() && c10::cuda::CUDAStream(pool.unwrap()) == pool);
  void* memory = c10::cuda::CUDACachingAllocator::raw_alloc(64);
  c10::cuda::CUDACachingAllocator::raw_delete(memory);
  return seen;
}
std::vector<int64_t> devices() {
  std::vector<int64_t> seen{c10::cuda::device_count(), c10::cuda::current_device()};
  {
    c10::cuda::OptionalCUDAGuard none;
    seen.push_back(none.current_device().has_value());
    at::cuda::OptionalCUDAGuard last(c10::Device(at::kCUDA, static_cast<c10::DeviceIndex>(seen[0] - 1)));
    seen.push_back(c10::cuda::current_device());
    seen.push_back(last.original_device()->index());
    last.set_index(0);
    seen.push_back(c10::cuda::current_device());
    c10::OptionalDeviceGuard cpu(at::device_of(at::ones({1})));
  }
  seen.push_back(c10::cuda::current_device());
  seen.push_back(at::cuda::getCurrentDeviceProperties()->major);
  seen.push_back(at::cuda::warp_size() == 32 && at::cuda::is_available());
  seen.push_back(at::cuda::ATenCeilDiv<int64_t>(7, 2));
  return seen;
}
void fails(int64_t code) { C10_CUDA_CHECK(static_cast<cudaError_t>(code)); }
void wrong_device() { c10::cuda::CUDAGuard guard(c10::Device(at::kCPU)); }
void no_time() {
  at::cuda::CUDAEvent a, b;
  a.elapsed_time(b);
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("scale", &scale);
  m.def("scatter", &scatter);
  m.def("dropout", &dropout, py::arg("x"), py::arg("p"), py::arg("generator") = py::none());
  m.def("philox_numbers", &philox_numbers, py::arg("count"), py::arg("generator") = py::none());
  m.def("strided", &strided);
  m.def("streams", &streams);
  m.def("devices", &devices);
  m.def("fails", &fails);
  m.def("wrong_device", &wrong_device);
  m.def("no_time", &no_time);
  m.def("kernels", [] {
    narrow_kernel<<<1, 1>>>(nullptr, nullptr, nullptr);
    integers_kernel<<<1, 1>>>(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr);
    warp_kernel<float><<<1, 32>>>(nullptr, nullptr, nullptr);
    warp_kernel<at::Half><<<1, 32>>>(nullptr, nullptr, nullptr);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}
