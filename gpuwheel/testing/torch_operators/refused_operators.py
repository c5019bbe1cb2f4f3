"""What the pretend GPU cannot run of torch's own operators: one error that names the operator and the dtypes."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import torch

from gpuwheel.errors import GpuwheelError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OperatorRefusedError", "Refused", "refused_dtype", "refused_on_gpus", "refused_on_the_device", "tensors_in"]

_UNKNOWN_DTYPE = ("not implemented for", "support tensors of type", "nsupported dtype")


class OperatorRefusedError(GpuwheelError, NotImplementedError):
    """An operator of torch that has no kernel for the CPU, or none for this dtype: the pretend GPU cannot run it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint=hint)

    def __str__(self) -> str:
        """With the hint: who reads it, reads a traceback."""
        return f"{self.message}\nhint: {self.hint}"


def tensors_in(value: object) -> list[Any]:
    """The tensors among arguments, those in lists too."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        return [found for inner in value.values() for found in tensors_in(inner)]
    if isinstance(value, list | tuple):
        return [found for inner in value for found in tensors_in(inner)]
    return []


class Refused:
    """In the place of an operator without a kernel for the CPU."""

    def __init__(self, name: str, reason: str = "torch has no CPU kernel of it") -> None:
        self._name = name
        self._reason = reason

    def __call__(self, *arguments: object, **named: object) -> object:
        """Raise.

        Raises:
            OperatorRefusedError: always.
        """
        dtypes = _dtypes(tensors_in([arguments, named]))
        msg = f"aten::{self._name} cannot run on the pretend GPU (of {dtypes}): {self._reason}"
        raise OperatorRefusedError(msg, _hint(self._name))


def refused_on_the_device(compile_graph: Callable[..., Any], backend: str, reason: str) -> Callable[..., Any]:
    """A backend of torch.compile, which refuses graphs with tensors on the device."""

    @wraps(compile_graph)
    def refuse(model: Any, inputs: Any, *arguments: Any, **named: Any) -> Any:
        if all(tensor.device.type != "cuda" for tensor in tensors_in(list(inputs))):
            return compile_graph(model, inputs, *arguments, **named)
        msg = f"torch.compile's backend {backend} cannot run on the pretend GPU: {reason}"
        raise OperatorRefusedError(
            msg, 'torch.compile(..., backend="aot_eager") traces and differentiates in the same way'
        )

    return refuse


def refused_dtype(name: str, tensors: list[Any], error: BaseException) -> OperatorRefusedError | None:
    """The error to raise if `error` is that of a CPU kernel which does not know a dtype."""
    if not any(words in str(error) for words in _UNKNOWN_DTYPE):
        return None
    msg = f"aten::{name} cannot run on the pretend GPU (of {_dtypes(tensors)}): torch's CPU kernel refuses it: {error}"
    return OperatorRefusedError(msg, "use another dtype in this test, or mark it as one that needs a GPU")


def refused_on_gpus(name: str, kernel: str, tensor: Any) -> OperatorRefusedError:
    """The error of an operator whose kernel for CUDA does not know the dtype of a tensor that the CPU's knows."""
    msg = f"aten::{name} runs on no GPU (of {tensor.dtype}): \"{kernel}\" not implemented for '{_word(tensor.dtype)}'"
    return OperatorRefusedError(
        msg, "use another dtype, or call it on the CPU: on hardware, this test would fail so too"
    )


def _word(dtype: torch.dtype) -> str:
    """As torch's errors call it: "Int", "Byte"."""
    words = {"uint8": "Byte", "int8": "Char", "int16": "Short", "int32": "Int", "int64": "Long"}
    words |= {"float16": "Half", "bfloat16": "BFloat16", "bool": "Bool"}
    name = str(dtype).removeprefix("torch.")
    return words.get(name, name)


def _dtypes(tensors: list[Any]) -> str:
    return ", ".join(sorted({str(tensor.dtype) for tensor in tensors})) or "no tensors"


def _hint(name: str) -> str:
    if "attention" in name:
        return "torch.nn.attention.sdpa_kernel(SDPBackend.MATH) is the form of attention that runs on a CPU"
    if "cudnn" in name:
        return "leave torch.backends.cudnn.enabled False, as the pretend GPU sets it: torch's own operator then runs"
    return "mark this test as one that needs a GPU"
