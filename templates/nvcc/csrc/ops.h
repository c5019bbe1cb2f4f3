// The operators, on torch's stable ABI: one binary for every torch from 2.10 on. Registered in library.cpp.
#pragma once

#include <gpuwheel/torch.h>

#include <optional>
#include <string_view>
#include <tuple>

#include "kernels.h"

using gpuwheel::Tensor;

// (y, pre): `pre` is the pre-activation if `save` asks for it and the backward needs it (gelu), else empty.
std::tuple<Tensor, Tensor> linear_act_cpu(const Tensor& x, const Tensor& weight, const Tensor& bias,
                                          std::string_view activation, bool save);
std::tuple<Tensor, Tensor> linear_act_cuda(const Tensor& x, const Tensor& weight, const Tensor& bias,
                                           std::string_view activation, bool save);

Tensor bias_act_cpu(const Tensor& x, const Tensor& bias, std::string_view activation);
Tensor bias_act_cuda(const Tensor& x, const Tensor& bias, std::string_view activation);

// grad * act'(saved + bias)
Tensor act_backward_cpu(const Tensor& grad, const Tensor& saved, const std::optional<Tensor>& bias,
                        std::string_view activation);
Tensor act_backward_cuda(const Tensor& grad, const Tensor& saved, const std::optional<Tensor>& bias,
                         std::string_view activation);

cudaStream_t stream_of(const Tensor& tensor);

// A linear layer with an activation: its arguments, checked and contiguous, and room for its results.
struct Linear {
  Tensor x, weight, bias, y, pre;
  Activation activation;
  bool saves;

  Linear(const Tensor& x, const Tensor& weight, const Tensor& bias, std::string_view activation, bool save);

  LinearAct problem() const;

  // Computes it by torch's GEMM, then bias and activation in one pass over the product.
  void compose();
};
