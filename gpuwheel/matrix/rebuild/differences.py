"""Two builds of one wheel: what differs, member by member and section by section, and the likely cause."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel._files import sha256_of
from gpuwheel.binary.elf import MAGIC, read_elf
from gpuwheel.wheel.archive import stored_members

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from gpuwheel.binary.extent import Extent
    from gpuwheel.wheel import Content

__all__ = ["Difference", "differences", "same_bytes"]

_PATH = re.compile(rb"/[\w.@+-]+(?:/[\w.@+-]+)+")
_TIME = re.compile(rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d{4}|\d\d:\d\d:\d\d|\d{4}-\d\d-\d\d")
_COMPILER = re.compile(rb"(?:GCC|clang|LLD|Linker)[^\0]*")
_CODE = (".nv_fatbin", "__nv_relfatbin")
_FOLLOWS = frozenset({".note.gnu.build-id", ".gnu_debuglink", ".shstrtab", ".strtab", ".symtab"})
"""Sections that differ whenever another one does."""
_LARGEST_LOOK = 1 << 26


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same."""

    member: str
    """A file of the wheel; empty for the archive itself."""
    section: str | None
    """Of a library."""
    what: str
    cause: str
    """The likely one, as a word for machines: "build-path", "compiler", "deflate" (`data/rebuild.schema.json`)."""

    @property
    def is_content(self) -> bool:
        """Whether what is installed differs, and not only how it is packed."""
        return bool(self.member)


def same_bytes(one: Path, other: Path) -> bool:
    """Whether two files are equal."""
    with one.open("rb") as first, other.open("rb") as second:
        return sha256_of(first) == sha256_of(second)


def differences(built: Path, again: Path) -> tuple[Difference, ...]:
    """What differs between a wheel and its rebuild; empty for the same bytes.

    Raises:
        AuditError: one of them is no wheel, or a library in it is damaged.
    """
    if same_bytes(built, again):
        return ()
    with stored_members(built) as before, stored_members(again) as after:
        found = tuple(_of_members(before, after))
    return found or tuple(_of_archives(built, again))


def _of_members(before: Mapping[str, Content], after: Mapping[str, Content]) -> Iterator[Difference]:
    for name in sorted(before.keys() | after.keys()):
        if name not in after or name not in before:
            where = "the wheel" if name in before else "the rebuild"
            yield Difference(name, None, f"is in {where} alone", "sources")
        elif before[name].digest != after[name].digest and not name.endswith(".dist-info/RECORD"):
            # RECORD says again what the others are.
            yield from _of_files(name, before[name].data, after[name].data)


def _of_files(name: str, one: bytes, other: bytes) -> Iterator[Difference]:
    if one.startswith(MAGIC) and other.startswith(MAGIC):
        yield from _of_libraries(name, one, other)
    elif name.endswith(".cdx.json"):
        yield Difference(name, None, "says something else of the build", _of_bills(one, other))
    elif name.endswith(".dist-info/WHEEL"):
        yield Difference(name, None, "has other lines", "gpuwheel" if b"gpuwheel" in one + other else "sources")
    else:
        yield Difference(name, None, f"differs ({len(one):,} bytes, rebuilt {len(other):,})", _cause(one, other))


def _of_libraries(name: str, one: bytes, other: bytes) -> Iterator[Difference]:
    before, after = read_elf(one, name).sections, read_elf(other, name).sections
    found = []
    for section in sorted(before.keys() | after.keys()):
        if section not in before or section not in after:
            where = "the wheel" if section in before else "the rebuild"
            found.append(Difference(name, section, f"is in {where} alone", "compiler"))
        elif _digest(before[section]) != _digest(after[section]):
            sizes = f"{len(before[section]):,} bytes, rebuilt {len(after[section]):,}"
            cause = _of_sections(section, before[section], after[section])
            found.append(Difference(name, section, f"differs ({sizes})", cause))
    others = [one for one in found if one.section not in _FOLLOWS]
    # Where one cause is certain, the rest of the library follows from it: code moves, and so do its tables.
    certain = {one.cause for one in others if one.section == ".comment"}
    for each in others or found:
        yield each if not certain else Difference(each.member, each.section, each.what, next(iter(certain)))
    if not found:
        yield Difference(name, None, "differs outside of its sections", "compiler")


def _digest(part: Extent) -> bytes:
    sha256 = hashlib.sha256()
    for at in range(0, len(part), 1 << 20):
        sha256.update(part.read(at, 1 << 20))
    return sha256.digest()


def _of_sections(name: str, one: Extent, other: Extent) -> str:
    if name == ".comment":
        return "compiler"
    if name in _CODE:
        return "toolkit"
    cause = _cause(bytes(one.read(0, _LARGEST_LOOK)), bytes(other.read(0, _LARGEST_LOOK)))
    return "compiler" if cause == "sources" else cause  # the sources are those of the sdist


def _cause(one: bytes, other: bytes) -> str:
    for pattern, cause in ((_TIME, "time-stamp"), (_PATH, "build-path"), (_COMPILER, "compiler")):
        if set(pattern.findall(one)) != set(pattern.findall(other)):
            return cause
    return "compiler" if b"\0" in one else "sources"


def _of_bills(one: bytes, other: bytes) -> str:
    try:
        before, after = json.loads(one), json.loads(other)
        tools = before["metadata"].get("tools"), after["metadata"].get("tools")
        if before["components"] != after["components"]:
            return "toolkit"
        if tools[0] != tools[1]:
            return "compiler"
        if before["metadata"].get("properties") != after["metadata"].get("properties"):
            return "settings"
        if before["metadata"].get("timestamp") != after["metadata"].get("timestamp"):
            return "time-stamp"
    except (ValueError, LookupError, TypeError, AttributeError):
        pass
    return "sources"


def _of_archives(one: Path, other: Path) -> Iterator[Difference]:
    """Of two archives with the same files."""
    with zipfile.ZipFile(one) as before, zipfile.ZipFile(other) as after:
        pairs = [(info, after.getinfo(info.filename)) for info in before.infolist()]
        if before.namelist() != after.namelist():
            yield Difference("", None, "the files are in another order", "packing")
    if any(old.date_time != new.date_time for old, new in pairs):
        yield Difference("", None, "files have another time", "time-stamp")
    if any(old.external_attr != new.external_attr for old, new in pairs):
        yield Difference("", None, "files have another mode", "packing")
    packed = [old.filename for old, new in pairs if old.compress_size != new.compress_size]
    if packed:
        yield Difference(
            "", None, f"{len(packed)} files are compressed by another zlib, to the same content", "deflate"
        )
    elif all(old.date_time == new.date_time for old, new in pairs):
        yield Difference("", None, "files are compressed otherwise, to the same content", "deflate")
