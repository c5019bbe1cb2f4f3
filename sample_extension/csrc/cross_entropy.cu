#include "cross_entropy.h"

#include <gpuwheel/device.h>

#include "flat.cuh"

namespace gpuwheel_sample::kernels {

constexpr float kLowest = -3.402823466e38f;

__device__ __forceinline__ Softmax<float> nothing_seen() { return {__int_as_float(0xff800000), 0.0f}; }

template <int COUNT, int VEC, typename T>
__device__ __forceinline__ void include(Softmax<float>& seen, const Vector<T, VEC> (&logits)[COUNT]) {
  float largest = seen.largest;
#pragma unroll
  for (int k = 0; k < COUNT; ++k) {
#pragma unroll
    for (int j = 0; j < VEC; ++j) largest = larger(largest, static_cast<float>(logits[k][j]));
  }
  const float base = Softmax<float>::base(largest, kLowest);
  float sum = seen.sum * quick_exp(seen.largest - base);
#pragma unroll
  for (int k = 0; k < COUNT; ++k) {
#pragma unroll
    for (int j = 0; j < VEC; ++j) sum += quick_exp(static_cast<float>(logits[k][j]) - base);
  }
  seen = {largest, sum};
}

__device__ __forceinline__ Softmax<float> warp_merge(Softmax<float> seen) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) {
    const Softmax<float> other{__shfl_xor_sync(kAllLanes, seen.largest, step), __shfl_xor_sync(kAllLanes, seen.sum, step)};
    seen = Softmax<float>::merge(seen, other, kLowest);
  }
  return seen;
}

// Over a block of whole warps, in all its threads.
__device__ __forceinline__ Softmax<float> block_merge(Softmax<float> seen) {
  __shared__ float largest[kWarp], sums[kWarp];
  seen = warp_merge(seen);
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  __syncthreads();  // an earlier result may still be being read
  if (lane == 0) {
    largest[warp] = seen.largest;
    sums[warp] = seen.sum;
  }
  __syncthreads();
  seen = nothing_seen();
  if (lane < blockDim.x / kWarp) seen = {largest[lane], sums[lane]};
  return warp_merge(seen);
}

// A row cut into elements before the first multiple of a vector, whole vectors, and elements after the last.
template <typename T, int VEC>
struct Row {
  const T* logits;
  int head, vectors, size;

  __device__ __forceinline__ Row(const T* row, int length) : logits(row), head(0), vectors(length / VEC), size(length) {
    if (VEC > 1) {
      const int past = static_cast<int>(reinterpret_cast<uintptr_t>(row) % (VEC * sizeof(T)) / sizeof(T));
      head = past == 0 ? 0 : VEC - past;
      if (head > size) head = size;
      vectors = (size - head) / VEC;
    }
  }
  // Element `i` of those that are in no vector, or -1: fewer than 2 * VEC, one for each of the first threads.
  __device__ __forceinline__ int loose(int i) const {
    const int element = i < head ? i : i + vectors * VEC;
    return element < size ? element : -1;
  }
};

// `first_kept` vectors of the row stay in shared memory between the two passes.
template <typename T, int VEC>
__device__ __forceinline__ Softmax<float> read_row(const Row<T, VEC>& row, Vector<T, VEC>* kept, int first_kept) {
  Softmax<float> seen = nothing_seen();
  const T* body = row.logits + row.head;
  int i = threadIdx.x;
#pragma unroll 1
  for (; i + (kLossUnroll - 1) * static_cast<int>(blockDim.x) < row.vectors; i += kLossUnroll * blockDim.x) {
    Vector<T, VEC> loaded[kLossUnroll];
#pragma unroll
    for (int k = 0; k < kLossUnroll; ++k) loaded[k] = load<VEC>(body, i + k * blockDim.x);
#pragma unroll
    for (int k = 0; k < kLossUnroll; ++k) {
      if (i + static_cast<int>(k * blockDim.x) < first_kept) kept[i + k * blockDim.x] = loaded[k];
    }
    include(seen, loaded);
  }
#pragma unroll 1
  for (; i < row.vectors; i += blockDim.x) {
    const Vector<T, VEC> loaded[1] = {load<VEC>(body, i)};
    if (i < first_kept) kept[i] = loaded[0];
    include(seen, loaded);
  }
  const int loose = row.loose(threadIdx.x);
  if (VEC > 1 && loose >= 0) {
    const Vector<T, 1> loaded[1] = {load<1>(row.logits, loose)};
    include(seen, loaded);
  }
  return block_merge(seen);
}

// softmax - one_hot(target), backwards: what was read last is still in the L2 cache, what was read first in `kept`.
template <typename T, int VEC>
__device__ __forceinline__ void write_gradient(T* gradient, const Row<T, VEC>& row, const Softmax<float>& softmax, int target,
                                               const Vector<T, VEC>* kept, int first_kept) {
  constexpr float kScale = GradientScale<T>::value;
  const float inverse = 1.0f / softmax.sum;
  const auto value = [&](T logit, bool is_target) {
    return static_cast<T>(kScale * (softmax.probability(static_cast<float>(logit), inverse) - (is_target ? 1.0f : 0.0f)));
  };
  const T* body = row.logits + row.head;
  const int turns = (row.vectors + static_cast<int>(blockDim.x) - 1) / static_cast<int>(blockDim.x);
#pragma unroll 2
  for (int turn = turns - 1; turn >= 0; --turn) {
    const int i = turn * blockDim.x + threadIdx.x;
    if (i >= row.vectors) continue;
    const Vector<T, VEC> logits = i < first_kept ? kept[i] : load<VEC>(body, i);
    const int target_here = target - row.head - i * VEC;
    Vector<T, VEC> out;
#pragma unroll
    for (int j = 0; j < VEC; ++j) out[j] = value(logits[j], j == target_here);
    store(gradient + row.head, i, out);
  }
  const int loose = row.loose(threadIdx.x);
  if (VEC > 1 && loose >= 0) gradient[loose] = value(row.logits[loose], loose == target);
}

