// ATen/cuda/detail: a tensor's pointer, sizes and strides by value, for kernels, and an element's offset from its number.
#pragma once

#include <gpuwheel_compat/cuda_errors.h>

#define MAX_TENSORINFO_DIMS 25
#define MAX_CUTORCH_DIMS MAX_TENSORINFO_DIMS

namespace gpuwheel_compat::cuda::detail {

template <class T, class IndexType>
struct TensorInfo {
  T* data = nullptr;
  IndexType sizes[MAX_TENSORINFO_DIMS];
  IndexType strides[MAX_TENSORINFO_DIMS];
  int dims = 0;

  TensorInfo() = default;
  TensorInfo(T* pointer, int dim, IndexType size[MAX_TENSORINFO_DIMS], IndexType stride[MAX_TENSORINFO_DIMS])
      : data(pointer), dims(dim) {
    TORCH_CHECK(dims < MAX_TENSORINFO_DIMS, "CUDA Tensors cannot have more than 25 dimensions");
    for (int i = 0; i < dim; ++i) {
      sizes[i] = size[i];
      strides[i] = stride[i];
    }
  }

  // Makes dimension `dim` one of size 1.
  void reduceDim(int dim) {
    TORCH_CHECK(dim < dims && dim >= 0, "expected dim between 0 and dims - 1");
    sizes[dim] = 1;
  }

  // Joins dimensions that lie one behind the other in memory, and drops those of size 1; `excluded` stays one by itself,
  // and its new place is the result.
  int collapseDims(const int excluded = -1) {
    TORCH_CHECK(excluded < dims && excluded >= -1, "expected excluded dim between -1 and dims - 1");
    int kept = 0, excluded_at = -1;
    bool joinable = false;  // the last that was kept is not the excluded one
    for (int i = 0; i < dims; ++i) {
      if (i != excluded && sizes[i] == 1) continue;
      if (i != excluded && joinable && strides[kept - 1] == sizes[i] * strides[i]) {
        sizes[kept - 1] *= sizes[i];
        strides[kept - 1] = strides[i];
        continue;
      }
      sizes[kept] = sizes[i];
      strides[kept] = strides[i];
      if (i == excluded) excluded_at = kept;
      joinable = i != excluded;
      ++kept;
    }
    if (kept == 0 || (kept == 1 && sizes[0] == 1)) {  // one element
      sizes[0] = 1;
      strides[0] = 1;
      dims = 1;
      return 0;
    }
    dims = kept;
    return excluded_at;
  }

  __host__ __device__ bool isContiguous() const { return dims == 1 && strides[0] == 1; }
};

// The offset of element number `linear`. Dims: how many dimensions there are; -1: as the tensor says; -2: contiguous.
template <class T, class IndexType, int Dims>
struct IndexToOffset {
  static __host__ __device__ IndexType get(IndexType linear, const TensorInfo<T, IndexType>& info) {
    if constexpr (Dims == -2) {
      return linear;
    } else {
      const int dims = Dims == -1 ? info.dims : Dims;
      IndexType offset = 0;
      for (int i = dims - 1; i > 0; --i) {
        offset += (linear % info.sizes[i]) * info.strides[i];
        linear /= info.sizes[i];
      }
      return offset + linear * info.strides[0];
    }
  }
};

template <class T, class IndexType>
TensorInfo<T, IndexType> getTensorInfo(const Tensor& t) {
  IndexType sizes[MAX_TENSORINFO_DIMS], strides[MAX_TENSORINFO_DIMS];
  const int dims = static_cast<int>(t.dim());
  TORCH_CHECK(dims < MAX_TENSORINFO_DIMS, "CUDA Tensors cannot have more than 25 dimensions");
  for (int i = 0; i < dims; ++i) {
    sizes[i] = static_cast<IndexType>(t.size(i));
    strides[i] = static_cast<IndexType>(t.stride(i));
  }
  if constexpr (std::is_const_v<T>) {
    return TensorInfo<T, IndexType>(t.const_data_ptr<std::remove_const_t<T>>(), dims, sizes, strides);
  } else {
    return TensorInfo<T, IndexType>(t.mutable_data_ptr<T>(), dims, sizes, strides);
  }
}

// Whether every element's number, and every offset in memory, is less than `max`.
inline bool canUse32BitIndexMath(const Tensor& t, int64_t max = std::numeric_limits<int32_t>::max()) {
  const int64_t elements = t.numel();
  if (elements >= max) return false;
  if (elements == 0) return max > 0;
  int64_t last = 0;
  for (int64_t i = 0; i < t.dim(); ++i) last += (t.size(i) - 1) * t.stride(i);
  return last < max;
}

inline bool maybeOverlappingIndices(const Tensor& t) {
  // Ordered by stride, each dimension must step past all of the one before.
  std::vector<std::pair<int64_t, int64_t>> steps;
  for (int64_t i = 0; i < t.dim(); ++i) {
    if (t.size(i) > 1) {
      if (t.stride(i) < 1) return true;
      steps.emplace_back(t.stride(i), t.size(i));
    }
  }
  std::sort(steps.begin(), steps.end());
  for (size_t i = 1; i < steps.size(); ++i) {
    if ((steps[i - 1].second - 1) * steps[i - 1].first >= steps[i].first) return true;
  }
  return false;
}

}  // namespace gpuwheel_compat::cuda::detail
