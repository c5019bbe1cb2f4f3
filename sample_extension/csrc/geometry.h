// Numbers of threads that the kernels are compiled for and the launches use.
#pragma once

#include "numeric.h"

namespace gpuwheel_sample {

constexpr int kHeld = 4;               // vectors of a row that a thread keeps in registers
constexpr int kRowThreads = 512;       // most threads of a row
constexpr int kSmallRowThreads = 128;  // of a block that holds several rows
constexpr int kFlatThreads = 256;      // of an elementwise block
constexpr int kFlatBlocks = 4;         // elementwise blocks that one multiprocessor must be able to hold
constexpr int kFlatUnroll = 4;         // vectors that an elementwise thread has in flight per input

}  // namespace gpuwheel_sample
