"""Whether requirements have a common solution on the package index, as far as `nvmath.toml` knows it. Pure.

A search with look-ahead: a release is only chosen if every package that it names keeps one release that all who name it
so far accept. The table is small (a few packages have requirements of their own), so nothing cleverer is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from packaging.requirements import Requirement
    from packaging.version import Version

    from gpuwheel.compatibility.nvmath import NvmathTable

__all__ = ["minimal_conflict", "solve"]


def solve(requirements: Sequence[Requirement], table: NvmathTable) -> dict[str, Version] | None:
    """A release for each package of the table that the requirements lead to, newest first; `None` where none fit.

    Packages that the table does not have are left out: nothing is known of them that could conflict.
    """
    state = _State(table, {}, {}, {})
    return state.search() if state.take(requirements) else None


def minimal_conflict(
    kept: Sequence[Requirement], others: Sequence[Requirement], table: NvmathTable
) -> tuple[Requirement, ...]:
    """Those of `others` that are needed for the whole to have no solution: without any one of them there is one.

    Args:
        kept: requirements that stay.
        others: requirements of which as many as possible are left out, in order.
        table: the index.
    """
    needed = list(others)
    # By deletion: whatever can be left out while there is still no solution had no part in it. One search for each.
    for requirement in others:
        without = [other for other in needed if other is not requirement]
        if solve([*kept, *without], table) is None:
            needed = without
    return tuple(needed)


class _State:
    """What is asked for and chosen so far; copied at each choice."""

    def __init__(
        self,
        table: NvmathTable,
        left: Mapping[str, tuple[Version, ...]],
        extras: Mapping[str, frozenset[str]],
        chosen: Mapping[str, Version],
    ) -> None:
        self._table = table
        self._left = dict(left)
        """Package -> the releases that everybody who names it accepts."""
        self._extras = dict(extras)
        self._chosen = dict(chosen)

    def take(self, requirements: Sequence[Requirement]) -> bool:
        """Add requirements, and those of a chosen release that gains an extra; whether all can still fit."""
        waiting = list(requirements)
        while waiting:
            requirement = waiting.pop()
            name = requirement.name
            # Never an empty tuple: `take` ends before it would keep one.
            known = self._left.get(name) or self._table.known(name)
            if known is None:
                continue
            left = tuple(version for version in known if requirement.specifier.contains(version))
            if not left or (name in self._chosen and self._chosen[name] not in left):
                return False
            self._left[name] = left
            before = self._extras.get(name, frozenset())
            self._extras[name] = before | requirement.extras
            if name in self._chosen and self._extras[name] != before:
                waiting += self._table.packages[name][self._chosen[name]].requirements(self._extras[name])
        return True

    def search(self) -> dict[str, Version] | None:
        """Choose a release for one more package, and so on."""
        name = self._next()
        if name is None:
            # What asks for nothing itself can take its newest without another look.
            return {package: versions[0] for package, versions in self._left.items()} | self._chosen
        for version in self._left[name]:
            branch = _State(self._table, self._left, self._extras, {**self._chosen, name: version})
            if branch.take(self._table.packages[name][version].requirements(self._extras[name])):
                found = branch.search()
                if found is not None:
                    return found
        return None

    def _next(self) -> str | None:
        """The package with requirements of its own that has the fewest releases left."""
        open_ones = [name for name in self._left if name in self._table.packages and name not in self._chosen]
        # Fewest first: a dead end shows before much was tried.
        return min(open_ones, key=lambda name: len(self._left[name]), default=None)
