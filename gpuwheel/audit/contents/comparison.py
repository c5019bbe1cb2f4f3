"""Two wheels side by side: what `gpuwheel diff` tells.

Files of `.dist-info` are paired although its name holds the version, and libraries although their names hold a Python,
a version, or the digest that auditwheel writes into them.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpuwheel.audit.contents.wheel_contents import (
    CodeRow,
    LibraryContents,
    WheelContents,
    added_up,
    read_contents,
)
from gpuwheel.audit.inspection import opened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from gpuwheel.audit.contents.kernel_rows import KernelRow
    from gpuwheel.wheel.packed_sizes import Packed

__all__ = ["CodeChange", "Comparison", "KernelChange", "LibraryChange", "MemberChange", "Values", "compare"]

_INFO = re.compile(r"[^/]+(?=\.dist-info/|\.data/)")
_GRAFTED = re.compile(r"-[0-9a-f]{6,64}$")
"""As auditwheel marks copies: libgomp-a34b3233.so.1.0.0."""


@dataclass(frozen=True)
class Values:
    """Of a set of words, those that went and those that came."""

    removed: tuple[str, ...]
    added: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.removed or self.added)


@dataclass(frozen=True)
class MemberChange:
    """One file that came, went or has other content."""

    name: str
    before: Packed | None
    after: Packed | None


@dataclass(frozen=True)
class CodeChange:
    """Device code of one file for one target, where it has another size or number of pieces."""

    target: str
    kind: str
    before: CodeRow | None
    after: CodeRow | None


@dataclass(frozen=True)
class LibraryChange:
    """One library, or file of device code, that came, went or differs."""

    before: str | None
    """Its name in the old wheel."""
    after: str | None
    """Its name in the new one."""
    values: Mapping[str, Values] = field(default_factory=dict)
    """ "needed", "rpath", "runpath", "versions", "imports", "exports", "soname", "machine": those that differ."""
    code: tuple[CodeChange, ...] = ()


@dataclass(frozen=True)
class KernelChange:
    """One kernel for one architecture."""

    symbol: str
    target: str
    before: KernelRow | None
    after: KernelRow | None


@dataclass(frozen=True)
class Comparison:
    """What differs between two wheels."""

    old: WheelContents
    new: WheelContents
    values: Mapping[str, Values]
    """Fields of METADATA by name, "Tag", "Generator", "Requires-Dist": those that differ."""
    members: tuple[MemberChange, ...]
    libraries: tuple[LibraryChange, ...]
    code: tuple[CodeChange, ...]
    """Of the whole wheel, by target."""
    kernels: tuple[KernelChange, ...] = ()
    """Kernels that came, went, or cost something else; empty where they were not asked for."""

    @property
    def is_same(self) -> bool:
        """Whether both hold the same; their archives may still be packed differently."""
        unknown = self.old.unread or self.new.unread
        return self.old.sha256 == self.new.sha256 or not (self.values or self.members or self.libraries or unknown)


def compare(old: Path, new: Path, *, kernels: bool = False) -> Comparison:
    """Read two wheels and say what differs; `kernels`: in their machine code, too.

    Raises:
        AuditError: one of them is no archive, or a file that may be the same in both is damaged.
    """
    before, after = (read_contents(path, kernels=kernels) for path in (old, new))
    values = {
        **{name: _values(before.fields[name], after.fields[name]) for name in before.fields},
        "Generator": _values([before.generator], [after.generator]),
        "Tag": _values(before.tags, after.tags),
        "Requires-Dist": _values(before.requirements, after.requirements),
    }
    libraries = _libraries(before, after)
    return Comparison(
        old=before,
        new=after,
        values={name: found for name, found in values.items() if found},
        members=() if before.sha256 == after.sha256 else _members(old, new, before, after),
        libraries=libraries,
        code=_code(_whole(before), _whole(after)),
        kernels=tuple(_kernels(before.kernels or (), after.kernels or ())),
    )


def _members(old: Path, new: Path, before: WheelContents, after: WheelContents) -> tuple[MemberChange, ...]:
    names = {_neutral(name): name for name in before.members}
    others = {_neutral(name): name for name in after.members}
    changes = []
    with opened(old) as left, opened(new) as right:
        for name in sorted(names.keys() | others.keys()):
            one = before.members[names[name]] if name in names else None
            other = after.members[others[name]] if name in others else None
            may_be_same = one is not None and other is not None and (one.size, one.crc) == (other.size, other.crc)
            # A CRC is no proof: 32 bits, which anybody can forge.
            if may_be_same and left.members[names[name]].digest == right.members[others[name]].digest:
                continue
            changes.append(MemberChange(others.get(name) or names[name], one, other))
    return tuple(changes)


def _neutral(name: str) -> str:
    """A member's name without the version in `.dist-info` and `.data`."""
    return _INFO.sub("*", name, count=1)


