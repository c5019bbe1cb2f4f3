// Accessors: views of tensors for host and device code. torch's own, with our array reference and our checks.
#pragma once
#include <gpuwheel_compat/types.h>

namespace gpuwheel_compat {
using torch::headeronly::DefaultPtrTraits;
#if defined(__CUDACC__) || defined(__HIPCC__)
using torch::headeronly::RestrictPtrTraits;
#endif

namespace detail {
template <size_t N, class I>
struct IndexBoundsCheck {
  explicit IndexBoundsCheck(I i) {
    TORCH_CHECK_INDEX(0 <= i && i < static_cast<I>(N), "Index ", i, " is not within bounds of a tensor of dimension ", N);
  }
};
}  // namespace detail

template <class T, size_t N, template <class> class P = DefaultPtrTraits, class I = int64_t>
using TensorAccessorBase = torch::headeronly::detail::TensorAccessorBase<ArrayRef<I>, T, N, P, I>;
template <class T, size_t N, template <class> class P = DefaultPtrTraits, class I = int64_t>
using TensorAccessor = torch::headeronly::detail::TensorAccessor<ArrayRef<I>, T, N, P, I>;
template <class T, size_t N, template <class> class P = DefaultPtrTraits, class I = int64_t>
using GenericPackedTensorAccessorBase =
    torch::headeronly::detail::GenericPackedTensorAccessorBase<detail::IndexBoundsCheck<N, I>, T, N, P, I>;
template <class T, size_t N, template <class> class P = DefaultPtrTraits, class I = int64_t>
using GenericPackedTensorAccessor =
    torch::headeronly::detail::GenericPackedTensorAccessor<TensorAccessor<T, N - 1, P, I>, detail::IndexBoundsCheck<N, I>, T, N, P, I>;
template <class T, size_t N, template <class> class P = DefaultPtrTraits, class I = int64_t>
using PackedTensorAccessor = GenericPackedTensorAccessor<T, N, P, I>;
template <class T, size_t N, template <class> class P = DefaultPtrTraits>
using PackedTensorAccessor32 = GenericPackedTensorAccessor<T, N, P, int32_t>;
template <class T, size_t N, template <class> class P = DefaultPtrTraits>
using PackedTensorAccessor64 = GenericPackedTensorAccessor<T, N, P, int64_t>;
}  // namespace gpuwheel_compat
