// Functions: those of ATen, which are generated, and those that no schema describes.
#pragma once
#include <gpuwheel_compat/aten.h>

#include <gpuwheel_compat/arguments.h>
#include <gpuwheel_compat/context.h>
#include <gpuwheel_compat/factories.h>
#include <gpuwheel_compat/index.h>
#include <gpuwheel_compat/nn.h>
#include <gpuwheel_compat/opmath.h>
#include <gpuwheel_compat/print.h>

namespace gpuwheel_compat {
}  // namespace gpuwheel_compat
