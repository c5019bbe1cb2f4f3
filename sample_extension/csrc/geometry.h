// Numbers of threads that the kernels are compiled for and the launches use.
#pragma once

#include "numeric.h"

namespace gpuwheel_sample {

constexpr int kHeld = 2;               // vectors of a row that a thread keeps in registers
constexpr int kRowThreads = 1024;      // most threads of a row
constexpr int kGroupThreads = 128;     // of a block that holds several rows
constexpr int kFlatThreads = 256;      // of an elementwise block
constexpr int kFlatBlocks = 4;         // elementwise blocks that the registers of a multiprocessor must hold
constexpr int kFlatUnroll = 2;         // vectors that a thread has in flight per input
constexpr int kColumnBlocks = 6;       // blocks of kGroupThreads, where rows are added up, that they must hold
constexpr int kLossUnroll = 4;         // vectors of logits that a thread has in flight
constexpr int kLossThreads = 512;      // of a row of logits
constexpr int kLongLossThreads = 1024; // of a row too long for half the cache of a multiprocessor

}  // namespace gpuwheel_sample
