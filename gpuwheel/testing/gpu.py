"""The pretend GPU as a test sees it: launches, forced errors, kernels that run in Python."""

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpuwheel.binary.mangled import function_name
from gpuwheel.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpuwheel.testing.ptx.reports import Mistake

__all__ = ["FakeGpu", "Launch"]

_MARK = "gpuwheel_fake_clear"


class _Submission(ctypes.Structure):
    """`Submission` of native/fake.h."""

    _fields_ = [  # type: ignore[mutable-override]  # ctypes reads a list
        ("kernel", ctypes.c_char_p),
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("cluster", ctypes.c_uint * 3),
        ("shared_bytes", ctypes.c_uint),
        ("cooperative", ctypes.c_int),
        ("programmatic", ctypes.c_int),
        ("device", ctypes.c_int),
        ("through_runtime", ctypes.c_int),
        ("stream", ctypes.c_void_p),
        ("parameter_count", ctypes.c_int),
        ("parameter_sizes", ctypes.POINTER(ctypes.c_uint32)),
        ("parameters", ctypes.POINTER(ctypes.c_ubyte)),
        ("code", ctypes.c_void_p),
        ("number", ctypes.c_long),
    ]


_Implementation = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Submission))


@dataclass(frozen=True)
class Launch:
    """One kernel launch, as the driver was asked for it."""

    symbol: str
    """The kernel's name in the image (mangled)."""
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    cluster: tuple[int, int, int]
    """Zeros: none asked for."""
    shared_bytes: int
    """Dynamic shared memory."""
    cooperative: bool
    programmatic: bool
    device: int
    through_runtime: bool
    """A kernel of torch itself, launched through the CUDA runtime: recorded, never run."""
    stream: int
    """The handle, as `torch.cuda.Stream.cuda_stream`; 0 is the default stream."""
    parameters: tuple[bytes, ...] | None
    """The value of each parameter. None: the image does not tell their sizes (PTX only, or a kernel of torch)."""

    @property
    def name(self) -> str:
        """The kernel's C++ name with its template arguments, e.g. `fused::add_rms_norm<float, 4>`."""
        return function_name(self.symbol)

    def arguments(self, formats: str) -> tuple[Any, ...]:
        """The parameters as Python values, one `struct` letter each: P pointer, q int64, i int32, f float, d double.

        Raises:
            ValueError: another number of parameters, or a parameter of another size.
        """
        if self.parameters is None or len(formats) != len(self.parameters):
            known = "an unknown number of" if self.parameters is None else len(self.parameters)
            msg = f"{self.name} has {known} parameters, not {len(formats)}"
            raise ValueError(msg)
        values: list[Any] = []
        for index, (letter, value) in enumerate(zip(formats, self.parameters, strict=True)):
            if struct.calcsize(letter) != len(value):
                wanted = f"{struct.calcsize(letter)} ({letter!r})"
                msg = f"parameter {index} of {self.name} has {len(value)} bytes, not {wanted}"
                raise ValueError(msg)
            values.extend(struct.unpack(letter, value))
        return tuple(values)


