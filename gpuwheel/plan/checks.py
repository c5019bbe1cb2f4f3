"""What rejects a cell. Each check yields problems; none of them stops at the first."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from gpuwheel.compatibility import toolkits_for
from gpuwheel.model.choices import Mode, PythonAbi, TorchAbi
from gpuwheel.model.versions import MinorVersion
from gpuwheel.plan.axes import pythons_of_torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gpuwheel.compatibility import CudaToolkit, Tables
    from gpuwheel.config.model import LoadedConfig, Settings
    from gpuwheel.model.archs import Arch, ArchTarget
    from gpuwheel.model.cells import Cell

__all__ = ["Problem", "arch_lists", "listed", "problems"]


@dataclass(frozen=True)
class Problem:
    """One reason to reject a cell."""

    reason: str
    hint: str | None = None


def problems(cell: Cell, config: LoadedConfig, tables: Tables) -> tuple[Problem, ...]:
    """Everything that rejects the cell; empty where it can be built."""
    if cell.mode is Mode.PYTHON:
        return tuple(_python(cell, config, tables))
    return (
        *_toolkit(cell, config.settings, tables),
        *_torch(cell, tables),
        *_python(cell, config, tables),
        *_platform(cell, config.settings, tables),
    )


def arch_lists(settings: Settings, *, cutile: bool = True) -> dict[str, tuple[ArchTarget, ...]]:
    """Key -> architectures of the project, and of kernel groups and sources with their own; cuTile's on request."""
    groups = {name: group for name, group in settings.kernels.items() if cutile or not group.uses_cutile}
    own = {f"kernels.{name}.archs": group.archs for name, group in groups.items() if group.archs is not None}
    sources = {f'sources."{glob}".archs': each.archs for glob, each in settings.sources.items() if each.archs}
    return {"archs": settings.archs, **own, **sources}


def _toolkit(cell: Cell, settings: Settings, tables: Tables) -> Iterator[Problem]:
    pinned = [version for version, toolkit in tables.cuda.items() if toolkit.components]
    hint = f'cuda = "{pinned[0]}"' if pinned else None  # the one that most drivers load
    toolkit = tables.cuda.get(cell.cuda)
    if toolkit is None:
        known = [str(version) for version in tables.cuda]
        close = difflib.get_close_matches(str(cell.cuda), known, n=1)
        reason = f"cuda {cell.cuda} is not a toolkit that gpuwheel knows (known: {', '.join(known)})"
        yield Problem(reason, f"did you mean {close[0]!r}?" if close else hint)
        return
    if not toolkit.components and cell.mode is Mode.EMBED:
        yield Problem(
            f"cuda {cell.cuda} has no device compiler that gpuwheel pins (expected {listed(pinned)})",
            hint,
        )
    for key, targets in arch_lists(settings, cutile=False).items():
        strange = [target.arch for target in targets if target.arch not in toolkit.archs]
        if strange:
            yield _strange_archs(key, strange, cell, tables)
    # CUDA Compatibility, "Minor Version Compatibility": cubins of a toolkit run from the first driver of its major
    # on.
    if cell.driver_floor < toolkit.driver_floor:
        reason = f"driver {cell.driver_floor} cannot load images of cuda {cell.cuda}"
        yield Problem(f"{reason} (expected {toolkit.driver_floor} or newer)", f'driver = ">={toolkit.driver_floor}"')


def _strange_archs(key: str, strange: Sequence[Arch], cell: Cell, tables: Tables) -> Problem:
    """Architectures that the toolkit does not compile for: what it does, who else does, and what comes near."""
    toolkit = tables.cuda[cell.cuda]
    # Arch- and family-specific targets only clutter the list for somebody who asked for plain ones.
    suffixes = {arch.suffix for arch in strange} | {""}
    known = listed(arch for arch in toolkit.archs if arch.suffix in suffixes)
    elsewhere = "".join(f"; {arch}: {_known_by(arch, tables)}" for arch in strange)
    reason = f"{key} names {listed(strange)}, which cuda {toolkit.version} does not compile for"
    return Problem(
        f"{reason} (it knows {known}{elsewhere})",
        _too_old(strange[0], cell, tables) or _nearest_arch(strange[0], toolkit, tables),
    )


def _known_by(arch: Arch, tables: Tables) -> str:
    knowing = toolkits_for(tables.cuda, arch)
    if not knowing:
        return "no toolkit"
    newer = len(knowing) > 1 and knowing[-1] == max(tables.cuda)
    return f"cuda {knowing[0]} and newer" if newer else f"cuda {listed(knowing)}"


def _too_old(arch: Arch, cell: Cell, tables: Tables) -> str | None:
    """For an architecture that later toolkits gave up: the last that knows it, and where that is to come from."""
    toolkit, knowing = tables.cuda[cell.cuda], toolkits_for(tables.cuda, arch)
    if not knowing or not toolkit.archs or arch > min(toolkit.archs):
        return None
    last = knowing[-1]
    of_its_own = cell.mode is Mode.NVCC and not tables.cuda[last].nvcc
    where = ", and CUDA_HOME to a toolkit of it: no index has its nvcc" if of_its_own else ""
    return f'take {arch} out of the list, or set cuda = "{last}"{where}'


