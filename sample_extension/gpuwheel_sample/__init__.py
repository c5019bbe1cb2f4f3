"""Fused operators for PyTorch, forward and backward, on CPU and CUDA.

All work on the last dimension, take float32, float16 and bfloat16 (float64 on the CPU too), any shape and any strides,
and add up in float32 (float64 in float64). All can be differentiated once and compiled with `torch.compile`.
"""

from gpuwheel_sample._normalization import add_rms_norm

__all__ = ["add_rms_norm"]
__version__ = "0.1.0"
