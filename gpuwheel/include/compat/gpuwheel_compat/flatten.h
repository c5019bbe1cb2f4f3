// Tensors of one type as one vector, and back: torch/csrc/utils/tensor_flatten.h.
#pragma once

#include <gpuwheel_compat/torch.h>

namespace gpuwheel_compat::utils {

inline Tensor flatten_dense_tensors(TensorList tensors) {
  std::vector<Tensor> flat;
  flat.reserve(tensors.size());
  for (const auto& each : tensors) flat.push_back(each.contiguous().view({each.numel()}));
  return at::cat(flat);
}

// Views of `flat`, one for each of `tensors` and of its shape. An empty one is of its own: a view would share storage
// with its neighbours.
inline std::vector<Tensor> unflatten_dense_tensors(const Tensor& flat, TensorList tensors) {
  std::vector<Tensor> views;
  views.reserve(tensors.size());
  int64_t offset = 0;
  for (const auto& each : tensors) {
    const auto count = each.numel();
    views.push_back(count == 0 ? at::empty({0}, flat.options()) : flat.narrow(0, offset, count).view(each.sizes()));
    offset += count;
  }
  return views;
}

}  // namespace gpuwheel_compat::utils
