// Accessors: views of tensors for host and device code.
#pragma once
#include <gpuwheel_compat/types.h>

namespace gpuwheel_compat {
#if defined(__CUDACC__)
using torch::headeronly::RestrictPtrTraits;
#endif
using torch::headeronly::DefaultPtrTraits;
template <class T, size_t N, template <class> class P = DefaultPtrTraits, class I = int64_t> using TensorAccessor = torch::headeronly::HeaderOnlyTensorAccessor<T, N, P, I>;
template <class T, size_t N, template <class> class P = DefaultPtrTraits, class I = int64_t> using GenericPackedTensorAccessor = torch::headeronly::HeaderOnlyGenericPackedTensorAccessor<T, N, P, I>;
template <class T, size_t N, template <class> class P = DefaultPtrTraits, class I = int64_t> using PackedTensorAccessor = GenericPackedTensorAccessor<T, N, P, I>;
template <class T, size_t N, template <class> class P = DefaultPtrTraits> using PackedTensorAccessor32 = GenericPackedTensorAccessor<T, N, P, int32_t>;
template <class T, size_t N, template <class> class P = DefaultPtrTraits> using PackedTensorAccessor64 = GenericPackedTensorAccessor<T, N, P, int64_t>;
}
