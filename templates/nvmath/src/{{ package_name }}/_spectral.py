"""A long convolution as a product of spectra: cuFFT, by nvmath-python.

Both signals are padded to a power of two that holds the whole convolution, so that it does not wrap around. What is
transformed is float32 whatever the dtype of the signals: the transforms of half precision lose too much.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op

from ._plans import accelerated, layout, plans, require

__all__ = ["long_conv"]


def long_conv(x: Tensor, kernel: Tensor) -> Tensor:
    """The causal convolution of each channel with its own kernel: `y[c, t] = sum of kernel[c, s] * x[c, t - s]`.

    It takes as long for a kernel of the length of the signal, as in state space models, as for a short one.

    Args:
        x: `(..., channels, length)`.
        kernel: `(channels, taps)`.

    Returns:
        `(..., channels, length)`.

    Raises:
        RuntimeError: Shapes, dtypes or devices do not match, or a CUDA tensor came without the extra.
    """
    y: Tensor = _long_conv(x, kernel)
    return y


def _size(x: Tensor, kernel: Tensor) -> int:
    """The power of two that holds signal and kernel; at least 2, for half of it is stored."""
    return 1 << max(1, (x.shape[-1] + kernel.shape[-1] - 2).bit_length())


def _rfft(x: Tensor, size: int) -> Tensor:
    """The spectrum of a signal, padded with zeros to `size`."""
    wide = torch.promote_types(x.dtype, torch.float32)
    if not accelerated(x):
        spectrum: Tensor = torch.fft.rfft(x.to(wide), size)
        return spectrum
    padded = x.new_zeros(*x.shape[:-1], size, dtype=wide)
    padded[..., : x.shape[-1]] = x
    return _transform(padded, "R2C")


def _irfft(spectrum: Tensor, size: int) -> Tensor:
    """The signal of a spectrum."""
    if not accelerated(spectrum):
        signal: Tensor = torch.fft.irfft(spectrum, size)
        return signal
    return _transform(spectrum, "C2R") / size  # cuFFT does not scale


def _transform(x: Tensor, kind: str) -> Tensor:
    """An FFT over the last dimension."""
    return plans.find(lambda: _FftPlan(x, kind), kind, layout(x)).run(x)


class _FftPlan:
    def __init__(self, x: Tensor, kind: str) -> None:
        options = {"fft_type": kind, "result_layout": "natural"}
        self._fft: Any = require("nvmath.fft").FFT(x, axes=[x.dim() - 1], options=options)
        self._fft.plan()

    def run(self, x: Tensor) -> Tensor:
        self._fft.reset_operand_unchecked(x)  # the key of the cache is what would be checked
        try:
            # A workspace kept from call to call would be shared by streams, and by CUDA graphs.
            result: Tensor = self._fft.execute(release_workspace=True)
        finally:
            self._fft.release_operand()  # it must not live as long as the plan
        return result

    def free(self) -> None:
        self._fft.free()


# --- The operators, as torch knows them. ------------------------------------------------------------------------------


@custom_op(f"{__package__}::long_conv", mutates_args=())
def _long_conv(x: Tensor, kernel: Tensor) -> Tensor:
    _check(x, kernel)
    if not (x.numel() and kernel.numel()):
        return x.new_zeros(x.shape)
    size = _size(x, kernel)
    y = _irfft(_rfft(x, size) * _rfft(kernel, size), size)
    return x.new_empty(x.shape).copy_(y[..., : x.shape[-1]])


@custom_op(f"{__package__}::long_conv_backward", mutates_args=())
def _long_conv_backward(grad: Tensor, x: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Correlations: of the gradient with the kernel, and with the signal, summed over the batch."""
    if not (x.numel() and kernel.numel()):
        return x.new_zeros(x.shape), kernel.new_zeros(kernel.shape)
    size = _size(x, kernel)
    spectrum = _rfft(grad, size)
    grad_x = _irfft(spectrum * _rfft(kernel, size).conj(), size)[..., : x.shape[-1]]
    products = spectrum * _rfft(x, size).conj()
    products = products.reshape(-1, *products.shape[-2:]).sum(0)
    grad_kernel = _irfft(products, size)[..., : kernel.shape[-1]]
    return x.new_empty(x.shape).copy_(grad_x), kernel.new_empty(kernel.shape).copy_(grad_kernel)


@_long_conv.register_fake
def _(x: Tensor, kernel: Tensor) -> Tensor:
    _check(x, kernel)
    return x.new_empty(x.shape)


@_long_conv_backward.register_fake
def _(grad: Tensor, x: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), kernel.new_empty(kernel.shape)


def _check(x: Tensor, kernel: Tensor) -> None:
    if x.dim() < 2 or kernel.dim() != 2 or kernel.shape[0] != x.shape[-2]:
        found = f"x has shape {tuple(x.shape)}, kernel {tuple(kernel.shape)}"
        raise RuntimeError(f"long_conv: {found}; (..., channels, length) and (channels, taps) are expected")
    if not x.is_floating_point() or (kernel.dtype, kernel.device) != (x.dtype, x.device):
        found = f"x is {x.dtype} on {x.device}, kernel {kernel.dtype} on {kernel.device}"
        raise RuntimeError(f"long_conv: {found}; one floating-point dtype on one device is expected")


def _save(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _grad(ctx: Any, grad: Tensor) -> Any:
    return _long_conv_backward(grad, *ctx.saved_tensors)


_long_conv.register_autograd(_grad, setup_context=_save)
