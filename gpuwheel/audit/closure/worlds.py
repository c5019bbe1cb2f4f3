"""What an installer may put beside a wheel: one release of each distribution that it requires, directly or not.

Pure: over the table of releases, or whatever else knows them. A *world* is one set of releases that go together; a
wheel that requires ranges may find itself in many. As pip does, a choice that leads nowhere is taken back.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from gpuwheel._limits import RELEASE_CHOICES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gpuwheel.compatibility.distributions.releases import Place, Release, ReleaseSource

__all__ = ["Clash", "TooManyStepsError", "World", "admitted", "clash", "names", "resolve"]


@dataclass(frozen=True)
class World:
    """Releases that may be installed together."""

    releases: Mapping[str, Release]
    """By the name of the distribution."""
    unknown: frozenset[str]
    """Names of what is installed too, and was not looked up."""

    @cached_property
    def folders(self) -> Mapping[str, tuple[tuple[str, str], ...]]:
        """File of a library -> `(distribution, folder in site-packages)` of each that brings it."""
        found: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for name, release in self.releases.items():
            for folder, files in release.libraries.items():
                for file in files:
                    found[file].append((name, folder))
        return {file: tuple(places) for file, places in found.items()}


@dataclass(frozen=True)
class Clash:
    """Requirements that no releases meet together."""

    requirements: tuple[Requirement, ...]
    """Of the wheel's own, as few as it takes."""
    over: str
    """The distribution that they ask different releases of."""


@dataclass
class _Search:
    """What is left to choose, and what was chosen."""

    source: ReleaseSource
    place: Place
    oldest: bool
    steps: int = 0
    dead_end: str = ""
    """The distribution of which nothing was left."""


@dataclass(frozen=True)
class _State:
    wanted: Mapping[str, tuple[SpecifierSet, frozenset[str]]] = field(default_factory=dict)
    """Name -> what all ask of its version, and the extras."""
    chosen: Mapping[str, Release] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()


class TooManyStepsError(Exception):
    """A search was given up: it is not known whether there is a world."""


def resolve(
    requirements: Iterable[Requirement],
    source: ReleaseSource,
    place: Place,
    *,
    oldest: bool = False,
    pinned: Release | None = None,
) -> World | None:
    """The newest releases that go together, or the oldest; `None` where none do.

    Args:
        requirements: Of the wheel.
        source: Who knows releases.
        place: Where it is installed.
        oldest: Prefer old releases to new ones.
        pinned: The release that is to be there.

    Raises:
        TooManyStepsError: More would have to be tried than `release-choices`, or Python's stack, allows.
    """
    state = _world(list(requirements), _Search(source, place, oldest), pinned)
    return None if state is None else World(state.chosen, state.unknown)


def clash(requirements: Sequence[Requirement], source: ReleaseSource, place: Place) -> Clash | None:
    """The fewest requirements that no releases meet together, as far as that is found; `None` where some do.

    Raises:
        TooManyStepsError: It is not known, as for `resolve`.
    """
    search = _Search(source, place, oldest=False)
    if _world(requirements, search, None) is not None:
        return None
    # Whatever can be left out without resolving it is no part of it.
    left = list(requirements)
    for requirement in requirements:
        fewer = [other for other in left if other is not requirement]
        trial = _Search(source, place, oldest=False)
        try:
            if _world(fewer, trial, None) is None:
                left, search = fewer, trial
        except TooManyStepsError:
            break  # those that are left clash all the same
    return Clash(tuple(left), search.dead_end)


def names(requirements: Iterable[Requirement], place: Place) -> dict[str, SpecifierSet]:
    """The distributions that a place installs for requirements, without those of extras, and what is asked of each."""
    found: dict[str, SpecifierSet] = {}
    for requirement in requirements:
        if place.holds(requirement.marker):
            name = canonicalize_name(requirement.name)
            found[name] = found.get(name, SpecifierSet()) & requirement.specifier
    return found