// One block per row. `gradient` may be null: then the logits are read once and nothing but the loss is written. With it
// they are read a second time, from shared memory (`kept_vectors` of them) and the L2 cache.
// A vector of the logits and of the gradient must be misaligned by the same number of bytes.
// A target that is neither a class nor ignore_index makes loss and gradient of its row NaN.
template <typename T, int VEC>
__global__ void __launch_bounds__(kLongLossThreads)
    cross_entropy(float* __restrict__ losses, T* __restrict__ gradient, const T* __restrict__ logits, const long long* __restrict__ targets,
                  int64_t rows, int size, int64_t ignore_index, int kept_vectors) {
  extern __shared__ __align__(16) unsigned char shared_memory[];
  Vector<T, VEC>* kept = reinterpret_cast<Vector<T, VEC>*>(shared_memory);
#pragma unroll 1
  for (int64_t r = blockIdx.x; r < rows; r += gridDim.x) {
    const int64_t target = targets[r];
    T* gradient_row = gradient == nullptr ? nullptr : gradient + r * size;
    if (target == ignore_index) {
      if (threadIdx.x == 0) losses[r] = 0.0f;
      if (gradient != nullptr) {
#pragma unroll 4
        for (int i = threadIdx.x; i < size; i += blockDim.x) gradient_row[i] = static_cast<T>(0.0f);
      }
      continue;
    }
    const Row<T, VEC> row(logits + r * size, size);
    Softmax<float> softmax = read_row(row, kept, kept_vectors);
    const bool valid = target >= 0 && target < size;
    if (!valid) softmax.sum = __int_as_float(0x7fffffff);
    if (threadIdx.x == 0) losses[r] = softmax.loss(valid ? static_cast<float>(row.logits[target]) : 0.0f);
    if (gradient != nullptr) write_gradient(gradient_row, row, softmax, valid ? static_cast<int>(target) : -1, kept, kept_vectors);
  }
}

// loss = the sum of `losses`; with `valid`, their mean over the targets that count, whose number goes there. One block.
__global__ void __launch_bounds__(kLongLossThreads)
    total_loss(float* __restrict__ loss, float* __restrict__ valid, const float* __restrict__ losses, const long long* __restrict__ targets,
               int64_t rows, int64_t ignore_index) {
  float sum = 0.0f, counted = 0.0f;
#pragma unroll 4
  for (int64_t row = threadIdx.x; row < rows; row += blockDim.x) {
    sum += losses[row];
    counted += targets[row] == ignore_index ? 0.0f : 1.0f;
  }
  sum = row_sum(sum);
  counted = row_sum(counted);
  if (threadIdx.x == 0) {
    *loss = valid == nullptr ? sum : sum / counted;
    if (valid != nullptr) *valid = counted;
  }
}

// grad_logits = gradient * grad_loss, for a loss that is one number; `valid` is null unless it is a mean.
template <typename T, int VEC>
__global__ void __launch_bounds__(kFlatThreads, kFlatBlocks)
    cross_entropy_backward(T* __restrict__ grad_logits, const T* __restrict__ gradient, const float* __restrict__ grad_loss,
                           const float* __restrict__ valid, int64_t count) {
  const T* const in[] = {gradient};
  T* const out[] = {grad_logits};
  float scale = *grad_loss / GradientScale<T>::value;
  if (valid != nullptr) scale = *valid > 0.0f ? scale / *valid : 0.0f;
  for_elements<VEC>(in, out, count, [scale](const float(&a)[1], float(&b)[1]) { b[0] = a[0] * scale; });
}

// The same for one loss per row. One block per row.
template <typename T, int VEC>
__global__ void __launch_bounds__(kLossThreads)
    cross_entropy_backward_rows(T* __restrict__ grad_logits, const T* __restrict__ gradient, const float* __restrict__ grad_loss, int64_t rows, int size) {
  const int vectors = size / VEC;
#pragma unroll 1
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const float scale = grad_loss[row] / GradientScale<T>::value;
    T* const out[] = {grad_logits + row * size};
#pragma unroll 4
    for (int i = threadIdx.x; i < vectors; i += blockDim.x) {
      const Vector<T, VEC> in[] = {load<VEC>(gradient + row * size, i)};
      apply<VEC>(in, out, i, [scale](const float(&a)[1], float(&b)[1]) { b[0] = a[0] * scale; });
    }
  }
}

GPUWHEEL_SAMPLE_INSTANTIATE(cross_entropy);
GPUWHEEL_SAMPLE_INSTANTIATE(cross_entropy_backward);
GPUWHEEL_SAMPLE_INSTANTIATE(cross_entropy_backward_rows);

}  // namespace gpuwheel_sample::kernels
