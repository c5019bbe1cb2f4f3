// Device code under NVRTC: size_t, ptrdiff_t and nullptr_t.
#pragma once
#include <cstddef>
using ::cuda::std::ptrdiff_t;
using ::cuda::std::size_t;