class FakeGpu:
    """Control over the pretend GPU of this process.

    Raises:
        ToolchainError: this process has a real driver, or none.
    """

    def __init__(self) -> None:
        try:
            library = ctypes.CDLL("libcuda.so.1")
        except OSError as error:
            raise _not_there() from error
        # A real driver answers to the same SONAME; only the fake has this function.
        if not hasattr(library, _MARK):
            raise _not_there()
        library.gpuwheel_fake_launch.restype = ctypes.POINTER(_Submission)
        library.gpuwheel_fake_launch.argtypes = [ctypes.c_long]
        library.gpuwheel_fake_launch_count.restype = ctypes.c_long
        library.gpuwheel_fake_calls.restype = ctypes.c_long
        library.gpuwheel_fake_written.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        library.gpuwheel_fake_reports.restype = ctypes.c_char_p
        library.gpuwheel_fake_device_of.argtypes = [ctypes.c_void_p]
        self._library = library
        self._kept_alive: list[object] = []
        self._failures: list[BaseException] = []

    @property
    def devices(self) -> int:
        """How many devices there are."""
        return int(self._library.gpuwheel_fake_devices())

    @property
    def executes(self) -> bool:
        """Whether launches run their kernels, or are recorded alone."""
        return bool(self._library.gpuwheel_fake_executing())

    def execute(self, on: bool = True) -> None:  # noqa: FBT001, FBT002 - a switch
        """Run kernels from now on, or only record their launches."""
        self._library.gpuwheel_fake_execute(int(on))

    def launches(self, part_of_name: str = "") -> list[Launch]:
        """The launches since `clear`, in their order; those whose name contains `part_of_name`."""
        found = [
            _convert(self._library.gpuwheel_fake_launch(index).contents)
            for index in range(self._library.gpuwheel_fake_launch_count())
        ]
        return [launch for launch in found if part_of_name in launch.name]

    def clear(self) -> None:
        """Forget launches, counts of calls, errors to come and implementations.

        What an implementation raised since the last `clear` is raised here: a callback from C has no other way.
        """
        self._library.gpuwheel_fake_clear()
        self._kept_alive.clear()
        failures, self._failures = self._failures, []
        if failures:
            raise failures[0]

    def calls(self, function: str) -> int:
        """How often a function of the driver or the runtime was called since `clear`, e.g. `cuLibraryLoadData`."""
        return int(self._library.gpuwheel_fake_calls(function.encode()))

    def fail_next(self, code: int, function: str = "cuLaunchKernelEx", *, times: int = 1) -> None:
        """Let the next calls of a function return an error: 201 (no context), 209 (no binary), 2 (out of memory)."""
        self._library.gpuwheel_fake_fail(function.encode(), code, times)

    def implement(self, part_of_name: str, run: Callable[[Launch], None]) -> None:
        """Run `run` at each launch of the kernels whose symbol contains `part_of_name`; the newest one wins.

        Device memory is host memory, so `run` may read and write what the parameters point to.
        """

        def call(launch: Any) -> None:  # noqa: ANN401 - ctypes has no generic pointer type at run time
            try:
                run(_convert(launch.contents))
            except BaseException as error:  # noqa: BLE001 - raised by clear(): it must not pass through C
                self._failures.append(error)

        callback = _Implementation(call)
        # ctypes does not hold its callbacks: a collected one would be called all the same, and end the process.
        self._kept_alive.append(callback)
        self._library.gpuwheel_fake_implement(part_of_name.encode(), callback)

    def reports(self) -> list[Mistake]:
        """What kernels and calls did wrong since the last call, one for each mistake. They fail the test no more."""
        from gpuwheel.testing.said_mistakes import facts_in, mistakes_of  # noqa: PLC0415 - only what executes needs it

        return mistakes_of(facts_in(self._library.gpuwheel_fake_reports().decode(errors="replace")))

    def device_of(self, pointer: int) -> int | None:
        """The device whose memory an address lies in, if any."""
        device = int(self._library.gpuwheel_fake_device_of(pointer))
        return None if device < 0 else device

    def memory(self, pointer: int, size: int) -> memoryview:
        """`size` bytes of device memory, writable.

        Raises:
            ValueError: the address is not device memory.
        """
        if self.device_of(pointer) is None:
            msg = f"{pointer:#x} is not device memory"
            raise ValueError(msg)
        self._library.gpuwheel_fake_written(pointer, size)
        # from_address copies nothing: what a test writes, the next kernel reads.
        return memoryview((ctypes.c_ubyte * size).from_address(pointer)).cast("B")


def _not_there() -> ToolchainError:
    return ToolchainError(
        "this process sees no pretend GPU",
        hint="pytest --fake-gpu, or python -m gpuwheel.testing run -- COMMAND",
    )


def _convert(raw: _Submission) -> Launch:
    parameters: tuple[bytes, ...] | None = None
    if raw.parameter_count >= 0:
        values, at = [], 0
        for index in range(raw.parameter_count):
            size = raw.parameter_sizes[index]
            values.append(bytes(raw.parameters[at : at + size]))
            at += size
        parameters = tuple(values)
    return Launch(
        symbol=raw.kernel.decode(),
        grid=tuple(raw.grid),
        block=tuple(raw.block),
        cluster=tuple(raw.cluster),
        shared_bytes=raw.shared_bytes,
        cooperative=bool(raw.cooperative),
        programmatic=bool(raw.programmatic),
        device=raw.device,
        through_runtime=bool(raw.through_runtime),
        stream=raw.stream or 0,
        parameters=parameters,
    )
