// act(x weight^T + bias) as one CUTLASS GEMM on tensor cores: products of 16-bit numbers added up in float32, bias and
// activation applied to the sums while they are in registers.
//
// CUTLASS sees x as a row-major (m, k) and weight, (n, k) row by row, as a column-major (k, n) matrix: nothing is
// copied. The instructions are those of compute capability 8.0, which all newer GPUs run.
#include <cutlass/cutlass.h>
#include <cutlass/epilogue/thread/linear_combination_bias_elementwise.h>
#include <cutlass/gemm/device/gemm_universal_with_broadcast.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "activations.h"
#include "cuda_error.h"
#include "kernels.h"

namespace {

constexpr int kAlignment = 8;  // elements, 16 bytes: what one instruction copies to shared memory
constexpr int64_t kMostRows = int64_t{1} << 30;  // in one launch: sizes are 32 bits wide in CUTLASS
constexpr int64_t kMostColumns = 65535 * 64;     // a small tile for each block along the second dimension of a grid
constexpr int64_t kMostInner = int64_t{1} << 30;

template <typename Act>
struct Elementwise {
  enum { kIsHeavy = std::is_same_v<Act, Gelu> };  // CUTLASS then does not unroll the epilogue

  CUTLASS_HOST_DEVICE float operator()(float z) const { return Act::value(z); }
};

// y = Act(z) and, if kStorePre, pre = z, where z = accumulator + bias.
template <typename T, typename Act, bool kStorePre>
using Epilogue =
    cutlass::epilogue::thread::LinearCombinationBiasElementwise<T, float, float, T, T, kAlignment, Elementwise<Act>,
                                                                cutlass::plus<float>, kStorePre>;

// Tile is what a block of 4 warps computes, Warp what each of them does.
template <typename T, typename Act, bool kStorePre, typename Tile, typename Warp, int kStages>
using Gemm = cutlass::gemm::device::GemmUniversalWithBroadcast<
    T, cutlass::layout::RowMajor, T, cutlass::layout::ColumnMajor, T, cutlass::layout::RowMajor, float,
    cutlass::arch::OpClassTensorOp, cutlass::arch::Sm80, Tile, Warp, cutlass::gemm::GemmShape<16, 8, 16>,
    Epilogue<T, Act, kStorePre>, cutlass::gemm::threadblock::GemmIdentityThreadblockSwizzle<8>, kStages, kAlignment,
    kAlignment>;

// A CUTLASS operation that is launched here: CUTLASS's own launch drops what CUDA calls the error.
template <typename Gemm>
struct Launch : Gemm {
  void operator()(const typename Gemm::Arguments& arguments, cudaStream_t stream) {
    using Kernel = typename Gemm::GemmKernel;
    const cutlass::Status status = this->initialize(arguments);
    check(cudaGetLastError(), "preparing the CUTLASS GEMM");
    if (status != cutlass::Status::kSuccess) throw std::runtime_error(cutlass::cutlassGetStatusString(status));
    cutlass::Kernel2<Kernel>
        <<<this->params_.get_grid_dims(), Kernel::kThreadCount, Gemm::kSharedStorageSize, stream>>>(this->params_);
    check(cudaGetLastError(), "launching the CUTLASS GEMM");
  }
};

template <typename Gemm>
void run(const LinearAct& p, cudaStream_t stream) {
  using T = typename Gemm::GemmKernel::ElementA;
  for (int64_t row = 0; row < p.m; row += kMostRows) {
    const int rows = static_cast<int>(std::min(p.m - row, kMostRows));
    const int n = static_cast<int>(p.n), k = static_cast<int>(p.k);
    const T* x = static_cast<const T*>(p.x) + row * p.k;
    T* y = static_cast<T*>(p.y) + row * p.n;
    T* pre = p.pre != nullptr ? static_cast<T*>(p.pre) + row * p.n : nullptr;
    Launch<Gemm>()({cutlass::gemm::GemmUniversalMode::kGemm, {rows, n, k}, /*splits of k*/ 1,
                    {/*alpha*/ 1.f, /*beta*/ 0.f}, x, p.weight, /*C*/ nullptr, y, const_cast<void*>(p.bias), pre,
                    /*between batches*/ 0, 0, 0, 0, 0, 0,
                    /*between rows or columns: x*/ k, /*weight*/ k, /*C*/ 0, /*y*/ n, /*bias*/ 0, /*pre*/ n},
                   stream);
  }
}

// Large tiles need the least memory traffic, small ones fill a GPU with small matrices.
template <typename T, typename Act, bool kStorePre>
void run_with_tile(const LinearAct& p, cudaStream_t stream) {
  using cutlass::gemm::GemmShape;
  int device = 0, multiprocessors = 0;
  check(cudaGetDevice(&device), "reading the current device");
  check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device),
        "reading the number of multiprocessors");
  const int64_t large_tiles = ((p.m + 127) / 128) * ((p.n + 127) / 128);
  if (large_tiles >= multiprocessors) {
    run<Gemm<T, Act, kStorePre, GemmShape<128, 128, 32>, GemmShape<64, 64, 32>, 4>>(p, stream);
  } else {
    run<Gemm<T, Act, kStorePre, GemmShape<64, 64, 64>, GemmShape<32, 32, 64>, 4>>(p, stream);
  }
}

template <typename T>
void run_with_activation(const LinearAct& p, cudaStream_t stream) {
  if (p.activation == Activation::relu) return run_with_tile<T, Relu, false>(p, stream);  // its backward reads y
  p.pre != nullptr ? run_with_tile<T, Gelu, true>(p, stream) : run_with_tile<T, Gelu, false>(p, stream);
}

// The architecture whose code a device runs, times 100: a GPU of 8.0 runs PTX of 7.5, which has not these instructions.
int compiled_for(int device) {
  int major = 0, minor = 0, best = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "reading the compute capability");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "reading the compute capability");
  for (const int arch : {__CUDA_ARCH_LIST__}) {
    if (arch <= major * 100 + minor * 10) best = std::max(best, arch);
  }
  return best;
}

}  // namespace

bool cutlass_takes(const LinearAct& p, int device) {
  const auto address = [](const void* data) { return reinterpret_cast<std::uintptr_t>(data); };
  const bool aligned = (address(p.x) | address(p.weight) | address(p.bias) | address(p.y) | address(p.pre)) % 16 == 0;
  const bool whole = p.n % kAlignment == 0 && p.k % kAlignment == 0, empty = p.m == 0 || p.n == 0 || p.k == 0;
  if (p.type == Type::float32 || !aligned || !whole || empty || p.n > kMostColumns || p.k > kMostInner) return false;
  return compiled_for(device) >= 800;
}

void launch_cutlass(const LinearAct& p, cudaStream_t stream) {
  p.type == Type::float16 ? run_with_activation<cutlass::half_t>(p, stream)
                          : run_with_activation<cutlass::bfloat16_t>(p, stream);
}
