"""From a configuration to candidate cells, each accepted or rejected with its reason."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gpuwheel.compatibility import compression_for, coverage
from gpuwheel.model.cells import Cell, Coverage, Decision
from gpuwheel.model.choices import Mode, PythonAbi, TorchAbi
from gpuwheel.plan.axes import candidates, floor_of, widest_abis
from gpuwheel.plan.checks import problems
from gpuwheel.plan.kernels_cells import kernels_problems
from gpuwheel.plan.linked_libraries import library_problems
from gpuwheel.plan.notes import notes
from gpuwheel.plan.nvcc_cells import mode_problems, nvcc_notes, nvcc_problems
from gpuwheel.plan.nvmath import nvmath_notes, nvmath_problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.compatibility import Tables
    from gpuwheel.config.model import LoadedConfig, Settings
    from gpuwheel.model.versions import DriverVersion
    from gpuwheel.plan.axes import Candidate
    from gpuwheel.plan.checks import Problem

__all__ = ["plan"]

_HOST_CODE = (".cpp", ".cc", ".cxx", ".c")


def plan(config: LoadedConfig, tables: Tables, *, machine: str = "x86_64") -> tuple[Decision, ...]:
    """Every candidate with its verdict, in the order of the configuration.

    A rejected candidate says all that is wrong with it, and never raises: `choose` does, where nothing is left to
    build.

    Args:
        config: what the project asks for.
        tables: what the world allows.
        machine: the CPU architecture to build for where the project names none.
    """
    return tuple(_decide(candidate, config, tables) for candidate in candidates(config, tables, machine))


def _decide(candidate: Candidate, config: LoadedConfig, tables: Tables) -> Decision:
    # What is judged asks for one value on each axis: the candidate's.
    settings = replace(config.settings, cuda=(candidate.cuda,), torch=(candidate.torch,))
    config = replace(config, settings=settings)
    cell = _cell(candidate, config, tables)
    # All of them, so that somebody mends everything in one go.
    found = (
        *problems(cell, config, tables),
        *_own_problems(cell, config, tables),
        *nvmath_problems(settings, tables),
    )
    if found:
        return Decision(
            cell,
            accepted=False,
            reason="; ".join(problem.reason for problem in found),
            hint=next((problem.hint for problem in found if problem.hint), None),
            collapsed=candidate.collapsed,
        )
    compiled = cell.mode is not Mode.PYTHON
    runs_on = f" and drivers >={cell.driver_floor}" if compiled else "; it holds no device code"
    served = coverage(tables, cell.archs) if compiled and _has_device_code(settings) else {}
    return Decision(
        cell,
        accepted=True,
        reason=f"one wheel serves {_served(cell)}{runs_on}",
        coverage=tuple(Coverage(device, by) for device, by in served.items()),
        notes=(*_notes(cell, config, tables), *nvmath_notes(settings, tables)),
        collapsed=candidate.collapsed,
    )


def _has_device_code(settings: Settings) -> bool:
    """Whether a GPU matters: it does not where mode `nvcc` compiles files of C++ and C alone."""
    patterns = [pattern for one in settings.extensions.values() for pattern in one.sources]
    host = all(one.mode is Mode.NVCC for one in settings.extensions.values()) and patterns
    return settings.cmake is not None or not (host and all(pattern.endswith(_HOST_CODE) for pattern in patterns))


def _own_problems(cell: Cell, config: LoadedConfig, tables: Tables) -> tuple[Problem, ...]:
    match cell.mode:
        case Mode.EMBED:
            return (*mode_problems(config), *library_problems(config, tables))
        case Mode.KERNELS:
            return kernels_problems(cell, config.settings, tables)
        case Mode.NVCC:
            return (*mode_problems(config), *nvcc_problems(cell, config, tables), *library_problems(config, tables))
        case Mode.PYTHON:
            return ()


def _notes(cell: Cell, config: LoadedConfig, tables: Tables) -> Iterator[str]:
    if cell.mode is not Mode.PYTHON:
        yield from notes(cell, config.settings, tables)
    if cell.mode is Mode.NVCC:
        yield from nvcc_notes(cell, config, tables)


def _served(cell: Cell) -> str:
    """Which Pythons and torches, for people."""
    pythons = {PythonAbi.NONE: "every Python", PythonAbi.ABI3: f"Python {cell.python} and newer"}
    torches = {TorchAbi.NONE: "", TorchAbi.EXACT: f", torch {cell.torch_floor}"}
    torch = torches.get(cell.torch, f", torch >={cell.torch_floor}")
    return f"{pythons.get(cell.python_abi, f'Python {cell.python}')}{torch}"


def _cell(candidate: Candidate, config: LoadedConfig, tables: Tables) -> Cell:
    settings, compiled = config.settings, candidate.mode is not Mode.PYTHON
    torch, python = widest_abis(settings)
    return Cell(
        mode=candidate.mode,
        cuda=candidate.cuda,
        archs=tuple(sorted(settings.archs)) if compiled else (),
        torch_floor=floor_of(candidate.torch),
        driver_floor=_driver_floor(candidate, config, tables),
        compression=_compression(tables, settings.driver) if compiled else (),
        machine=candidate.machine,
        torch=torch,
        python=candidate.python,
        python_abi=python,
    )


def _driver_floor(candidate: Candidate, config: LoadedConfig, tables: Tables) -> DriverVersion:
    """What the project promises; where it says nothing, a toolkit of mode `nvcc` decides."""
    if candidate.mode is Mode.NVCC and "driver" not in config.origins and candidate.cuda in tables.cuda:
        return tables.cuda[candidate.cuda].driver_floor
    return config.settings.driver


def _compression(tables: Tables, driver: DriverVersion) -> tuple[str, ...]:
    """Options for nvFatbin; none for a driver so old that the cell is rejected anyway."""
    if driver < tables.compression[0].driver:
        return ()
    return compression_for(tables, driver).options
