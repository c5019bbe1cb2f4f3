// What kernels use: loops over a grid, shuffles of a warp, atomics for every dtype, and tensors by their strides.
#pragma once
#include <gpuwheel_compat/philox.h>

// `for` over all elements, however many blocks there are; 64 bits count, so that n near 2^31 does not overflow.
#define CUDA_KERNEL_LOOP_TYPE(i, n, index_type)                                                                   \
  int64_t gwc_at = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;                                   \
  for (index_type i = static_cast<index_type>(gwc_at); gwc_at < (n);                                              \
       gwc_at += static_cast<int64_t>(blockDim.x) * gridDim.x, i = static_cast<index_type>(gwc_at))
#define CUDA_KERNEL_LOOP(i, n) CUDA_KERNEL_LOOP_TYPE(i, n, int)

namespace gpuwheel_compat::cuda {
template <class T>
C10_HOST_DEVICE constexpr T ATenCeilDiv(T a, T b) {
  return (a + b - 1) / b;
}
constexpr int CUDA_NUM_THREADS = 1024;

namespace detail {
constexpr int CUDA_NUM_THREADS = 1024;
/// Blocks for n elements, one thread each.
inline int GET_BLOCKS(int64_t n, int64_t threads = CUDA_NUM_THREADS) {
  TORCH_INTERNAL_ASSERT(n > 0, "CUDA kernel launch blocks must be positive, but got N=", n);
  const int64_t blocks = (n - 1) / threads + 1;
  TORCH_INTERNAL_ASSERT(blocks <= std::numeric_limits<int>::max(), "Can't schedule too many blocks on CUDA device");
  return static_cast<int>(blocks);
}

constexpr int MAX_TENSORINFO_DIMS = 25;
/// A tensor for a kernel: its pointer, sizes and strides, of as few dimensions as describe it.
template <class T, class I>
struct TensorInfo {
  T* data = nullptr;
  I sizes[MAX_TENSORINFO_DIMS];
  I strides[MAX_TENSORINFO_DIMS];
  int dims = 0;

  TensorInfo() = default;
  TensorInfo(T* p, int dim, const I* size, const I* stride) : data(p), dims(dim) {
    TORCH_CHECK(dim < MAX_TENSORINFO_DIMS, "CUDA Tensors cannot have more than 25 dimensions");
    for (int i = 0; i < dim; ++i) {
      sizes[i] = size[i];
      strides[i] = stride[i];
    }
  }
  /// Of one dimension, which is left as it is: kernels that walk over slices set its size to 1.
  void reduceDim(int dim) {
    TORCH_CHECK(dim < dims && dim >= 0, "expected dim between 0 and dims - 1");
    sizes[dim] = 1;
  }
  /// Joins dimensions that lie behind one another; `excluded` stays alone. Gives the new number of the excluded one.
  int collapseDims(int excluded = -1) {
    TORCH_CHECK(excluded >= -1 && excluded < dims, "expected excluded dim between -1 and dims - 1");
    int kept = 0, now = -1;
    for (int i = 0; i < dims; ++i) {
      if (sizes[i] == 1 && i != excluded) continue;
      const bool alone = i == excluded || (now >= 0 && now == kept - 1);
      if (kept && !alone && strides[kept - 1] == sizes[i] * strides[i]) {
        sizes[kept - 1] *= sizes[i];
        strides[kept - 1] = strides[i];
        continue;
      }
      if (i == excluded) now = kept;
      sizes[kept] = sizes[i];
      strides[kept++] = strides[i];
    }
    if (!kept) sizes[0] = strides[0] = 1;
    dims = kept ? kept : 1;
    return now;
  }
  C10_HOST_DEVICE bool isContiguous() const { return dims == 1 && strides[0] == 1; }
};

template <class T, class I>
TensorInfo<T, I> getTensorInfo(const Tensor& tensor) {
  I sizes[MAX_TENSORINFO_DIMS], strides[MAX_TENSORINFO_DIMS];
  const auto dims = static_cast<int>(tensor.dim());
  TORCH_CHECK(dims < MAX_TENSORINFO_DIMS, "CUDA Tensors cannot have more than 25 dimensions");
  for (int i = 0; i < dims; ++i) {
    sizes[i] = static_cast<I>(tensor.size(i));
    strides[i] = static_cast<I>(tensor.stride(i));
  }
  if constexpr (std::is_const_v<T>) return {tensor.template const_data_ptr<std::remove_const_t<T>>(), dims, sizes, strides};
  else return {tensor.template mutable_data_ptr<T>(), dims, sizes, strides};
}

/// Where the element with this number of a contiguous walk lies. Dims: how many there are, or -1 where only `info` knows.
template <class T, class I, int Dims>
struct IndexToOffset {
  static C10_HOST_DEVICE I get(I linear, const TensorInfo<T, I>& info) {
    I offset = 0;
    for (int i = (Dims < 0 ? info.dims : Dims) - 1; i > 0; --i) {
      offset += linear % info.sizes[i] * info.strides[i];
      linear /= info.sizes[i];
    }
    return offset + linear * info.strides[0];
  }
};

/// Whether 32 bits can count the elements of a tensor and say how far from its first one each lies.
inline bool canUse32BitIndexMath(const Tensor& tensor, int64_t most = std::numeric_limits<int32_t>::max()) {
  const int64_t elements = tensor.numel();
  if (elements >= most) return false;
  if (elements == 0) return most > 0;
  int64_t offset = 0, linear = elements - 1;
  for (int64_t i = tensor.dim() - 1; i >= 0; --i) {
    offset += linear % tensor.size(i) * tensor.stride(i);
    linear /= tensor.size(i);
  }
  return offset < most;
}
}  // namespace detail

constexpr uint32_t AT_APPLY_THREADS_PER_BLOCK = 512;
constexpr uint32_t AT_APPLY_BLOCKS_PER_SM = 4;
inline dim3 getApplyBlock(int threads = AT_APPLY_THREADS_PER_BLOCK) { return dim3(static_cast<unsigned>(threads)); }
template <int Step = 1>
bool getApplyGrid(uint64_t elements, dim3& grid, DeviceIndex device, int threads = AT_APPLY_THREADS_PER_BLOCK) {
  if (device == -1) return false;
  const auto each = static_cast<uint64_t>(threads) * Step;
  const auto most = static_cast<uint64_t>(getDeviceProperties(device)->maxGridSize[0]);
  grid = dim3(static_cast<unsigned>(std::min((elements + each - 1) / each, most)));
  return true;
}
}  // namespace gpuwheel_compat::cuda
namespace gpuwheel_compat {
using cuda::detail::CUDA_NUM_THREADS;
}