def _nearest_arch(arch: Arch, toolkit: CudaToolkit, tables: Tables) -> str | None:
    """A misspelling has a close match; a device that the toolkit is too old for has another name, or PTX, in it."""
    names = {**tables.renamed, **{new: old for old, new in tables.renamed.items()}}
    if names.get(arch) in toolkit.archs:
        return f"cuda {toolkit.version} knows {arch} as '{names[arch]}'"
    # Plain ones: arch-specific PTX is not compiled for newer devices (CUDA C++ Programming Guide, "Feature Set
    # Compiler Targets").
    older = [known for known in toolkit.archs if not known.suffix and known < arch]
    if toolkits_for(tables.cuda, arch) and older:
        return f"'{older[-1]}+PTX' in place of '{arch}' lets drivers compile for it"
    oldest = min(toolkit.archs)
    if arch < oldest:
        return f"leave {arch} out: '{oldest}' is the oldest that cuda {toolkit.version} compiles for"
    close = difflib.get_close_matches(str(arch), [str(known) for known in toolkit.archs], n=1)
    return f"did you mean {close[0]!r}?" if close else None


def _torch(cell: Cell, tables: Tables) -> Iterator[Problem]:
    if cell.torch is not TorchAbi.STABLE:
        return
    floor, oldest = cell.torch_floor, tables.torch_floor
    newest = MinorVersion.parse(tables.torch_sdk.version)
    if floor < oldest:
        needing = f"torch {floor} has no complete stable ABI, which mode {cell.mode.value!r} needs"
        yield Problem(f"{needing} (expected {oldest} or newer)", f'torch = ">={oldest}"')
    elif floor > newest:
        yield Problem(
            f"torch {floor} is newer than the headers of this gpuwheel (expected {newest} or older)",
            "pip install -U gpuwheel",
        )


def _python(cell: Cell, config: LoadedConfig, tables: Tables) -> Iterator[Problem]:
    """Some Python must have both the package and a torch; the one that the cell is for, if it is for one."""
    wanted = SpecifierSet(config.project.requires_python or "")
    yield from _not_admitted(cell, config.settings, wanted)
    if cell.torch is TorchAbi.NONE:
        return
    offered = pythons_of_torch(cell.torch_range, tables)
    # Nothing is said where the tables know no torch in the range: a floor in the future is another check's.
    if offered and not any(python.is_admitted_by(wanted) for python in offered):
        yield Problem(
            f"requires-python {str(wanted)!r} admits no Python that torch {cell.torch_range} has a wheel for "
            f"(it has {listed(offered)})",
            f'requires-python = ">={offered[0]}"',
        )
    elif offered and cell.python_abi is PythonAbi.VERSION and cell.python and cell.python not in offered:
        yield Problem(
            f"torch {cell.torch_range} has no wheel for Python {cell.python} (it has {listed(offered)})",
            _another_python(cell.python, offered, config.settings, tables),
        )


def _not_admitted(cell: Cell, settings: Settings, wanted: SpecifierSet) -> Iterator[Problem]:
    """Nobody could install such a wheel."""
    named = (cell.python,) if cell.python_abi is PythonAbi.VERSION else settings.pythons or ()
    strange = [python for python in named if python and not python.is_admitted_by(wanted)]
    if strange:
        yield Problem(
            f"pythons names {listed(strange)}, which requires-python {str(wanted)!r} does not admit",
            f"take {listed(strange)} out of pythons, or widen requires-python",
        )


def _another_python(
    python: MinorVersion, offered: Sequence[MinorVersion], settings: Settings, tables: Tables
) -> str | None:
    if settings.pythons is not None:
        return f"take {python} out of pythons"
    if python < offered[0]:
        return f'requires-python = ">={offered[0]}" leaves it out'
    having = [torch for torch, row in tables.torch.items() if str(python) in row.pythons]
    return f"torch {having[0]} is the first that has one" if having else None


def _platform(cell: Cell, settings: Settings, tables: Tables) -> Iterator[Problem]:
    if cell.machine is None:  # no host code
        return
    known = [policy.name for policy in tables.platforms if policy.machine == cell.machine]
    asked = settings.wheel.platform
    if not known:
        machines = list(dict.fromkeys(policy.machine for policy in tables.platforms))
        close = difflib.get_close_matches(cell.machine, machines, n=1)
        reason = f"machine {cell.machine!r} is not one that gpuwheel builds for (known: {listed(machines)})"
        yield Problem(reason, f"did you mean {close[0]!r}?" if close else None)
    # A newer glibc than the tables know may well exist; what its symbols are, nobody could check.
    elif asked not in {"system", *known}:
        close = difflib.get_close_matches(asked, known, n=1)
        yield Problem(
            f"wheel.platform {asked!r} is not one whose symbols gpuwheel knows (known: {', '.join(known)})",
            f"did you mean {close[0]!r}?" if close else None,
        )


def listed(items: Iterable[object]) -> str:
    """For a message: "12.9, 13.0"."""
    return ", ".join(map(str, items)) or "none"