def _libraries(before: WheelContents, after: WheelContents) -> tuple[LibraryChange, ...]:
    old = {library.name: library for library in before.libraries}
    new = {library.name: library for library in after.libraries}
    files = [*(before.code.keys() | old.keys())], [*(after.code.keys() | new.keys())]
    changes = []
    for left, right in _pairs(*map(sorted, files)):
        values = {
            name: found
            for name, found in _library_values(old.get(left or ""), new.get(right or "")).items()
            if found and left and right
        }
        code = _code(_rows(before, left), _rows(after, right))
        if left is None or right is None or values or code:
            changes.append(LibraryChange(left, right, values, code))
    return tuple(changes)


def _pairs(old: list[str], new: list[str]) -> Iterable[tuple[str | None, str | None]]:
    """Names that mean one file, by themselves or by what is left of them without Python, version and digest."""
    same = set(old) & set(new)
    yield from ((name, name) for name in sorted(same))
    left, right = _by_stem(name for name in old if name not in same), _by_stem(n for n in new if n not in same)
    for stem in sorted(left.keys() | right.keys()):
        olds, news = left.get(stem, []), right.get(stem, [])
        if len(olds) == len(news) == 1:  # of more, nobody can say which became which
            yield olds[0], news[0]
        else:
            yield from ((name, None) for name in olds)
            yield from ((None, name) for name in news)


def _by_stem(names: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        folder, _, file = name.rpartition("/")
        found.setdefault(f"{folder}/{_GRAFTED.sub('', file.partition('.')[0])}", []).append(name)
    return found


def _library_values(old: LibraryContents | None, new: LibraryContents | None) -> dict[str, Values]:
    if old is None or new is None:
        return {}
    return {
        "machine": _values([old.machine], [new.machine]),
        "soname": _values([old.soname or ""], [new.soname or ""]),
        "needed": _values(old.needed, new.needed),
        "rpath": _values([old.rpath or ""], [new.rpath or ""]),
        "runpath": _values([old.runpath or ""], [new.runpath or ""]),
        "versions": _values(_versions(old), _versions(new)),
        "imports": _values(old.imports, new.imports),
        "exports": _values(old.exports, new.exports),
    }


def _versions(library: LibraryContents) -> list[str]:
    return sorted({version for versions in library.versions.values() for version in versions})


def _values(old: Iterable[str], new: Iterable[str]) -> Values:
    before, after = dict.fromkeys(filter(None, old)), dict.fromkeys(filter(None, new))
    removed = tuple(word for word in before if word not in after)
    added = tuple(word for word in after if word not in before)
    if not (removed or added) and list(before) != list(after):
        return Values(tuple(before), tuple(after))  # the loader, for one, takes the first that fits
    return Values(removed, added)


def _rows(contents: WheelContents, name: str | None) -> tuple[CodeRow, ...]:
    return contents.code.get(name or "", ())


def _kernels(old: Iterable[KernelRow], new: Iterable[KernelRow]) -> Iterator[KernelChange]:
    before, after = _by_kernel(old), _by_kernel(new)
    for key in sorted(before.keys() | after.keys()):
        one, other = before.get(key, []), after.get(key, [])
        # Of several kernels of one name, in several files, those that are in both are left out.
        for left, right in itertools.zip_longest(*(_unlike(*pair) for pair in ((one, other), (other, one)))):
            yield KernelChange(key[0], key[1], left, right)


def _by_kernel(rows: Iterable[KernelRow]) -> dict[tuple[str, str], list[KernelRow]]:
    found: dict[tuple[str, str], list[KernelRow]] = {}
    for row in rows:
        found.setdefault((row.symbol, row.target), []).append(row)
    return found


def _unlike(rows: Iterable[KernelRow], others: Iterable[KernelRow]) -> list[KernelRow]:
    """The rows that cost something else than each of the others."""
    costs = Counter(_cost(row) for row in others)
    left = []
    for row in rows:
        if costs[_cost(row)] > 0:
            costs[_cost(row)] -= 1
        else:
            left.append(row)
    return left


def _cost(row: KernelRow) -> tuple[int, ...]:
    return row.registers, row.shared, row.local, row.size


def _whole(contents: WheelContents) -> tuple[CodeRow, ...]:
    return added_up(contents.code.values())


def _code(old: Iterable[CodeRow], new: Iterable[CodeRow]) -> tuple[CodeChange, ...]:
    before = {(row.kind, row.target): row for row in old}
    after = {(row.kind, row.target): row for row in new}
    keys = sorted(before.keys() | after.keys(), key=lambda key: (key[0], len(key[1]), key[1]))
    pairs = ((key, before.get(key), after.get(key)) for key in keys)
    return tuple(CodeChange(target, kind, one, other) for (kind, target), one, other in pairs if one != other)
