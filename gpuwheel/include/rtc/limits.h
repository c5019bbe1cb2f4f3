// Device code under NVRTC: the limits of integer types.
#pragma once
#include <climits>
