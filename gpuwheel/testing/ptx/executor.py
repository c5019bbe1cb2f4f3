"""Kernels on the CPU, without torch and without a driver: PTX is loaded, and launched on NumPy arrays or addresses."""

from __future__ import annotations

import ctypes
import os
import struct
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpuwheel._cache import Cache
from gpuwheel.testing.ptx import reading
from gpuwheel.testing.ptx.compiled import Interpreter
from gpuwheel.testing.ptx.native_types import Launch, Range, RawReport
from gpuwheel.testing.ptx.program import Program, make_program
from gpuwheel.testing.ptx.reports import Mistake, merged, mistake_of
from gpuwheel.testing.ptx.shadows import Shadows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gpuwheel.testing.ptx.syntax import Module

__all__ = ["Configuration", "Executor", "LaunchResult", "LoadedModule"]

_ROOM_FOR_REPORTS = 256
_CHECKS = {"basic": 1, "shared": 2, "global": 4, "uninitialised": 8}
_SHADOWED = _CHECKS["global"] | _CHECKS["uninitialised"]


@dataclass
class LoadedModule:
    """A PTX text with the memory of its variables, and the programs that were made of its entries."""

    module: Module
    programs: dict[str, tuple[Program, int]] = field(default_factory=dict)
    """With the address of each in the interpreter."""
    variables: dict[str, ctypes.Array[ctypes.c_ubyte]] = field(default_factory=dict)

    def address(self, name: str) -> int:
        """Where a variable of the module is."""
        return ctypes.addressof(self.variables[name])


@dataclass(frozen=True)
class Configuration:
    """How a kernel is launched; dimensions that are missing are 1."""

    grid: Sequence[int]
    """Blocks in x, y, z."""
    block: Sequence[int]
    """Threads of a block."""
    shared_bytes: int = 0
    """Dynamic shared memory."""
    cluster: Sequence[int] = (0, 0, 0)
    """Blocks of a cluster; zeros: none."""
    cooperative: bool = False
    """All blocks live at once, so that they may wait for each other."""
    step_limit: int = 0
    """Instructions of warps after which the launch ends; 0: none."""


@dataclass(frozen=True)
class LaunchResult:
    """What came of a launch."""

    code: int
    """A `CUresult`: 0, 710 assertion, 719 failed, 801 an instruction that has no meaning here."""
    reports: tuple[RawReport, ...]
    steps: int
    """Instructions of warps."""
    program: Program
    module: Module
    block: tuple[int, ...]

    @property
    def mistakes(self) -> list[Mistake]:
        """The reports, as people read them."""
        return merged(mistake_of(raw, self.program, self.module, self.block) for raw in self.reports)


