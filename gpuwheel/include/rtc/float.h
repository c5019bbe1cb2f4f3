// Device code under NVRTC: the limits of floating-point types.
#pragma once
#include <cfloat>
