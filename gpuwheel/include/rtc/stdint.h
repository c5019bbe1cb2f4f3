// Device code under NVRTC: the fixed-width integers.
#pragma once
#include <cstdint>
