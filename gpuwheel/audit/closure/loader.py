"""What the loader does when Python loads the libraries of a wheel, one after the other, in one world.

ld.so(8): a name without a slash is looked for among what is loaded (by SONAME, or the name it was found by), then in
DT_RPATH of the library, of what loaded it, and so on, but in none of them where the library has DT_RUNPATH; then in
DT_RUNPATH of the library alone. Libraries are loaded breadth first. What lies in the system's own folders is asked
last, and is not simulated: names of the platform and of the driver are never looked for.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from gpuwheel.audit.closure.search_entries import Entry, Leads, entries, library_folder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from gpuwheel.audit.closure.worlds import World
    from gpuwheel.binary.elf import ElfFile

__all__ = ["Loader", "Missing"]


@dataclass(frozen=True)
class Missing:
    """A library that is not found."""

    soname: str
    """As DT_NEEDED says it."""
    needed_by: str
    """The member of the wheel that needs it."""
    root: str
    """What Python began to load."""


@dataclass(frozen=True)
class _Loaded:
    library: ElfFile
    by: _Loaded | None = field(repr=False)


@dataclass(frozen=True)
class Loader:
    """The libraries of one wheel, and what they find."""

    libraries: Sequence[ElfFile]
    given: Collection[str]
    """SONAMEs that are not looked for: those of the platform and of the driver."""
    first: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Distributions whose import loads their libraries, and those that these need, before the wheel's are loaded; with
    the libraries that each release has."""

    @cached_property
    def by_place(self) -> Mapping[tuple[str, str], ElfFile]:
        """`(folder in site-packages, file)` -> library."""
        placed = ((library_folder(library), library) for library in self.libraries)
        return {(folder, it.name.rpartition("/")[2]): it for folder, it in placed if folder is not None}

    @cached_property
    def by_name(self) -> Mapping[str, tuple[ElfFile, ...]]:
        """File or SONAME -> the libraries of the wheel that have it."""
        found: dict[str, dict[str, ElfFile]] = defaultdict(dict)
        for library in self.libraries:
            for name in {library.name.rpartition("/")[2], library.soname or ""} - {""}:
                found[name][library.name] = library
        return {name: tuple(libraries.values()) for name, libraries in found.items()}

    @cached_property
    def searched(self) -> Mapping[str, tuple[tuple[Entry, ...], tuple[Entry, ...]]]:
        """Member -> its entries of DT_RPATH and of DT_RUNPATH."""
        return {
            library.name: tuple(  # type: ignore[misc]
                entries(path, library_folder(library), library.machine) for path in (library.rpath, library.runpath)
            )
            for library in self.libraries
        }

    @cached_property
    def wanted(self) -> frozenset[str]:
        """Names that somebody else has to bring: of no library of the wheel, of the platform or of the driver."""
        needed = {name for library in self.libraries for name in library.needed}
        return frozenset(name for name in needed if name not in self.by_name and name not in self.given)

    @cached_property
    def roots(self) -> tuple[ElfFile, ...]:
        """What Python or a user starts with: what no other library of the wheel asks for."""
        asked: dict[str, None] = {}
        for library in self.libraries:
            for name in library.needed:
                asked.update((it.name, None) for it in self.by_name.get(name, ()) if it is not library)
        roots = [library for library in self.libraries if library.name not in asked]
        reached = {it.library.name for root in roots for it in self._order(root, None, [])}
        for library in self.libraries:
            if library.name not in reached:  # of a circle: it has no beginning, and the first will do
                roots.append(library)
                reached.update(it.library.name for it in self._order(library, None, []))
        return tuple(roots)

    def missing(self, world: World) -> list[Missing]:
        """What is not found when each root is loaded in a process of its own."""
        found: dict[Missing, None] = {}
        for root in self.roots:
            if library_folder(root) is None:
                continue  # a program in the folder of scripts: nothing says where site-packages is from there
            missing: list[Missing] = []
            for _ in self._order(root, world, missing):
                pass
            found.update(dict.fromkeys(missing))
        return list(found)

    def loaded_first(self, world: World) -> frozenset[str]:
        """Files that importing distributions of `first` has loaded."""
        reached, waiting = set[str](), [name for name in self.first if name in world.releases]
        while waiting:
            name = waiting.pop()
            if name not in reached and name in world.releases:
                reached.add(name)
                waiting += [requirement.name for requirement in world.releases[name].requires]
        known = frozenset(file for name in reached for file in world.releases[name].brings)
        # Of another index, or newer than the table: it has what all have.
        return known.union(*(files for name, files in self.first.items() if name in world.unknown))

    def _order(self, root: ElfFile, world: World | None, missing: list[Missing]) -> Iterator[_Loaded]:
        """The libraries of the wheel in the order in which they are loaded; without a world, siblings by name."""
        loaded = {root.soname or "", root.name.rpartition("/")[2]}
        if world is not None and not root.program:
            loaded |= self.loaded_first(world)
        members, queue = {root.name}, deque([_Loaded(root, None)])
        while queue:
            current = queue.popleft()
            yield current
            for name in current.library.needed:
                if name in self.given or name in loaded:
                    continue
                sibling, files = self._found(name, current, world)
                if sibling is None and not files:
                    missing.append(Missing(name, current.library.name, root.name))
                loaded.update(files)
                if sibling is not None and sibling.name not in members:
                    members.add(sibling.name)
                    loaded |= {name, sibling.soname or name}
                    queue.append(_Loaded(sibling, current))

    def _found(self, name: str, at: _Loaded, world: World | None) -> tuple[ElfFile | None, Iterable[str]]:
        """The library of the wheel that a name leads to, or the files that are loaded with one of another."""
        if world is None:
            return next(iter(self.by_name.get(name, ())), None), (name,)
        for folder in self._folders(at):
            sibling = self.by_place.get((folder, name))
            if sibling is not None and sibling.machine == at.library.machine:
                return sibling, ()
            for distribution, place in world.folders.get(name, ()):
                if place == folder:
                    # What it needs itself it finds, beside it: its distribution is not the one that is looked at.
                    return None, world.releases[distribution].brings
        return None, ()

    def _folders(self, at: _Loaded) -> Iterator[str]:
        """Folders in site-packages, in the order in which the loader looks into them."""
        rpath, runpath = self.searched[at.library.name]
        if at.library.runpath is not None:  # an empty one, too, turns the other off
            paths = [runpath]
        else:
            paths, by = [rpath], at.by
            while by is not None:
                if by.library.runpath is None:
                    paths.append(self.searched[by.library.name][0])
                by = by.by
        for path in paths:
            yield from (folder for entry in path if entry.leads is Leads.INSIDE for folder in entry.folders)