@lru_cache(maxsize=1 << 14)
def admitted(name: str, asked: SpecifierSet, source: ReleaseSource, place: Place) -> tuple[Release, ...]:
    """The releases of a distribution that are asked for, oldest first; none of one that was not looked up."""
    return tuple(it for it in source.releases(name, place) or () if asked.contains(it.version, prereleases=True))


def _world(requirements: Sequence[Requirement], search: _Search, pinned: Release | None) -> _State | None:
    state = _with(_State(), _held(requirements, frozenset({""}), search.place), search)
    if state is None:
        return None
    try:
        if pinned is not None:
            state = _chosen(state, pinned, search)
        return None if state is None else _extended(state, search)
    except RecursionError as error:
        raise TooManyStepsError from error


def _extended(state: _State, search: _Search) -> _State | None:
    open_names = [name for name in state.wanted if name not in state.chosen and name not in state.unknown]
    if not open_names:
        return state
    ways = {name: admitted(name, state.wanted[name][0], search.source, search.place) for name in open_names}
    # What has the fewest ways first: pins of NVIDIA's parts then decide before ranges are tried in vain.
    name = min(open_names, key=lambda it: len(ways[it]))
    for release in ways[name] if search.oldest else reversed(ways[name]):
        further = _chosen(state, release, search)
        if further is not None and (found := _extended(further, search)) is not None:
            return found
    return None


def _chosen(state: _State, release: Release, search: _Search) -> _State | None:
    search.steps += 1
    if search.steps > RELEASE_CHOICES.value:
        raise TooManyStepsError
    extras = state.wanted.get(release.name, (SpecifierSet(), frozenset[str]()))[1]
    # Its own name stands for a wheel that could not be read.
    state = _State(
        state.wanted, {**state.chosen, release.name: release}, state.unknown | release.others & {release.name}
    )
    return _with(state, _required(release, extras | {""}, search.source, search.place), search)


@lru_cache(maxsize=1 << 14)
def _required(
    release: Release, extras: frozenset[str], source: ReleaseSource, place: Place
) -> Sequence[tuple[str, Requirement]]:
    """What a release of a source requires at a place, with the normalised names: every search asks it of the same."""
    del source  # whose release it is: those of two may differ in what they require, and are equal
    # Somebody may know by now what was not looked up when the row was written; not which releases are asked for.
    others = [Requirement(name) for name in sorted(release.others - {release.name})]
    return _held((*release.requires, *others), extras, place)


def _held(
    requirements: Iterable[Requirement], extras: frozenset[str], place: Place
) -> Sequence[tuple[str, Requirement]]:
    """Those that are installed at a place for some of the extras, with their normalised names."""
    held = (it for it in requirements if any(place.holds(it.marker, extra) for extra in extras))
    return [(canonicalize_name(it.name), it) for it in held]


def _with(state: _State, requirements: Iterable[tuple[str, Requirement]], search: _Search) -> _State | None:
    """The state with further requirements; `None` where what was chosen, or everything that is left, contradicts."""
    wanted, unknown = dict(state.wanted), set(state.unknown)
    grown: list[tuple[str, Requirement]] = []
    for name, requirement in requirements:
        both, before, now = requirement.specifier, frozenset[str](), frozenset(requirement.extras)
        if name in wanted:
            asked, before = wanted[name]
            both, now = asked & both, before | now
        wanted[name] = both, now
        if search.source.is_bare(name) or not _is_known(name, requirement, search):
            unknown |= set() if search.source.is_bare(name) else {name}
            wanted.pop(name)
            continue
        chosen = state.chosen.get(name)
        if (chosen is not None and not both.contains(chosen.version, prereleases=True)) or not admitted(
            name, both, search.source, search.place
        ):
            search.dead_end = name
            return None
        if chosen is not None and now != before:
            grown += _held(chosen.requires, now - before, search.place)
    state = _State(wanted, state.chosen, frozenset(unknown))
    return _with(state, grown, search) if grown else state


def _is_known(name: str, requirement: Requirement, search: _Search) -> bool:
    """Whether some release that was looked up is meant: not one at a URL, of another index, or newer than the table."""
    return requirement.url is None and bool(admitted(name, requirement.specifier, search.source, search.place))
