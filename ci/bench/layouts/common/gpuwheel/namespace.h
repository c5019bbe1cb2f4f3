#pragma once

#define GPUWHEEL_NAMESPACE_BEGIN namespace gpuwheel {
#define GPUWHEEL_NAMESPACE_END }
