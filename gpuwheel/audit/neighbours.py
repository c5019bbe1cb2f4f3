"""The libraries of one wheel beside each other: what they show, what they need together, and who needs whom."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gpuwheel.binary.elf import ElfFile

__all__ = ["Neighbours"]


class Neighbours:
    """Libraries that one wheel installs.

    A name counts whichever folder its library is in: whether the loader gets there is what rules on search paths ask.
    """

    def __init__(self, libraries: Sequence[ElfFile] = ()) -> None:
        self._libraries = tuple(libraries)

    @cached_property
    def _exports(self) -> Mapping[str, frozenset[str]]:
        names: dict[str, set[str]] = defaultdict(set)
        for library in self._libraries:
            names[library.machine].update(library.exports)
        return {machine: frozenset(found) for machine, found in names.items()}

    @cached_property
    def _named(self) -> Mapping[str, Sequence[ElfFile]]:
        """By SONAME and by the name of the file: a DT_NEEDED entry is either."""
        named: dict[str, list[ElfFile]] = defaultdict(list)
        for library in self._libraries:
            for name in {library.soname, library.name.rpartition("/")[2]} - {None}:
                named[str(name)].append(library)
        return named

    @cached_property
    def _users(self) -> Mapping[str, Sequence[ElfFile]]:
        users: dict[str, list[ElfFile]] = defaultdict(list)
        for library in self._libraries:
            for needed in dict.fromkeys(library.needed):
                for found in self._named.get(needed, ()):
                    users[found.name].append(library)
        return users

    def show(self, library: ElfFile, symbol: str) -> bool:
        """Whether a library of the wheel, for the same machine, exports a symbol."""
        return symbol in self._exports.get(library.machine, ())

    def named(self, library: ElfFile, name: str) -> Sequence[ElfFile]:
        """The libraries of the wheel that a DT_NEEDED entry of one of them may mean."""
        return [one for one in self._named.get(name, ()) if one.machine == library.machine]

    def outside(self, library: ElfFile) -> frozenset[str]:
        """SONAMEs of other wheels, and of the system, that a library brings into its scope, itself or by others."""
        reached = self._reached(library, lambda one: [it for name in one.needed for it in self._named.get(name, ())])
        return frozenset(name for one in reached for name in one.needed if name not in self._named)

    def scopes(self, library: ElfFile) -> frozenset[str]:
        """What `outside` is of it and of all that need it: what may be in its scope when it is loaded."""
        above = self._reached(library, lambda one: self._users.get(one.name, ()))
        return frozenset[str]().union(*(self.outside(one) for one in above))

    def _reached(self, library: ElfFile, following: _Following) -> list[ElfFile]:
        found, left = {library.name: library}, [library]
        while left:
            for one in following(left.pop()):
                if one.name not in found:
                    found[one.name] = one
                    left.append(one)
        return list(found.values())


if TYPE_CHECKING:
    from collections.abc import Callable

    _Following = Callable[[ElfFile], Iterable[ElfFile]]
