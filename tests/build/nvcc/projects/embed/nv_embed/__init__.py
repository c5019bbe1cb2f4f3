"""One operator."""

import importlib.util

import torch  # noqa: TID251 (a package of operators does)

torch.ops.load_library(importlib.util.find_spec("nv_embed._C").origin)
scale = torch.ops.nv_embed.scale
