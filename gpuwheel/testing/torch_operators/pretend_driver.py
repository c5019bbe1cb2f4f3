"""What torch's operators ask of the pretend driver: whether a stream is captured, what its graph runs when launched."""

from __future__ import annotations

import ctypes
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

import torch

from gpuwheel.testing.torch_operators.layouts import parts_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PretendDriver", "driver"]

_MOST_PIECES = 4096
_Run = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class PretendDriver:
    """libcuda.so.1 of this process, which is the pretend one."""

    def __init__(self) -> None:
        library = ctypes.CDLL("libcuda.so.1")
        self._capturing = library.gpuwheel_fake_capturing
        self._capturing.argtypes = [ctypes.c_void_p]
        self._enqueue = library.gpuwheel_fake_enqueue
        self._enqueue.argtypes = [ctypes.c_void_p, _Run, ctypes.c_void_p, _Run]
        self._enqueue.restype = None
        self._has_streams = library.gpuwheel_fake_has_streams
        self._device_of = library.gpuwheel_fake_device_of
        self._device_of.argtypes = [ctypes.c_void_p]
        self._touched = library.gpuwheel_fake_touched
        self._touched.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        self._touched.restype = None
        self._memory_in_use = library.gpuwheel_fake_memory_in_use
        self._memory_in_use.argtypes = [ctypes.c_int, ctypes.POINTER(ctypes.c_uint64), ctypes.c_int]
        self._memory_in_use.restype = ctypes.c_uint64
        self._numbers = count(1)
        self._nodes: dict[int, Callable[[], None]] = {}
        self._run, self._release = _Run(self._run_node), _Run(self._release_node)
        self._failure: BaseException | None = None

    def is_capturing(self, device: torch.device) -> bool:
        """Whether the current stream of a device is being captured."""
        return bool(self._capturing(None) and self._capturing(_current_stream(device)))

    def add_node(self, device: torch.device, run: Callable[[], None]) -> None:
        """Have `run` called at each launch of the graph that the current stream is captured into."""
        number = next(self._numbers)
        self._nodes[number] = run
        self._enqueue(_current_stream(device), self._run, number, self._release)

    def memory_in_use(self, device: int) -> tuple[int, int]:
        """Bytes of a device that are in use, and the most that were at once."""
        most = ctypes.c_uint64()
        return int(self._memory_in_use(device, most, 0)), most.value

    def forget_peak(self, device: int) -> None:
        """Let the most begin anew."""
        self._memory_in_use(device, ctypes.c_uint64(), 1)

    def _run_node(self, number: int) -> None:
        try:
            self._nodes[number]()
        except BaseException as error:  # noqa: BLE001 - raised by the next call: it must not pass through C
            self._failure = error

    def _release_node(self, number: int) -> None:
        self._nodes.pop(number, None)

    def raise_failure(self) -> None:
        """Raise what a node raised in a launch before."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def written(self, tensors: list[Any]) -> None:
        """Say that these tensors of the device hold values now, from an operation of its current stream."""
        self._touch(tensors, write=1)

    def read(self, tensors: list[Any]) -> None:
        """Say that an operation of the current stream reads them, which counts where there are several streams."""
        if self._has_streams():
            self._touch(tensors, write=0)

    def _touch(self, tensors: list[Any], write: int) -> None:
        for tensor in tensors:
            for part in parts_of(tensor):
                for start, size in _runs(part):
                    device = self._device_of(start)
                    if device >= 0:
                        self._touched(_stream_of(device), start, size, write)


def _stream_of(device: int) -> int:
    return int(torch._C._cuda_getCurrentRawStream(device))


def _current_stream(device: torch.device) -> int:
    return _stream_of(device.index)


def _runs(tensor: Any) -> list[tuple[int, int]]:
    """The memory of a tensor as pieces without holes, (address, bytes); as one, holes included, if they are many."""
    if tensor.numel() == 0:
        return []
    dense: int = tensor.element_size()
    outer: list[tuple[int, int]] = []
    for stride, size in sorted((stride, size) for stride, size in zip(tensor.stride(), tensor.size(), strict=True)):
        step = stride * tensor.element_size()
        if not outer and step <= dense:
            dense = max(dense, step * (size - 1) + dense)
        elif size > 1:
            outer.append((step, size))
    starts = [tensor.data_ptr()]
    for step, size in outer:
        if len(starts) * size > _MOST_PIECES:
            whole = sum(step * (size - 1) for step, size in outer) + dense
            return [(tensor.data_ptr(), whole)]
        starts = [start + step * i for start in starts for i in range(size)]
    return [(start, dense) for start in starts]


@cache
def driver() -> PretendDriver:
    """That of this process."""
    return PretendDriver()
