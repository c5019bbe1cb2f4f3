"""The closure of a wheel: the worlds that it may find itself in, and what its libraries do not find there."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from gpuwheel.audit.closure.loader import Loader
from gpuwheel.audit.closure.preloading import loading_module
from gpuwheel.audit.closure.worlds import TooManyStepsError, admitted, clash, names, resolve
from gpuwheel.audit.platform import system_libraries
from gpuwheel.binary.elf import MACHINES
from gpuwheel.compatibility.distributions.releases import Place, load_releases
from gpuwheel.compatibility.sonames import load_sonames, stem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gpuwheel.audit.closure.worlds import Clash, World
    from gpuwheel.audit.inspection import Inspection
    from gpuwheel.binary.elf import ElfFile
    from gpuwheel.compatibility import Tables
    from gpuwheel.compatibility.distributions.releases import Release, ReleaseSource

__all__ = ["Chosen", "Closure", "GivenUp", "Lack", "python_range"]

PYTHONS = range(9, 15)
"""Minors of Python 3 that wheels for many are judged for; those for one are for that one."""
TORCH = "torch"
TORCH_STEMS = frozenset(
    f"lib{name}.so" for name in ("torch", "torch_cpu", "torch_cuda", "torch_python", "c10", "c10_cuda", "shm")
)
_EVERYWHERE = ("libpython",)
"""Names that a rule of its own is about."""
_MOST_WORLDS = 300
_VARIANT = re.compile(r"_?[A-Za-z]*\d*\.so[.\d]*$")
_RECENT = 8
"""Releases that say what a distribution always has."""


@dataclass(frozen=True)
class Chosen:
    """A world, and how it was come by."""

    world: World
    place: Place
    how: str
    """"newest", "oldest", or the release that was asked for: "torch 2.11.0"."""
    pinned: Release | None = None
    alike: tuple[Release, ...] = ()
    """Further releases with which it would be the same, as far as libraries go."""


@dataclass(frozen=True)
class GivenUp:
    """A world that was looked for, and neither found nor excluded."""

    place: Place
    how: str
    """As of `Chosen`."""
    alike: tuple[Release, ...] = ()


@dataclass(frozen=True)
class Lack:
    """A library that libraries of the wheel do not find in some worlds."""

    soname: str
    needed_by: tuple[str, ...]
    """Members of the wheel."""
    worlds: tuple[Chosen, ...]
    """Those in which it is not found."""
    always: bool
    """Whether it is so in all of them."""
    optional: bool
    """Whether it is needed by libraries among which the package chooses, of which others load."""

    @property
    def by_default(self) -> bool:
        """Whether it is so with what an installer takes where nothing else speaks against it."""
        return any(chosen.how == "newest" for chosen in self.worlds)


@dataclass(frozen=True, eq=False)
class Closure:
    """What is beside one wheel."""

    wheel: Inspection
    tables: Tables
    source: ReleaseSource

    @cached_property
    def libraries(self) -> tuple[ElfFile, ...]:
        """Those for machines that have CUDA; GPU code in ELF files is loaded by the driver."""
        return tuple(library for library in self.wheel.libraries if library.machine in MACHINES)

    @cached_property
    def machines(self) -> tuple[str, ...]:
        """Those of the libraries, or else of the tag."""
        found = {library.machine for library in self.libraries}
        named = {machine for machine in MACHINES if self.wheel.tag.platform.endswith(machine)}
        return tuple(sorted(found or named or {"x86_64"}))

    @cached_property
    def pythons(self) -> tuple[int, ...]:
        """Minors of Python 3 that install it, by its tag and Requires-Python."""
        asked = python_range(self.wheel.requires_python or "") or SpecifierSet()
        tags, stable = self.wheel.tag.python.split("."), "abi3" in self.wheel.tag.abi.split(".")
        named = {int(tag[3:]) for tag in tags if tag.startswith("cp3") and tag[3:].isdigit()}
        minors = [it for it in sorted(named.union(PYTHONS)) if any(_is_for(tag, it, stable) for tag in tags)]
        # Where Requires-Python admits none of them, the tag alone speaks: that they disagree is another rule's to say.
        return tuple(it for it in minors if f"3.{it}.9" in asked) or tuple(minors)

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Of the Pythons that are asked for the same, the oldest and the newest."""
        alike: dict[tuple[str, tuple[str, ...]], list[int]] = defaultdict(list)
        # What is for another system finds other libraries, by another loader.
        on_linux = any(it == "any" or "linux" in it for it in self.wheel.tag.platform.split("."))
        for machine in self.machines if on_linux else ():
            for python in self.pythons:
                asked = names(self.wheel.requirements, Place(machine, python))
                alike[machine, tuple(f"{name}{asked[name]}" for name in asked)].append(python)
        ends = {(machine, python) for (machine, _), all_ in alike.items() for python in (all_[0], all_[-1])}
        return tuple(Place(machine, python) for machine, python in sorted(ends))

    @cached_property
    def loader(self) -> Loader:
        """The libraries, and what they need not look for."""
        given = frozenset().union(*(system_libraries(self.tables, machine) for machine in self.machines))
        driver = {name for it in self.libraries for name in it.needed if load_sonames().is_of_driver(name)}
        python = {name for it in self.libraries for name in it.needed if name.startswith(_EVERYWHERE)}
        return Loader(self.libraries, given | driver | python, self._first)

    @cached_property
    def worlds(self) -> tuple[Chosen, ...]:
        """With the newest releases, with the oldest, and with each release of a requirement that may decide."""
        return tuple(it for it in self._searches if isinstance(it, Chosen))

    @cached_property
    def given_up(self) -> tuple[GivenUp, ...]:
        """The worlds of which it is not known whether there are any; those that anything was looked for in."""
        searches = self._searches if self._looks_outside else self._clashing
        return tuple(it for it in searches if isinstance(it, GivenUp))

    @cached_property
    def clashes(self) -> tuple[tuple[Place, Clash], ...]:
        """Requirements that nothing meets, by where they are installed."""
        return tuple(it for it in self._clashing if not isinstance(it, GivenUp))

    @cached_property
    def lacks(self) -> tuple[Lack, ...]:
        """Every library that is not found, in the order of the wheel's libraries."""
        if not self._looks_outside:
            return ()
        by: dict[str, dict[str, None]] = defaultdict(dict)
        where: dict[str, list[Chosen]] = defaultdict(list)
        wanted: set[str] = set()
        for chosen in self.worlds:
            missing = self.loader.missing(chosen.world)
            for name in dict.fromkeys(it.soname for it in missing):
                where[name].append(chosen)
            failing = {it.root for it in missing}
            loading = {_family(it.name) for it in self.loader.roots if it.name not in failing}
            for it in missing:
                by[it.soname][it.needed_by] = None
                if _family(it.root) not in loading:
                    wanted.add(it.soname)
        return tuple(
            Lack(name, tuple(by[name]), tuple(worlds), len(worlds) == len(self._searches), name not in wanted)
            for name, worlds in where.items()
        )

    @cached_property
    def torchs_alone(self) -> frozenset[str]:
        """What some torch brings to a wheel that uses torch and does not require it."""
        needed = {name for library in self.libraries for name in library.needed if name not in self.loader.by_name}
        if not any(stem(name) in TORCH_STEMS for name in needed):
            return frozenset()
        brought: set[str] = set()
        for place in self.places:
            if TORCH in names(self.wheel.requirements, place):
                return frozenset()
            for release in self.source.releases(TORCH, place) or ():
                world = self._resolved([Requirement(TORCH)], place, pinned=release)
                brought.update(world.folders if world else release.brings)
        return frozenset(brought) | frozenset(name for name in needed if stem(name) in TORCH_STEMS)

    def siblings(self, soname: str) -> tuple[ElfFile, ...]:
        """The libraries of the wheel that have a name."""
        return self.loader.by_name.get(soname, ())

    def loaded_by(self, soname: str) -> str | None:
        """The Python module that may load a library before another asks for it; `None` where none loads any."""
        return self._loading[bool(self.siblings(soname))]

    @cached_property
    def _loading(self) -> Mapping[bool, str | None]:
        return {own: loading_module(self.wheel, own=own) for own in (False, True)}

    def unknown(self, lack: Lack) -> tuple[str, ...]:
        """What is installed too in worlds without the library, and was not looked up."""
        return tuple(sorted({name for chosen in lack.worlds for name in chosen.world.unknown}))

    def extras_with(self, soname: str) -> tuple[str, ...]:
        """The extras of the wheel with which a library is brought."""
        found = []
        for extra in self.wheel.extras:
            for place in self.places[:1]:
                asked = [it for it in self.wheel.every_requirement if _holds(it, place, extra)]
                plain = [_without_marker(it) for it in asked]
                world = self._resolved(plain, place)
                if world is not None and soname in world.folders:
                    found.append(extra)
        return tuple(found)

    def path_to(self, member_folder: str | None, folder: str | None) -> str | None:
        """The entry of a search path that leads from one folder in site-packages to another."""
        if member_folder is None or folder is None:
            return None
        way = posixpath.relpath(f"/{folder}", f"/{member_folder}")
        return "$ORIGIN" if way == "." else f"$ORIGIN/{way}"

    @cached_property
    def _first(self) -> Mapping[str, frozenset[str]]:
        """Distributions whose import loads their libraries, and what all of their newer releases have."""
        found = {}
        for name in load_releases().first:
            newest = [load_releases().releases(name, place) or () for place in self.places]
            recent = [release.brings for releases in newest for release in releases[-_RECENT:]]
            found[name] = frozenset.intersection(*recent) if recent else frozenset()
        return found

    @cached_property
    def _looks_outside(self) -> bool:
        """Whether what is installed beside the wheel matters to its libraries."""
        if not self.libraries:
            return False  # before anything is looked up
        siblings = any(name in self.loader.by_name for library in self.libraries for name in library.needed)
        return bool(self.loader.wanted) or siblings

    @cached_property
    def _searches(self) -> tuple[Chosen | GivenUp, ...]:
        return tuple(it for place in self.places for it in self._worlds(place))

    def _worlds(self, place: Place) -> Iterator[Chosen | GivenUp]:
        wanted = self.wheel.requirements
        for how, oldest in (("newest", False), ("oldest", True)):
            try:
                world = resolve(wanted, self.source, place, oldest=oldest)
            except TooManyStepsError:
                yield GivenUp(place, how)
                continue
            if world is not None:
                yield Chosen(world, place, how)
        for alike in self._deciding(place):
            release, others = alike[-1], tuple(alike[:-1])
            how = f"{release.name} {release.version}"
            try:
                world = resolve(wanted, self.source, place, pinned=release)
            except TooManyStepsError:
                yield GivenUp(place, how, others)
                continue
            if world is not None:
                yield Chosen(world, place, how, release, others)

    @cached_property
    def _clashing(self) -> tuple[tuple[Place, Clash] | GivenUp, ...]:
        found: list[tuple[Place, Clash] | GivenUp] = []
        for place in self.places:
            try:
                it = clash(self.wheel.requirements, self.source, place)
            except TooManyStepsError:
                found.append(GivenUp(place, "newest"))
                continue
            found += [] if it is None else [(place, it)]
        return tuple(found)

    def _resolved(self, wanted: list[Requirement], place: Place, pinned: Release | None = None) -> World | None:
        """The newest releases that go together, if any were found."""
        try:
            return resolve(wanted, self.source, place, pinned=pinned)
        except TooManyStepsError:
            return None

    def _deciding(self, place: Place) -> Iterable[list[Release]]:
        """Releases of direct requirements that may bring something else than others that are allowed, those alike."""
        found: list[list[Release]] = []
        for name, asked in names(self.wheel.requirements, place).items():
            if name not in load_releases().texts:
                continue  # each release would have to be read from the index
            kept: dict[object, list[Release]] = defaultdict(list)
            for release in admitted(name, asked, self.source, place):
                brought = release.brings & self.loader.wanted if self.loader.wanted else frozenset()
                parts = {it.name: str(it.specifier) for it in release.requires} if name == TORCH else {}
                kept[(brought, tuple(parts.items()))].append(release)
            found += kept.values() if len(kept) > 1 else ()
        return found[:_MOST_WORLDS]


