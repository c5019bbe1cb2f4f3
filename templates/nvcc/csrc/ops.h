// The operators, on torch's stable ABI: one binary for every torch from 2.10 on. Registered in library.cpp.
#pragma once

#include <gpuwheel/torch.h>

#include <string_view>
#include <tuple>

#include "kernels.h"

using gpuwheel::Tensor;

// y and, if `save` asks for it and the backward needs more than y, the pre-activation; else an empty tensor.
std::tuple<Tensor, Tensor> linear_act_cpu(const Tensor& x, const Tensor& weight, const Tensor& bias, std::string_view activation, bool save);
std::tuple<Tensor, Tensor> linear_act_cuda(const Tensor& x, const Tensor& weight, const Tensor& bias, std::string_view activation, bool save);

Tensor bias_act_cpu(const Tensor& x, const Tensor& bias, std::string_view activation);
Tensor bias_act_cuda(const Tensor& x, const Tensor& bias, std::string_view activation);

Tensor act_backward_cpu(const Tensor& grad, const Tensor& saved, const std::optional<Tensor>& bias, std::string_view activation);
Tensor act_backward_cuda(const Tensor& grad, const Tensor& saved, const std::optional<Tensor>& bias, std::string_view activation);