#ifdef __CUDACC__
#include <torch/headeronly/cuda/Atomic.h>
#include <torch/headeronly/cuda/KernelUtils.h>

namespace gpuwheel_compat::native {
using torch::headeronly::fastAtomicAdd;
}

__device__ __forceinline__ unsigned int ACTIVE_MASK() { return __activemask(); }
__device__ __forceinline__ void WARP_SYNC(unsigned mask = 0xffffffff) { __syncwarp(mask); }
__device__ __forceinline__ unsigned int WARP_BALLOT(int predicate, unsigned mask = 0xffffffff) {
  return __ballot_sync(mask, predicate);
}
// CUDA shuffles numbers of 32 and 64 bits; torch's 16-bit types go as their bits, complex numbers in two parts.
#define GWC_SHUFFLE(NAME, INTRINSIC, BY)                                                                          \
  template <class T>                                                                                              \
  __device__ __forceinline__ T NAME(T value, BY by, int width = warpSize, unsigned mask = 0xffffffff) {           \
    if constexpr (std::is_same_v<T, c10::Half> || std::is_same_v<T, c10::BFloat16>)                               \
      return T(static_cast<unsigned short>(INTRINSIC(mask, static_cast<unsigned>(value.x), by, width)),           \
               typename T::from_bits_t{});                                                                        \
    else                                                                                                          \
      return INTRINSIC(mask, value, by, width);                                                                   \
  }                                                                                                               \
  template <class T>                                                                                              \
  __device__ __forceinline__ c10::complex<T> NAME(c10::complex<T> value, BY by, int width = warpSize,             \
                                                  unsigned mask = 0xffffffff) {                                   \
    return c10::complex<T>(INTRINSIC(mask, value.real_, by, width), INTRINSIC(mask, value.imag_, by, width));     \
  }
GWC_SHUFFLE(WARP_SHFL, __shfl_sync, int)
GWC_SHUFFLE(WARP_SHFL_XOR, __shfl_xor_sync, int)
GWC_SHUFFLE(WARP_SHFL_UP, __shfl_up_sync, unsigned)
GWC_SHUFFLE(WARP_SHFL_DOWN, __shfl_down_sync, unsigned)
#undef GWC_SHUFFLE
template <class T>
__device__ __forceinline__ T doLdg(const T* p) {
  return __ldg(p);
}

namespace gpuwheel_compat::native::cuda_utils {
constexpr int kCUDABlockReduceNumThreads = 512;
constexpr int kCUDABlockReduceMaxThreads = C10_WARP_SIZE * C10_WARP_SIZE;
/// The sum over a warp, in its first lane.
template <class T>
__inline__ __device__ T WarpReduceSum(T value) {
#pragma unroll
  for (int offset = C10_WARP_SIZE >> 1; offset > 0; offset >>= 1) value += WARP_SHFL_DOWN(value, offset);
  return value;
}
template <class T, class Op>
__inline__ __device__ T WarpReduce(T value, const Op& op) {
#pragma unroll
  for (int offset = C10_WARP_SIZE >> 1; offset > 0; offset >>= 1) value = op.combine(value, op.warp_shfl_down(value, offset));
  return value;
}
/// The sum over a block of one dimension, in its first thread; `shared` has a place for each warp.
template <class T>
__inline__ __device__ T BlockReduceSum(T value, T* shared) {
  const int lane = threadIdx.x % C10_WARP_SIZE, warp = threadIdx.x / C10_WARP_SIZE;
  value = WarpReduceSum(value);
  __syncthreads();  // a second sum must not write over what the first still reads
  if (lane == 0) shared[warp] = value;
  __syncthreads();
  value = threadIdx.x < blockDim.x / C10_WARP_SIZE ? shared[lane] : T(0);
  if (warp == 0) value = WarpReduceSum(value);
  return value;
}
}  // namespace gpuwheel_compat::native::cuda_utils
namespace at::native {
using namespace gpuwheel_compat::native;
}
#endif