def _family(member: str) -> str:
    """What libraries have in common of which a package loads the one that fits: "libops_cuda12.so", "libops_cpu.so"."""
    # Modules are imported by their names, each for itself.
    file = member.rpartition("/")[2]
    return member if file.endswith(".so") and not file.startswith("lib") else _VARIANT.sub("", member)


def _is_for(tag: str, minor: int, stable: bool) -> bool:  # noqa: FBT001  # of the same tag
    if tag.startswith("py3"):
        return tag == "py3" or (tag[3:].isdigit() and int(tag[3:]) <= minor)
    if not tag.startswith("cp3") or not tag[3:].isdigit():
        return tag == "py2.py3"
    return int(tag[3:]) <= minor if stable else int(tag[3:]) == minor


def _holds(requirement: Requirement, place: Place, extra: str) -> bool:
    return place.holds(requirement.marker, extra) or place.holds(requirement.marker)


def _without_marker(requirement: Requirement) -> Requirement:
    bare = type(requirement)(str(requirement))
    bare.marker = None
    return bare


def python_range(text: str) -> SpecifierSet | None:
    """Requires-Python, read; `None` where it is not valid, which is a finding of its own."""
    try:
        asked = SpecifierSet(text)
        asked.contains("3.10")  # numbers of thousands of digits are read here only
    except ValueError:
        return None
    return asked
