"""Indexes of one torch and one CUDA, where a project has wheels that differ in these.

No installer sees a GPU, a driver or CUDA: of the wheels on a page that fit Python and platform pip takes the highest
local version. So wheels that differ in CUDA belong to one index each (docs/explanation/versions-of-wheels.md). Which
wheel is for what, the facts say, not its name.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from gpuwheel._limits import INDEX_AXIS
from gpuwheel.model.versions import DriverVersion, MinorVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from gpuwheel.compatibility import Tables
    from gpuwheel.publish.pages.listing import ListedFile
    from gpuwheel.publish.wheel_facts import WheelFacts

__all__ = ["narrow_indexes"]

T = TypeVar("T")
_CPU = "cpu"
_VERSIONED = re.compile(r"(?P<system>many|musl|macos)[a-z]*[0-9]*(_\d+_\d+)?_(?P<machine>.+)", re.ASCII)


@dataclass(frozen=True)
class _Narrow:
    torch: MinorVersion | None
    cuda: str | None

    @property
    def path(self) -> str:
        """For example "torch2.14/cu13.0"."""
        torch = [] if self.torch is None else [f"torch{self.torch}"]
        cuda = [] if self.cuda is None else [self.cuda if self.cuda == _CPU else f"cu{self.cuda}"]
        return "/".join(torch + cuda)


def narrow_indexes(files: Sequence[ListedFile], tables: Tables) -> Mapping[str, list[ListedFile]]:
    """Path of each further index -> what it lists, in the order of `files`.

    An axis (torch, CUDA) is one where wheels of one release differ in it; what a wheel says nothing of, it serves all
    of. Sdists are on all of them; variants, which choose by themselves, on none.
    """
    asked = _Torch(tables)
    releases: dict[tuple[str, str], list[WheelFacts]] = defaultdict(list)
    for file in files:
        if file.facts is not None and file.facts.variant is None:
            releases[file.project, _public(file.version)].append(file.facts)
    cudas: set[str] = set()
    torches: set[MinorVersion] = set()
    for release in releases.values():
        labels = {label for facts in release if (label := _label(facts)) is not None}
        cudas |= labels if len(labels) > 1 else set()
        torches |= asked.distinguishing(release)
    torches = _bounded(torches, lambda torch: (torch in tables.torch, torch))
    cudas = _bounded(cudas, lambda cuda: (_is_known(cuda, tables), () if cuda == _CPU else _numbers(cuda)))
    wanted = [_Narrow(torch, cuda) for torch in sorted(torches) for cuda in sorted(cudas)]
    wanted += [_Narrow(None, cuda) for cuda in sorted(cudas)]
    wanted += [] if cudas else [_Narrow(torch, None) for torch in sorted(torches)]
    found = {narrow: _chosen(files, narrow, asked) for narrow in wanted}
    return {
        narrow.path: chosen
        for narrow, chosen in found.items()
        if any(_is_of(file.facts, narrow) for file in chosen if file.facts is not None)
    }


def _bounded(values: set[T], key: Callable[[T], Any]) -> set[T]:
    """As many as there may be: a wheel can claim anything."""
    return set(sorted(values, key=key)[-INDEX_AXIS.value :])


def _is_known(cuda: str, tables: Tables) -> bool:
    return cuda == _CPU or any(cuda in {str(version), str(version.major)} for version in tables.cuda)


class _Torch:
    """Questions about specifiers of torch, each answered once."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._known = sorted(tables.torch)
        self._answers: dict[tuple[str, MinorVersion], bool] = {}

    def admits(self, facts: WheelFacts, torch: MinorVersion) -> bool:
        """Whether a wheel is for this torch, on some Python."""
        rows = [row.torch for row in facts.torch_by_python] or [facts.torch]
        return any(not wanted or self._admits(wanted, torch) for wanted in rows)

    def distinguishing(self, release: Iterable[WheelFacts]) -> set[MinorVersion]:
        """Each torch that some wheels are for, and some not."""
        distinct = list({(facts.torch, facts.torch_by_python): facts for facts in release}.values())
        named = {minor for facts in distinct for minor in _named(facts.torch or "")}
        return {torch for torch in {*self._known, *named} if len({self.admits(facts, torch) for facts in distinct}) > 1}

    def _admits(self, wanted: str, torch: MinorVersion) -> bool:
        key = wanted, torch
        if key not in self._answers:
            self._answers[key] = torch.is_admitted_by(_public_specifiers(wanted))
        return self._answers[key]


def _public_specifiers(wanted: str) -> SpecifierSet:
    """Without local parts: torch==2.14.0+cu130 is for torch 2.14, and which build of that it is, CUDA says."""
    return SpecifierSet(",".join(f"{one.operator}{one.version.partition('+')[0]}" for one in SpecifierSet(wanted)))


