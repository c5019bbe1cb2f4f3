"""Fused operators for PyTorch, forward and backward, on CPU and CUDA.

All work on the last dimension, take float32, float16 and bfloat16 (float64 on the CPU too), any shape and any strides,
and add up in float32 (float64 in float64). All can be differentiated once and compiled with `torch.compile`.
"""

from gpuwheel_sample._activations import bias_gelu, bias_squared_relu, squared_relu, swiglu
from gpuwheel_sample._linear_gelu import gelu_mlp, linear_gelu
from gpuwheel_sample._loss import cross_entropy
from gpuwheel_sample._normalization import add_rms_norm
from gpuwheel_sample._rotary import rotary_embedding

__all__ = [
    "add_rms_norm",
    "bias_gelu",
    "bias_squared_relu",
    "cross_entropy",
    "gelu_mlp",
    "linear_gelu",
    "rotary_embedding",
    "squared_relu",
    "swiglu",
]
__version__ = "0.1.0"
