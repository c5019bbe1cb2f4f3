"""What else of torch would ask NVIDIA's libraries, or torch's cache of memory, and is told by the pretend GPU."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import torch

from gpuwheel.testing.torch_operators.pretend_driver import driver
from gpuwheel.testing.torch_operators.refused_operators import OperatorRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["replace_functions"]

_IN_USE = ("allocated_bytes", "active_bytes", "requested_bytes", "reserved_bytes")


def replace_functions() -> None:
    """Replace them, as torch is imported."""
    cudnn = getattr(torch._C, "_cudnn", None)
    if cudnn is not None and cudnn.getRuntimeVersion()[0] == 0:
        # A stub: the version that torch was made with keeps `torch.backends.cudnn.version()` and those who print it.
        torch.backends.cudnn.version.__globals__["__cudnn_version"] = _as_number(*cudnn.getCompileVersion())
    # TorchScript would have NVRTC compile what it fuses; unfused, the operators run one by one.
    torch._C._jit_override_can_fuse_on_gpu(False)
    torch.UntypedStorage._share_cuda_ = _not_shared
    for function in (_broadcast, _broadcast_coalesced, _broadcast_out):
        setattr(torch._C, function.__name__, function)
    torch.cuda.nccl.is_available = lambda _: False  # DataParallel copies then
    torch._C._cuda_memoryStats = _with_bytes(torch._C._cuda_memoryStats)
    torch._C._cuda_resetPeakMemoryStats = _then(torch._C._cuda_resetPeakMemoryStats, driver().forget_peak)


def _as_number(major: int, minor: int, patch: int) -> int:
    """As cudnn_version.h has it, from 9 on."""
    return major * 10_000 + minor * 100 + patch


def _not_shared(storage: Any, *_: Any, **__: Any) -> Any:
    """What sends a tensor to another process, "cuda" and all.

    Raises:
        OperatorRefusedError: always.
    """
    msg = f"memory of the device cannot be shared with another process on the pretend GPU ({storage.nbytes()} bytes)"
    raise OperatorRefusedError(msg, "send tensor.cpu(), and .cuda() what arrives")


def _with_bytes(stats: Callable[[int], Any]) -> Callable[[int], Any]:
    """Without its cache torch's own are 0: those of the pretend driver, in steps of 512 bytes as torch counts."""

    @wraps(stats)
    def told(device: int) -> Any:
        found = stats(device)
        now, most = driver().memory_in_use(device)
        for kind in _IN_USE:
            found.setdefault(kind, {}).setdefault("all", {}).update(current=now, peak=most)
        return found

    return told


def _then(function: Callable[[int], Any], after: Callable[[int], None]) -> Callable[[int], Any]:
    @wraps(function)
    def both(device: int) -> Any:
        result = function(device)
        after(device)
        return result

    return both


def _broadcast(tensor: Any, devices: Any) -> tuple[Any, ...]:
    return tuple(tensor.to(torch.device("cuda", device) if isinstance(device, int) else device) for device in devices)


def _broadcast_coalesced(tensors: Any, devices: Any, *_: Any) -> list[list[Any]]:
    return [list(each) for each in zip(*(_broadcast(tensor, devices) for tensor in tensors), strict=True)]


def _broadcast_out(tensor: Any, outs: Any) -> tuple[Any, ...]:
    return tuple(out.copy_(tensor) for out in outs)
