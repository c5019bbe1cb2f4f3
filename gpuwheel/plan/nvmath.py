"""The extras `cu12` and `cu13` that the key `nvmath` asks for: can they be installed beside torch?

torch pins NVIDIA's libraries, nvmath-python bounds them. An installer that finds no common solution takes an older
release of either in silence, so a floor must have one, and the plan says where it has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from gpuwheel.compatibility.nvmath import load_nvmath
from gpuwheel.model.nvmath import NVMATH, NVMATH_EXTRAS, nvmath_requirement
from gpuwheel.plan.checks import Problem
from gpuwheel.plan.nvmath_resolution import minimal_conflict, solve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gpuwheel.compatibility import Tables, TorchBuild
    from gpuwheel.compatibility.nvmath import NvmathTable
    from gpuwheel.config.model import Settings

__all__ = ["nvmath_notes", "nvmath_problems"]


def nvmath_problems(settings: Settings, tables: Tables, nvmath: NvmathTable | None = None) -> tuple[Problem, ...]:
    """What rejects the key `nvmath`: a floor without releases, without the extras, or that fits beside no torch.

    Args:
        settings: what the project asks for.
        tables: what each torch requires.
        nvmath: what nvmath-python requires, if it is not the table that ships.
    """
    floor = settings.nvmath
    if floor is None:
        return ()
    table = nvmath or load_nvmath()
    return tuple(_floor_problems(floor, table)) or tuple(_conflicts(settings, floor, tables, table))


def nvmath_notes(settings: Settings, tables: Tables, nvmath: NvmathTable | None = None) -> tuple[str, ...]:
    """Torch versions of an accepted project that one of the extras does not serve, or cannot be checked for."""
    floor = settings.nvmath
    if floor is None:
        return ()
    table = nvmath or load_nvmath()
    lines = []
    for extra, major in NVMATH_EXTRAS.items():
        builds = _builds(settings, major, tables)
        if not builds:
            lines.append(
                f"extra {extra} is for builds of torch with CUDA {major} from PyTorch's own index: the package index "
                f"has none of torch {_torch(settings)}, so their pins were not checked"
            )
        lines += [
            f"extra {extra} does not fit torch {build.release}: {_named(build, extra, floor, table)}"
            for build in builds
            if not _fits(build, extra, floor, table)
        ]
    return tuple(lines)


def _floor_problems(floor: SpecifierSet, table: NvmathTable) -> Iterator[Problem]:
    releases = table.packages[NVMATH]
    newest, oldest = max(releases), min(releases)
    (specifier,) = floor
    if Version(specifier.version) > newest:
        yield Problem(
            f"nvmath {floor} is newer than any {NVMATH} that gpuwheel knows (expected {newest} or older)",
            f'nvmath = ">={newest.major}.{newest.minor}", or pip install -U gpuwheel',
        )
    elif Version(specifier.version) < oldest:  # the releases before the table's first lack one of the extras
        yield Problem(
            f"nvmath {floor} admits releases of {NVMATH} without the extras {' and '.join(NVMATH_EXTRAS)}, which "
            f"installers fall back to in silence (expected >={oldest} or newer)",
            f'nvmath = ">={newest.major}.{newest.minor}"',
        )


def _conflicts(settings: Settings, floor: SpecifierSet, tables: Tables, table: NvmathTable) -> Iterator[Problem]:
    for extra, major in NVMATH_EXTRAS.items():
        builds = _builds(settings, major, tables)
        if not builds or any(_fits(build, extra, floor, table) for build in builds):
            continue
        newest = builds[-1]
        older = _newest_fitting(newest, extra, table)
        yield Problem(
            f"{nvmath_requirement(extra, floor)} fits beside no torch {_torch(settings)} with CUDA {major}: "
            f"{_named(newest, extra, floor, table)}",
            f'nvmath = ">={older.major}.{older.minor}"' if older else "leave nvmath out, or raise torch",
        )


def _builds(settings: Settings, major: int, tables: Tables) -> tuple[TorchBuild, ...]:
    """The releases of torch that the project allows and the package index has for a major of CUDA, oldest first."""
    return tuple(
        row for row in tables.torch.values() if row.cuda.major == major and _torch(settings).contains(row.release)
    )


def _torch(settings: Settings) -> SpecifierSet:
    """What the one cell that is judged asks of torch."""
    (torch,) = settings.torch
    return torch


def _torch_pins(build: TorchBuild) -> list[Requirement]:
    """What torch asks for; markers of it only exclude Pythons that have no torch yet."""
    return [Requirement(text.partition(";")[0]) for text in build.requires]


def _fits(build: TorchBuild, extra: str, floor: SpecifierSet, table: NvmathTable) -> bool:
    wanted = Requirement(nvmath_requirement(extra, floor))
    return solve([*_torch_pins(build), wanted], table) is not None


def _named(build: TorchBuild, extra: str, floor: SpecifierSet, table: NvmathTable) -> str:
    """The minimal conflict: the least that torch and the newest nvmath-python ask for and nothing meets."""
    # The newest: what an author can still do something about.
    release = next(version for version in table.packages[NVMATH] if floor.contains(version))
    theirs = _unfolded(release, frozenset({extra}), table)
    # First torch's side, with all of theirs; then theirs, with what is left of torch's: what both name is short
    # enough to read.
    pins = minimal_conflict(theirs, _torch_pins(build), table)
    needs = minimal_conflict(pins, theirs, table)
    return f"torch {build.release} needs {_listed(pins)}, {NVMATH} {release} needs {_listed(needs)}"


def _unfolded(release: Version, extras: frozenset[str], table: NvmathTable) -> tuple[Requirement, ...]:
    """What one release of nvmath-python requires with these extras and those that they name in turn."""
    row = table.packages[NVMATH][release]
    # Extras name each other ("nvmath-python[cu13]" asks for "nvmath-python[sysctk13]") until none is new.
    while True:
        found = row.requirements(extras)
        further = {extra for one in found if one.name == NVMATH for extra in one.extras} - extras
        if not further:
            return tuple({str(one): one for one in found if one.name != NVMATH}.values())
        extras |= further


def _newest_fitting(build: TorchBuild, extra: str, table: NvmathTable) -> Version | None:
    return next(
        (release for release in table.packages[NVMATH] if _fits(build, extra, SpecifierSet(f"=={release}"), table)),
        None,
    )


def _listed(requirements: Iterable[Requirement]) -> str:
    return " and ".join(map(str, requirements)) or "nothing"
