"""From a configuration to candidate cells, each accepted or rejected with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.compatibility import compression_for, coverage
from gpuwheel.config.model import Mode
from gpuwheel.model.cells import Cell, Coverage, Decision
from gpuwheel.model.versions import MinorVersion
from gpuwheel.plan.checks import problems
from gpuwheel.plan.notes import notes
from gpuwheel.plan.nvmath import nvmath_notes, nvmath_problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.specifiers import SpecifierSet

    from gpuwheel.compatibility import Tables
    from gpuwheel.config.model import LoadedConfig, Settings
    from gpuwheel.model.versions import DriverVersion

__all__ = ["plan"]

# The one platform that gpuwheel builds on and for; elsewhere the toolchain refuses before anything is compiled.
_PLATFORM = "linux_x86_64"


@dataclass(frozen=True)
class _Candidate:
    """One way to build the project that its configuration allows."""

    mode: Mode
    cuda: MinorVersion


def plan(config: LoadedConfig, tables: Tables) -> tuple[Decision, ...]:
    """Every candidate with its verdict, the preferred one first.

    Identifiers read `MODE-cuCUDA-torchFLOOR-PLATFORM`. A rejected candidate says all that is wrong with it, and never
    raises: `choose` does, where nothing is left to build.
    """
    return tuple(_decide(candidate, config, tables) for candidate in _candidates(config.settings))


def _candidates(settings: Settings) -> Iterator[_Candidate]:
    used = {extension.mode for extension in settings.extensions.values()}
    for mode in Mode:
        if mode in used:
            match mode:
                case Mode.EMBED:  # one toolkit serves every CUDA that its driver floor allows
                    yield _Candidate(mode, settings.cuda)


def _decide(candidate: _Candidate, config: LoadedConfig, tables: Tables) -> Decision:
    cell = _cell(candidate, config.settings, tables)
    found = (*problems(cell, config, tables), *nvmath_problems(config.settings, tables))
    if found:
        return Decision(
            cell,
            accepted=False,
            reason="; ".join(problem.reason for problem in found),
            hint=next((problem.hint for problem in found if problem.hint), None),
        )
    served = coverage(tables, cell.archs)
    return Decision(
        cell,
        accepted=True,
        reason=f"one wheel serves every Python, torch >={cell.torch_floor} and drivers >={cell.driver_floor}",
        coverage=tuple(Coverage(device, by) for device, by in served.items()),
        notes=(*notes(cell, config.settings, tables), *nvmath_notes(config.settings, tables)),
    )


def _cell(candidate: _Candidate, settings: Settings, tables: Tables) -> Cell:
    floor = _floor(settings.torch)
    return Cell(
        identifier=f"{candidate.mode.value}-cu{candidate.cuda}-torch{floor}-{_PLATFORM}",
        mode=candidate.mode.value,
        cuda=candidate.cuda,
        archs=tuple(sorted(settings.archs)),
        torch_floor=floor,
        driver_floor=settings.driver,
        compression=_compression(tables, settings.driver),
        platform=_PLATFORM,
    )


def _floor(torch: SpecifierSet) -> MinorVersion:
    """The version in `>=X.Y`, the only form that the configuration takes."""
    (specifier,) = torch
    return MinorVersion.parse(specifier.version)


def _compression(tables: Tables, driver: DriverVersion) -> tuple[str, ...]:
    """Options for nvFatbin; none for a driver so old that the cell is rejected anyway."""
    if driver < tables.compression[0].driver:
        return ()
    return compression_for(tables, driver).options
