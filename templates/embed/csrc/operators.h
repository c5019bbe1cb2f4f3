// The operators, one function each for the CPU and for CUDA; library.cpp makes them known to torch.
#pragma once

#include <gpuwheel/torch.h>

#include <optional>
#include <tuple>

using gpuwheel::Tensor;

Tensor swiglu(const Tensor& gate, const Tensor& up);
std::tuple<Tensor, Tensor> swiglu_backward(const Tensor& grad, const Tensor& gate, const Tensor& up);

std::tuple<Tensor, Tensor, Tensor> add_rms_norm(const Tensor& x, const Tensor& residual, const Tensor& weight,
                                                double eps);
std::tuple<Tensor, Tensor> add_rms_norm_backward(const Tensor& grad_y, const std::optional<Tensor>& grad_sum,
                                                 const Tensor& sum, const Tensor& weight, const Tensor& scale);
