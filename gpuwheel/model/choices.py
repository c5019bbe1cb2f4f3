"""How a wheel is compiled, and what it asks of torch and Python.

The text under a value of an enum is its documentation: the reference of the configuration is made from it.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["Mode", "PythonAbi", "TorchAbi"]


class Mode(Enum):
    """How an extension is compiled."""

    EMBED = "embed"
    """Device code by NVRTC into one fatbin inside the library; host code by the C++ compiler, on torch's stable ABI."""
    KERNELS = "kernels"
    """Device code by NVRTC or cuTile, as files of a package; no host code: launchers in Python are generated beside
    them. One wheel for every Python, on Linux and Windows."""
    NVCC = "nvcc"
    """Existing CUDA sources, `.cu` with `<<<>>>` and `.cpp`, by nvcc and the C++ compiler. Needs a driver of the
    toolkit's major."""
    PYTHON = "python"
    """Of a wheel without extensions: nothing is compiled, and no toolkit, architecture or driver matters."""


class TorchAbi(Enum):
    """What an extension asks of torch."""

    STABLE = "stable"
    """The stable C ABI (torch/csrc/stable, torch/headeronly): one file for every torch from the floor on."""
    COMPAT = "compat"
    """The stable C ABI, for sources that include torch/extension.h and define a module with pybind11, as they are:
    headers of gpuwheel stand in for torch's. One file for every torch from 2.10 on and every Python."""
    EXACT = "exact"
    """The C++ ABI (`at::Tensor`, torch/extension.h): one file per torch minor, `torch = "==2.13.*"`."""
    NONE = "none"
    """Nothing: the extension does not use torch."""


class PythonAbi(Enum):
    """What an extension asks of Python."""

    NONE = "none"
    """Nothing: torch loads the library (`torch.ops.load_library`), or ctypes does. One file for every Python."""
    ABI3 = "abi3"
    """A module in the limited API: one file for the oldest Python of `requires-python` and every newer one."""
    VERSION = "version"
    """A module in the full API, as pybind11 makes it: one file per Python."""
