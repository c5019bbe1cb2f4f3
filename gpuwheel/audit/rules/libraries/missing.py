"""DT_NEEDED as the loader resolves it, in every world that the wheel's requirements allow."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from gpuwheel._limits import RELEASE_CHOICES
from gpuwheel.audit.cases import rule
from gpuwheel.audit.closure.lacking import Kind, kind_of, other_major, place_of
from gpuwheel.audit.closure.worlds import names
from gpuwheel.compatibility.distributions.releases import load_releases
from gpuwheel.model.findings import Found, Part, Profile, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

    from packaging.version import Version

    from gpuwheel.audit.cases import WheelCase
    from gpuwheel.audit.closure.closures import Chosen, Closure, Lack

__all__ = ["MISSING_LIBRARY_RULES"]

_NEEDS = {Part.LIBRARIES, Part.METADATA, Part.NAME}
_LOADER = "ld.so(8); glibc, elf/dl-load.c"
_TABLE = "`gpuwheel/data/releases.toml`"
_SHOWN = 4
_LEAD = "gpuwheel repair --runpath WHEEL"
_MAJOR = re.compile(r"-cu\d+$")


@rule(
    "missing-library",
    needs=_NEEDS,
    why="loading it fails with 'cannot open shared object file: No such file or directory'",
    fix="require a distribution that brings it, with a search path to its folder, or link it statically",
    source=f"{_LOADER}; {_TABLE}; PEP 600 for what a platform has",
)
def _missing_library(case: WheelCase) -> Iterator[Found]:
    """A library needs another that nothing brings: not the wheel, its requirements, the platform or the driver."""
    closure = case.closure
    nowhere = [lack for lack in _judged(case) if kind_of(closure, lack) is Kind.NOWHERE]
    extras = {lack.soname: closure.extras_with(lack.soname) if lack.always else () for lack in nowhere}
    for lacks in _alike(nowhere, lambda it: (extras[it.soname], _which(closure, it), it.by_default, it.optional)):
        first = lacks[0]
        if named := extras[first.soname]:
            told = f"which only the extra {' or '.join(map(repr, named))} brings (DT_NEEDED)"
        else:
            some = "" if first.always else f" with {_which(closure, first)}"
            told = f"which nothing brings{some} (DT_NEEDED, expected in the wheel or from Requires-Dist)"
        mild = bool(named) or not first.by_default or first.optional
        yield from _found(lacks, f"needs {_names(lacks)}, {told}", _providers(lacks), mild=mild)


@rule(
    "unreachable-library",
    needs=_NEEDS,
    why="the loader looks in the search path of a library and in the system's folders, and nowhere else",
    fix="link with -Wl,-rpath and the entry that leads there",
    source=_LOADER,
)
def _unreachable_library(case: WheelCase) -> Iterator[Found]:
    """A library needs another that is installed, but lies where the loader does not look for it."""
    closure = case.closure
    for lack in _judged(case):
        kind = kind_of(closure, lack)
        if kind is Kind.PATH:
            problem = f"needs {lack.soname}, a path and not a name (DT_NEEDED, expected a name without a slash)"
            why = "the loader opens that very path, which another machine does not have, and looks nowhere else"
            fix = "give the library that is linked with a SONAME (-Wl,-soname), and link it by -l"
            yield from _found([lack], problem, fix, why=why)
        elif kind is Kind.ELSEWHERE and closure.loaded_by(lack.soname) is None:
            told, entry = place_of(closure, lack)
            some = "" if lack.always else f" with {_which(closure, lack)}"
            problem = f"needs {lack.soname}, which lies where it does not look{some} ({told})"
            lead = f"link with -Wl,-rpath,'{entry}', or add that with patchelf --add-rpath" if entry else None
            command = _LEAD if entry else None
            found = _found([lack], problem, lead, mild=not lack.by_default or lack.optional)
            yield from (replace(one, command=command) for one in found)


@rule(
    "torch-cuda-major",
    needs=_NEEDS,
    why="importing it beside that torch fails: the library of another CUDA major has another name",
    fix="allow only torches of that CUDA in Requires-Dist, or require what brings the library, or build for both",
    source=f"CUDA Compatibility: SONAMEs carry the major; {_TABLE}",
)
def _torch_cuda_major(case: WheelCase) -> Iterator[Found]:
    """A library needs another of a CUDA major that is not that of a torch which the wheel admits."""
    closure = case.closure
    # One of several libraries among which the package chooses is for another torch, and not loaded beside this one.
    lacks = [it for it in _judged(case) if kind_of(closure, it) is Kind.OTHER_MAJOR and not it.optional]
    for alike in _alike(lacks, lambda it: (_which(closure, it), it.by_default)):
        others = " and ".join(dict.fromkeys(other_major(closure, lack) or "" for lack in alike))
        problem = f"needs {_names(alike)}, while {_which(closure, alike[0])} has {others} (expected one CUDA major)"
        yield from _found(alike, problem, None, mild=not alike[0].by_default)


@rule(
    "library-not-checked",
    needs=_NEEDS,
    why="whether the library loads is not known",
    fix="run `gpuwheel audit --online`: it asks the index what the requirements bring that the table does not have",
    source=_TABLE,
    severity=Severity.NOTE,
)
def _library_not_checked(case: WheelCase) -> Iterator[Found]:
    """Whether a needed library is there depends on what nobody looked up or found, or on code that runs first."""
    closure = case.closure
    yield from _given_up(case)
    lacks = [(lack, kind_of(closure, lack)) for lack in _judged(case)]
    for alike in _alike([lack for lack, kind in lacks if kind is Kind.UNKNOWN], closure.unknown):
        unknown = closure.unknown(alike[0])
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        brings = f"which may come with {', '.join(unknown[:_SHOWN])}{more}"
        read = load_releases().read
        yield from _found(
            alike, f"needs {_names(alike)}, {brings}: not checked (not in the table of {read})", None, notes=True
        )
    by: dict[str, list[Lack]] = defaultdict(list)
    for lack, kind in lacks:
        if kind is Kind.ELSEWHERE and (code := closure.loaded_by(lack.soname)):
            by[code].append(lack)
    for code, found in by.items():
        problem = f"needs {_names(found)}, which the loader does not find and Python code may load first ({code})"
        fix = "import the package where only Requires-Dist is installed: whether it loads them shows there"
        command = _LEAD if all(place_of(closure, lack)[1] for lack in found) else None
        told = _found(found, f"{problem}: not checked", fix, notes=True)
        yield from (replace(one, command=command) for one in told)


def _given_up(case: WheelCase) -> Iterator[Found]:
    """One finding, of the worlds that were not found, and may be there."""
    closure = case.closure
    if not (given_up := closure.given_up):
        return
    place = given_up[0].place
    asked = [name for name in names(case.wheel.requirements, place) if not closure.source.is_bare(name)]
    hows = list(dict.fromkeys(it.how for it in given_up))
    told = [f"the {how} releases" if how in {"newest", "oldest"} else how for how in hows]
    others = {f"{release.name} {release.version}" for it in given_up for release in it.alike}
    bound = f"within {RELEASE_CHOICES}: the limit {RELEASE_CHOICES.name}"
    yield Found(
        case.wheel.name,
        f"requires {_shown(asked, 'and')}, of which no set with {_shown(told, 'or')} was found ({bound}): not checked",
        "whether the requirements go together there, and bring what the libraries need, is not known",
        "narrow the requirements to releases that go together: then fewer have to be tried",
        facts={
            "sonames": sorted(closure.loader.wanted),
            "needed_by": [],
            "with": sorted({*hows, *others}),
            "checked": False,
            "requirements": [str(requirement) for requirement in case.wheel.requirements],
        },
    )


def _shown(told: Sequence[str], word: str) -> str:
    if len(told) > _SHOWN:
        return f"{', '.join(told[:_SHOWN])} {word} {len(told) - _SHOWN} more"
    return f" {word} ".join(filter(None, (", ".join(told[:-1]), told[-1])))


def _judged(case: WheelCase) -> Iterator[Lack]:
    """What is not found; of what gpuwheel promises not to need, `needed-library` tells."""
    copied, closure = case.to_be_copied, case.closure
    for lack in closure.lacks:
        if lack.soname in copied or lack.soname in closure.torchs_alone:
            continue  # that torch is used and not required is a finding of its own
        if case.profile is Profile.ANY or kind_of(closure, lack) is Kind.ELSEWHERE:
            yield lack


def _alike(lacks: Iterable[Lack], key: Callable[[Lack], Hashable]) -> list[list[Lack]]:
    groups: dict[Hashable, list[Lack]] = defaultdict(list)
    for lack in lacks:
        groups[key(lack)].append(lack)
    return list(groups.values())


def _found(
    lacks: Sequence[Lack],
    problem: str,
    fix: str | None,
    *,
    why: str | None = None,
    mild: bool = False,
    notes: bool = False,
) -> Iterator[Found]:
    """One finding, of every library that needs one of them."""
    members = list(dict.fromkeys(member for lack in lacks for member in lack.needed_by))
    facts: dict[str, object] = {
        "sonames": [lack.soname for lack in lacks],
        "needed_by": members,
        "with": sorted({chosen.how for lack in lacks for chosen in lack.worlds}),
        "checked": not notes,
    }
    severity = Severity.NOTE if notes else Severity.WARNING if mild else None
    for member in members:
        yield Found(member, problem, why, fix, severity, facts)


def _names(lacks: Sequence[Lack]) -> str:
    names = [lack.soname for lack in lacks]
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _providers(lacks: Sequence[Lack]) -> str | None:
    """Whom to require, of those that the table has; of several CUDA majors, that of the others."""
    options = [load_releases().bringing(lack.soname) for lack in lacks]
    if not all(options):
        return None
    single = {match[0] for it in options if len(it) == 1 and (match := _MAJOR.search(it[0]))}
    chosen = [[name for name in it if name.endswith(tuple(single))] or it for it in options] if single else options
    told = dict.fromkeys(" or ".join(it[:_SHOWN]) for it in chosen)
    return f"require {', '.join(told)}, and lead the library to its folder by a search path ($ORIGIN/../nvidia/...)"


def _which(closure: Closure, lack: Lack) -> str:
    """The worlds without it, in words: releases that were asked for, in ranges."""
    by, every = _pinned(lack.worlds), _pinned(closure.worlds)
    if not by:
        hows = sorted({chosen.how for chosen in lack.worlds})
        return f"the {' and the '.join(hows)} releases that are allowed"
    # The requirement of which the fewest releases are named is the one that decides.
    name = min(by, key=lambda it: (it != "torch", len(by[it])))
    runs: list[list[Version]] = []
    for place, version in enumerate(sorted(every[name])):
        if version in by[name]:
            if not runs or (place and sorted(every[name])[place - 1] not in by[name]):
                runs.append([])
            runs[-1].append(version)
    told = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    return f"{name} {', '.join(told)}"


def _pinned(worlds: Iterable[Chosen]) -> Mapping[str, set[Version]]:
    found: dict[str, set[Version]] = defaultdict(set)
    for chosen in worlds:
        for release in (*chosen.alike, *((chosen.pinned,) if chosen.pinned else ())):
            found[release.name].add(release.version)
    return found


MISSING_LIBRARY_RULES = (
    _missing_library,
    _unreachable_library,
    _torch_cuda_major,
    _library_not_checked,
)
"""About a whole wheel (`WheelCase`)."""
