"""What trials do: make buffers, launch, and say what must come out; and what a host does wrong, on request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuwheel.testing.ptx.executor import Configuration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gpuwheel.testing.ptx.executor import Executor, LaunchResult, LoadedModule

__all__ = ["Bench", "Buffer", "Outcome"]

STEPS = 40_000_000  # instructions of warps in a launch: a mutant may loop for ever


@dataclass
class Buffer:
    """Global memory: an array, and what of it the kernel may touch."""

    array: Any
    end: int
    there: bool = True

    @property
    def start(self) -> int:
        """The address."""
        return int(self.array.ctypes.data)


@dataclass
class _Pending:
    kernel: str
    grid: Sequence[int]
    block: Sequence[int]
    arguments: Sequence[object]
    shared_bytes: int
    cooperative: bool


@dataclass
class Outcome:
    """Of a trial: what was reported, and whether the values were right."""

    launches: int
    kinds: tuple[str, ...]
    codes: tuple[int, ...]
    right: bool
    made: bool
    """Whether the host's mistake was one here."""


@dataclass
class Bench:
    """Launches of one module; `mistake` is one of `drawing.HOST_MISTAKES` and its place."""

    executor: Executor
    module: LoadedModule
    mistake: tuple[str, int] | None = None
    buffers: list[Buffer] = field(default_factory=list)
    results: list[LaunchResult] = field(default_factory=list)
    _pending: list[_Pending] = field(default_factory=list)
    _expected: list[Callable[[], bool]] = field(default_factory=list)
    _outputs: set[int] = field(default_factory=set)
    _made: bool = False

    def _is(self, name: str, place: int) -> bool:
        return self.mistake == (name, place)

    def fresh(self, shape: int | tuple[int, ...], kind: str = "f4") -> Any:  # noqa: ANN401 - an array
        """Memory that nothing wrote."""
        array = self._buffer(self.executor.fresh(shape, kind))
        self._outputs.add(id(array))
        return array

    def zeros(self, shape: int | tuple[int, ...], kind: str = "f4") -> Any:  # noqa: ANN401
        """Memory that the host sets to zero."""
        array = self.executor.fresh(shape, kind)
        if self._is("no_reset_before", len(self.buffers)):
            self._made = True
        else:
            array[...] = 0
            self.executor.written(array)
        self._outputs.add(id(array))
        return self._buffer(array)

    def given(self, values: Any) -> Any:  # noqa: ANN401
        """Memory that holds these values."""
        values = np.asarray(values)
        array = self.executor.fresh(values.shape, values.dtype.str)
        array[...] = values
        self.executor.written(array)
        return self._buffer(array)

    def _buffer(self, array: Any) -> Any:  # noqa: ANN401
        place = len(self.buffers)
        buffer = Buffer(array, int(array.ctypes.data) + array.nbytes)
        if self._is("short_buffer", place):
            buffer.end -= array.itemsize
        elif self._is("moved_buffer", place):  # its memory was given to something that is half as large
            buffer.end -= array.size // 2 * array.itemsize
        elif self._is("freed_buffer", place):
            buffer.there = False
        self._made |= not buffer.there or buffer.end < buffer.start + array.nbytes
        self.buffers.append(buffer)
        return array

    def launch(
        self,
        kernel: str,
        grid: Sequence[int],
        block: Sequence[int],
        arguments: Sequence[object],
        *,
        shared_bytes: int = 0,
        cooperative: bool = False,
    ) -> None:
        """Ask for a launch of the kernel whose symbol has this in it; done by `finish`, in order."""
        if self._is("less_shared", len(self._pending)) and shared_bytes > 0:
            shared_bytes, self._made = shared_bytes // 2, True
        self._pending.append(_Pending(kernel, grid, block, arguments, shared_bytes, cooperative))

    def expect(self, array: Any, reference: Any, tolerance: float = 1e-5) -> None:  # noqa: ANN401
        """Say what an array holds at the end."""
        reference = np.asarray(reference)

        def holds() -> bool:
            scale = max(1.0, float(np.abs(np.nan_to_num(reference)).max(initial=0.0)))
            return bool(np.allclose(array, reference, rtol=tolerance, atol=tolerance * scale, equal_nan=True))

        self._expected.append(holds)

    def finish(self) -> Outcome:
        """Launch everything, and compare."""
        for number in range(1, len(self._pending)):
            if self._is("no_wait_for_stream", number):
                first, second = self._pending[number - 1 : number + 1]
                used = [{id(each) for each in one.arguments if hasattr(each, "ctypes")} for one in (first, second)]
                self._made = bool(used[0] & used[1] & self._outputs)  # else there is nothing to wait for
                self._pending[number - 1 : number + 1] = [second, first]
        ranges = [(buffer.start, buffer.end) for buffer in self.buffers if buffer.there]
        for each in self._pending:
            (symbol,) = [name for name in self.module.module.spans if each.kernel in name]
            arguments = [int(one.ctypes.data) if hasattr(one, "ctypes") else one for one in each.arguments]
            self.results.append(
                self.executor.launch(
                    self.module,
                    symbol,
                    Configuration(
                        each.grid, each.block, each.shared_bytes, cooperative=each.cooperative, step_limit=STEPS
                    ),
                    arguments,
                    ranges=ranges,
                )
            )
        kinds = tuple(sorted({raw.kind_name for result in self.results for raw in result.reports}))
        codes = tuple(result.code for result in self.results)
        right = not any(codes) and all(holds() for holds in self._expected)
        return Outcome(len(self._pending), kinds, codes, right, self._made)
