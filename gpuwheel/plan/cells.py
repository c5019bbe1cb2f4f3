"""From a configuration to candidate cells, each accepted or rejected with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.compatibility import compression_for, coverage
from gpuwheel.model.cells import Cell, Coverage, Decision
from gpuwheel.model.choices import Mode, TorchAbi
from gpuwheel.model.versions import MinorVersion
from gpuwheel.plan.checks import problems
from gpuwheel.plan.kernels_cells import kernels_problems
from gpuwheel.plan.linked_libraries import library_problems
from gpuwheel.plan.notes import notes
from gpuwheel.plan.nvcc_cells import nvcc_notes, nvcc_problems
from gpuwheel.plan.nvmath import nvmath_notes, nvmath_problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from packaging.specifiers import SpecifierSet

    from gpuwheel.compatibility import Tables
    from gpuwheel.config.model import LoadedConfig, Settings
    from gpuwheel.model.versions import DriverVersion
    from gpuwheel.plan.checks import Problem

__all__ = ["plan"]

_NO_HOST_CODE = "any"


@dataclass(frozen=True)
class _Candidate:
    """One way to build the project that its configuration allows."""

    mode: Mode
    cuda: MinorVersion
    machine: str
    """CPU architecture of host code."""


def plan(config: LoadedConfig, tables: Tables, *, machine: str = "x86_64") -> tuple[Decision, ...]:
    """Every candidate for a machine with its verdict, the preferred one first.

    Identifiers read `MODE-cuCUDA-torchFLOOR-PLATFORM`, with `cp311` before the platform where Python matters, and
    without `cuCUDA` where nothing is compiled.
    A rejected candidate says all that is wrong with it, and never
    raises: `choose` does, where nothing is left to build.
    """
    if not config.settings.extensions:
        return (_without_extensions(config, tables),)
    return tuple(_decide(candidate, config, tables) for candidate in _candidates(config.settings, machine))


def _candidates(settings: Settings, machine: str) -> Iterator[_Candidate]:
    used = {extension.mode for extension in settings.extensions.values()}
    for mode in Mode:
        if mode in used:
            match mode:
                case Mode.EMBED | Mode.KERNELS:  # one toolkit serves every CUDA that its driver floor allows
                    yield _Candidate(mode, settings.cuda[0], machine)
                case Mode.NVCC:
                    yield from (_Candidate(mode, cuda, machine) for cuda in settings.cuda)


def _without_extensions(config: LoadedConfig, tables: Tables) -> Decision:
    """The one wheel of a project in Python alone, whose operators call libraries that its extras install."""
    settings = config.settings
    floor = _floor(settings.torch)
    cell = Cell(
        identifier=f"{Mode.PYTHON.value}-torch{floor}-{_NO_HOST_CODE}",
        mode=Mode.PYTHON,
        cuda=settings.cuda[0],
        archs=(),
        torch_floor=floor,
        driver_floor=settings.driver,
        compression=(),
        platform=_NO_HOST_CODE,
    )
    found = (*problems(cell, config, tables), *nvmath_problems(settings, tables))
    if found:
        return _rejected(cell, found)
    served = f"one wheel serves {_served(cell)}; it holds no device code"
    return Decision(cell, accepted=True, reason=served, notes=nvmath_notes(settings, tables))


def _rejected(cell: Cell, found: Sequence[Problem]) -> Decision:
    return Decision(
        cell,
        accepted=False,
        reason="; ".join(problem.reason for problem in found),
        hint=next((problem.hint for problem in found if problem.hint), None),
    )


def _decide(candidate: _Candidate, config: LoadedConfig, tables: Tables) -> Decision:
    cell = _cell(candidate, config, tables)
    own = _own_problems(candidate.mode, cell, config, tables)
    found = (*problems(cell, config, tables), *own, *nvmath_problems(config.settings, tables))
    if found:
        return _rejected(cell, found)
    served = coverage(tables, cell.archs)
    return Decision(
        cell,
        accepted=True,
        reason=f"one wheel serves {_served(cell)} and drivers >={cell.driver_floor}",
        coverage=tuple(Coverage(device, by) for device, by in served.items()),
        notes=(
            *notes(cell, config.settings, tables),
            *(nvcc_notes(cell, config, tables) if candidate.mode is Mode.NVCC else ()),
            *nvmath_notes(config.settings, tables),
        ),
    )


def _own_problems(mode: Mode, cell: Cell, config: LoadedConfig, tables: Tables) -> tuple[Problem, ...]:
    match mode:
        case Mode.EMBED:
            return tuple(library_problems(config, tables))
        case Mode.KERNELS:
            return kernels_problems(cell, config.settings, tables)
        case Mode.NVCC:
            return (*nvcc_problems(cell, config, tables), *library_problems(config, tables))
        case Mode.PYTHON:
            return ()


def _served(cell: Cell) -> str:
    """Which Pythons and torches, for people."""
    python, _, abi = cell.python_tag.partition("-")
    version = f"{python[2:3]}.{python[3:]}"
    pythons = {"none": "every Python", "abi3": f"Python {version} and newer"}.get(abi, f"Python {version}")
    torches = {TorchAbi.NONE: "", TorchAbi.EXACT: f", torch {cell.torch_floor}"}.get(
        cell.torch, f", torch >={cell.torch_floor}"
    )
    return f"{pythons}{torches}"


def _cell(candidate: _Candidate, config: LoadedConfig, tables: Tables) -> Cell:
    settings = config.settings
    floor = _floor(settings.torch)
    abis = {extension.abi for extension in settings.extensions.values()}
    abi = next(abi for abi in (TorchAbi.EXACT, TorchAbi.STABLE, TorchAbi.NONE) if abi in abis)
    platform = _NO_HOST_CODE if candidate.mode is Mode.KERNELS else f"linux_{candidate.machine}"
    parts = [
        f"{candidate.mode.value}-cu{candidate.cuda}",
        *([] if abi is TorchAbi.NONE else [f"torch{floor}"]),
        *([] if config.python_tag == "py3-none" else [config.python_tag.partition("-")[0]]),
        platform,
    ]
    return Cell(
        identifier="-".join(parts),
        mode=candidate.mode,
        cuda=candidate.cuda,
        archs=tuple(sorted(settings.archs)),
        torch_floor=floor,
        driver_floor=_driver_floor(candidate, config, tables),
        compression=_compression(tables, settings.driver),
        platform=platform,
        python_tag=config.python_tag,
        torch=abi,
    )


def _driver_floor(candidate: _Candidate, config: LoadedConfig, tables: Tables) -> DriverVersion:
    """What the project promises; where it says nothing, a toolkit of mode `nvcc` decides."""
    if candidate.mode is Mode.NVCC and "driver" not in config.origins and candidate.cuda in tables.cuda:
        return tables.cuda[candidate.cuda].driver_floor
    return config.settings.driver


def _floor(torch: SpecifierSet) -> MinorVersion:
    """The version in `>=X.Y` and in `==X.Y.*`, the only forms that the configuration takes."""
    (specifier,) = torch
    return MinorVersion.parse(specifier.version)


def _compression(tables: Tables, driver: DriverVersion) -> tuple[str, ...]:
    """Options for nvFatbin; none for a driver so old that the cell is rejected anyway."""
    if driver < tables.compression[0].driver:
        return ()
    return compression_for(tables, driver).options
