// What the CUDA sources offer to the operators: pointers and sizes, no torch, so that they are compiled once for all
// versions of it. All arrays are contiguous, on the current device. Each function throws what CUDA calls the error.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

enum class Type { float32, float16, bfloat16 };
enum class Activation { relu, gelu };

struct BiasAct {
  Type type;
  Activation activation;
  int64_t rows, columns;
  void* y;           // (rows, columns) = act(x + bias)
  void* pre;         // (rows, columns) = x + bias; may be null
  const void* x;     // (rows, columns); may be y or pre
  const void* bias;  // (columns)
};
void launch_bias_act(const BiasAct& problem, cudaStream_t stream);

struct ActBackward {
  Type type;
  Activation activation;
  int64_t rows, columns;
  void* grad_x;       // (rows, columns) = grad * act'(saved + bias)
  const void* grad;   // (rows, columns)
  const void* saved;  // (rows, columns)
  const void* bias;   // (columns); may be null
};
void launch_act_backward(const ActBackward& problem, cudaStream_t stream);

struct LinearAct {
  Type type;
  Activation activation;
  int64_t m, n, k;
  void* y;             // (m, n) = act(x weight^T + bias)
  void* pre;           // (m, n) = x weight^T + bias, for gelu alone; may be null
  const void* x;       // (m, k)
  const void* weight;  // (n, k)
  const void* bias;    // (n)
};
// Whether the tensor cores take it as it is: 16-bit types, rows of a multiple of 16 bytes that start at one, no empty
// matrix, code for compute capability 8.0 or newer.
bool cutlass_takes(const LinearAct& problem, int device);
void launch_cutlass(const LinearAct& problem, cudaStream_t stream);