class Executor:
    """The interpreter, ready for modules.

    Raises:
        ToolchainError: no C compiler.
        CompileError: the C compiler fails.
        CacheError: the cache cannot be written.
    """

    def __init__(self, checks: Sequence[str] = tuple(_CHECKS), interpreter: Interpreter | None = None) -> None:
        environ = dict(os.environ)
        self._interpreter = interpreter or Interpreter(Cache.from_environment(environ), environ)
        self._checks = sum(_CHECKS[name] for name in checks)
        machine = self._interpreter.machine
        self._shadows = Shadows(machine)
        # What is atomic for a kernel is so among its own threads alone, and shadows are one launch's at a time.
        self._one_at_a_time = threading.Lock()
        self._open = machine.gpuwheel_ptx_open
        self._open.restype = ctypes.c_void_p
        self._open.argtypes = [ctypes.c_char_p, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64]
        self._launch = machine.gpuwheel_ptx_launch
        self._launch.restype = ctypes.c_uint32
        self._launch.argtypes = [ctypes.POINTER(Launch)]

    def load(self, text: str) -> LoadedModule:
        """A module of this PTX; its variables hold what they begin with.

        Raises:
            PtxError: no PTX, or a damaged one.
        """
        return LoadedModule(reading.read_module(text))

    def prepare(self, loaded: LoadedModule, kernels: Sequence[str]) -> None:
        """Compile what these entries need together, which takes a part of the time that one after the other takes.

        Raises:
            PtxError: no such entry, or its text is damaged.
        """
        forms = {form.symbol: form for kernel in kernels for form in make_program(loaded.module, kernel).forms}
        self._interpreter.addresses(forms.values())

    def program(self, loaded: LoadedModule, kernel: str) -> tuple[Program, int]:
        """The program of an entry, and its address in the interpreter; made once.

        Raises:
            PtxError: no such entry, or its text is damaged.
        """
        if kernel not in loaded.programs:
            program = make_program(loaded.module, kernel)
            addresses = self._interpreter.addresses(program.forms)
            handlers = (ctypes.c_void_p * max(1, len(addresses)))(*addresses)
            opened = self._open(program.block, len(program.block), handlers, len(addresses))
            if not opened:
                msg = f"the program of {kernel} is not whole"
                raise AssertionError(msg)
            loaded.programs[kernel] = (program, opened)
            self._place_variables(loaded, program)
        return loaded.programs[kernel]

    def launch(
        self,
        loaded: LoadedModule,
        kernel: str,
        configuration: Configuration,
        arguments: Sequence[object],
        *,
        ranges: Sequence[tuple[int, int]] = (),
    ) -> LaunchResult:
        """Run a kernel.

        Args:
            loaded: the module.
            kernel: the entry's name.
            configuration: its grid, its blocks, and what else a launch says.
            arguments: arrays (their address is passed, and their memory may be touched), integers, floats, or bytes.
            ranges: further memory that may be touched, as start and end.

        Raises:
            PtxError: no such entry, or its text is damaged.
            ValueError: another number of arguments than the kernel has, or one that does not fit.
        """
        program, opened = self.program(loaded, kernel)
        parameters, touched = _packed(program, arguments)
        own = [(ctypes.addressof(room), ctypes.addressof(room) + len(room)) for room in loaded.variables.values()]
        spaces = _apart({*touched, *ranges, *own})
        reports = (RawReport * _ROOM_FOR_REPORTS)()
        variables = [loaded.address(name) for name in program.variables]
        launch = Launch(
            program=opened,
            grid=_three(configuration.grid),
            block=_three(configuration.block),
            cluster=_three(configuration.cluster, 0),
            dynamic_shared=configuration.shared_bytes,
            cooperative=int(configuration.cooperative),
            parameters=ctypes.addressof(parameters),
            ranges=(Range * max(1, len(spaces)))(),
            variables=(ctypes.c_uint64 * max(1, len(variables)))(*variables),
            reports=reports,
            step_limit=configuration.step_limit,
            range_count=len(spaces),
            report_room=_ROOM_FOR_REPORTS,
            checks=self._checks,
        )
        with self._one_at_a_time, self._shadows.of(spaces, there=bool(self._checks & _SHADOWED)) as shadows:
            for index, ((start, end), shadow) in enumerate(zip(spaces, shadows, strict=True)):
                launch.ranges[index] = Range(start, end, shadow)
            code = self._launch(ctypes.byref(launch))
        raw = tuple(reports[: launch.report_count])
        return LaunchResult(code, raw, launch.steps, program, loaded.module, tuple(_three(configuration.block)))

    def fresh(self, shape: int | tuple[int, ...], kind: str = "f4") -> Any:  # noqa: ANN401 - an array of NumPy
        """An array that nothing has written: reads of it are reported until a kernel or `written` says otherwise."""
        with self._one_at_a_time:
            return self._shadows.fresh(shape, kind)

    def written(self, array: Any) -> None:  # noqa: ANN401
        """Say that the host wrote a fresh array."""
        with self._one_at_a_time:
            self._shadows.written(array)

    def _place_variables(self, loaded: LoadedModule, program: Program) -> None:
        of_functions = {
            name: variable
            for function in loaded.module.functions.values()
            for name, variable in function.variables.items()
        }
        known = {**of_functions, **loaded.module.variables}
        new = [name for name in program.variables if name not in loaded.variables]
        while new:
            name = new.pop()
            variable = known[name]
            room = (ctypes.c_ubyte * max(1, variable.size))()
            loaded.variables[name] = room
            if variable.initial is not None:
                ctypes.memmove(room, variable.initial, len(variable.initial))
            for _, symbol in variable.pointers:
                if symbol.name not in loaded.variables and symbol.name in known:
                    new.append(symbol.name)
        for name, room in loaded.variables.items():
            for at, symbol in known[name].pointers:
                if symbol.name in loaded.variables:
                    struct.pack_into("<Q", room, at, loaded.address(symbol.name) + symbol.offset)


def _three(values: Sequence[int], missing: int = 1) -> ctypes.Array[ctypes.c_uint32]:
    padded = [*values, missing, missing, missing][:3]
    return (ctypes.c_uint32 * 3)(*padded)


def _apart(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted, without empty ones, and those that overlap as one: views of one array."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(each for each in ranges if each[0] < each[1]):
        if found and start < found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def _packed(
    program: Program, arguments: Sequence[object]
) -> tuple[ctypes.Array[ctypes.c_ubyte], list[tuple[int, int]]]:
    if len(arguments) != len(program.parameters):
        msg = f"{program.kernel} has {len(program.parameters)} parameters, not {len(arguments)}"
        raise ValueError(msg)
    room = (ctypes.c_ubyte * max(16, program.parameter_bytes))()
    touched = []
    for argument, parameter, at in zip(arguments, program.parameters, program.offsets, strict=True):
        data = _bytes_of(argument, parameter.size)
        if len(data) != parameter.size:
            msg = f"{parameter.name} of {program.kernel} has {parameter.size} bytes, not {len(data)}"
            raise ValueError(msg)
        ctypes.memmove(ctypes.addressof(room) + at, data, len(data))
        if memory := _memory(argument):
            touched.append(memory)
    return room, touched


def _memory(argument: object) -> tuple[int, int] | None:
    """Where a NumPy array, or what has its interface, begins and ends in memory; None: it is no array."""
    interface = getattr(argument, "__array_interface__", None)
    if interface is None or not interface["shape"]:  # a scalar is passed by its value
        return None
    start, is_read_only = interface["data"]
    if is_read_only or interface["strides"] is not None:
        what = "is read-only" if is_read_only else "is not contiguous: a kernel would touch what lies between"
        msg = f"an array of {interface['shape']} {what}; pass a copy of it"
        raise ValueError(msg)
    return start, start + argument.nbytes  # type: ignore[attr-defined]


def _bytes_of(argument: object, size: int) -> bytes:
    memory = _memory(argument)
    match argument:
        case _ if memory is not None:
            return struct.pack("<Q", memory[0])
        case _ if hasattr(argument, "__array_interface__"):
            return bytes(argument.tobytes())  # type: ignore[attr-defined]
        case bytes():
            return argument
        case int():  # a bool as well
            return (argument & (1 << 8 * size) - 1).to_bytes(size, "little")
        case float():
            return struct.pack({2: "<e", 4: "<f", 8: "<d"}[size], argument)
        case _:
            msg = f"{argument!r} is no array, integer, float or bytes"
            raise ValueError(msg)