def _named(wanted: str) -> set[MinorVersion]:
    stated = [one.version.removesuffix(".*") for one in _public_specifiers(wanted) if one.operator in {"==", "~="}]
    return {MinorVersion.parse(text) for text in stated if text.count(".") and text.replace(".", "").isdecimal()}


def _label(facts: WheelFacts) -> str | None:
    """The CUDA that a wheel is for: "13.0", "12"; "cpu" for one without device code; `None`: nothing in it tells."""
    if facts.cuda or facts.runtimes:
        return facts.cuda or str(facts.runtimes[0])
    return None if facts.code else _CPU


def _numbers(label: str) -> tuple[int, ...]:
    return tuple(map(int, label.split(".")))


def _is_of(facts: WheelFacts, narrow: _Narrow) -> bool:
    """Whether a wheel is of this index more than of others."""
    return (narrow.cuda in {None, _label(facts)}) and (narrow.torch is None or bool(facts.torch))


def _rank(facts: WheelFacts, cuda: str, tables: Tables) -> tuple[int, ...] | None:
    """How well a wheel suits this CUDA, of those of one name and version; `None`: it does not run there."""
    label = _label(facts)
    if cuda == _CPU:
        # Code that asks for no library of CUDA is loaded without a GPU too, and does the rest; of code by nobody knows
        # what, nobody knows that.
        return (1,) if label == _CPU else None if facts.runtimes or label is None else (0,)
    if label is None or label == _CPU:
        return ()
    numbers, asked = _numbers(label), _numbers(cuda)
    if facts.runtimes and asked[0] not in facts.runtimes:
        return None
    # Later drivers run code of earlier toolkits; "12" stands for every 12.
    if numbers[: len(asked)] <= asked:
        return (1, *numbers)
    # Not the other way round, but within a major, where the wheel's own driver floor allows it: better than nothing.
    row = tables.cuda.get(MinorVersion(*asked)) if len(asked) > 1 else None
    is_run = row is not None and facts.driver is not None and DriverVersion.parse(facts.driver) <= row.driver_floor
    return (0, *(-number for number in numbers)) if is_run and numbers[0] == asked[0] else None


def _places_without_code(files: Iterable[ListedFile]) -> dict[str, set[str]]:
    """Project -> where it has wheels of any release without device code."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in files:
        if file.facts is not None and file.facts.variant is None and _label(file.facts) == _CPU:
            found[file.project] |= _places(file.facts)
    return found


def _places(facts: WheelFacts) -> set[str]:
    """Systems and machines, "linux x86_64", or "any": whatever version of their C library, and whichever Python."""
    return {_platform(tag.rpartition("-")[2]) for tag in facts.tags}


@lru_cache(4096)
def _platform(tag: str) -> str:
    match = _VERSIONED.fullmatch(tag)
    return tag if match is None else f"{match['system']} {match['machine']}"


def _overlap(one: set[str], other: set[str]) -> bool:
    return bool(one and other) and ("any" in one | other or bool(one & other))


def _chosen(files: Iterable[ListedFile], narrow: _Narrow, asked: _Torch) -> list[ListedFile]:
    """What one index lists: of wheels that differ in CUDA alone those that suit it best."""
    kept: list[tuple[ListedFile, tuple[object, ...] | None, tuple[int, ...]]] = []
    best: dict[tuple[object, ...], tuple[int, ...]] = {}
    without = _places_without_code(files) if narrow.cuda == _CPU else {}
    for file in files:
        facts = file.facts
        if facts is None:
            kept += [(file, None, ())] if file.filename.endswith(".tar.gz") else []
            continue
        rank = () if narrow.cuda is None else _rank(facts, narrow.cuda, asked.tables)
        fits_torch = narrow.torch is None or asked.admits(facts, narrow.torch)
        # pip takes the highest version that fits: no wheel for a GPU stands beside one that needs none.
        is_in_the_way = rank == (0,) and _overlap(_places(facts), without.get(file.project, set()))
        if facts.variant is None and rank is not None and fits_torch and not is_in_the_way:
            key = _alike(file, facts)
            best[key] = max(best.get(key, rank), rank)
            kept.append((file, key, rank))
    return [file for file, key, rank in kept if key is None or rank == best[key]]


@lru_cache(4096)
def _public(version: str) -> str:
    return Version(version).public


def _alike(file: ListedFile, facts: WheelFacts) -> tuple[object, ...]:
    return file.project, _public(file.version), facts.tags, facts.torch, facts.torch_by_python
