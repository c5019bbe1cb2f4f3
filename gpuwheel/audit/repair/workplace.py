"""The files of a wheel that are being changed: unpacked when first touched, checked, and told of."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, fields
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from gpuwheel.binary.elf import MAGIC, read_elf
from gpuwheel.binary.extent import Extent
from gpuwheel.errors import AuditError
from gpuwheel.wheel.copying import NewFile

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from gpuwheel.binary.elf import ElfFile
    from gpuwheel.wheel.copying import SourceWheel

__all__ = ["TAG_EDIT", "Edit", "Workplace", "read_library"]

TAG_EDIT = "plat"
"""Edits that give a wheel its platform tag."""
_BLOCK = 1 << 23
_EXECUTABLE = 0o111
_CODE = (".text", ".rodata", ".nv_fatbin", "__nv_relfatbin", ".nvFatBinSegment", ".note.gnu.build-id", ".eh_frame")
"""Sections which every edit leaves as they are, but for those that it says; and so it does with each fact."""


@dataclass(frozen=True)
class Edit:
    """One change of one file."""

    kind: str
    """The option that asks for it, without dashes: "strip"."""
    member: str
    what: str
    """In words."""
    saved: int = 0
    """Bytes of the installed file, or of what is in it, that are gone."""


@dataclass
class Workplace:
    """A wheel under repair."""

    source: SourceWheel
    folder: Path
    files: dict[str, NewFile] = field(default_factory=dict)
    """What is changed or new."""
    removed: set[str] = field(default_factory=set)
    dropped: frozenset[str] = frozenset()
    """Targets of which no file holds images any more: "sm_86"."""
    edits: list[Edit] = field(default_factory=list)

    def text(self, name: str) -> bytes | None:
        """A text of `.dist-info` as it will be; `None` where there is none."""
        if name in self.files and isinstance(self.files[name].content, bytes):
            return self.files[name].content  # type: ignore[return-value]
        return self.source.read(name) if name in self.source.infos else None

    def write(self, name: str, data: bytes, kind: str, what: str) -> None:
        """Give a text its new content."""
        self.files[name] = NewFile(data)
        self.edits.append(Edit(kind, name, what))

    def change(
        self,
        library: str,
        kind: str,
        edit: Callable[[Path], tuple[str, int] | None],
        *,
        touches: Collection[str] = (),
    ) -> None:
        """Change a library by `edit`, which is handed its file and says what it did, or `None`.

        Args:
            library: A member.
            kind: What the edit is.
            edit: Changes the file in its place.
            touches: Sections that may differ afterwards, and facts ("runpath").

        Raises:
            AuditError: the library is damaged, or another one than before, which is a fault of the edit.
        """
        path = self._unpacked(library)
        before = _Look.at(path, library, touches)
        done = edit(path)
        if done is None:
            return
        after = _Look.at(path, library, touches)
        if lost := [name for name, value in before.facts.items() if after.facts.get(name) != value]:
            msg = f"{library} would not be the same library after {kind} ({', '.join(lost)} changed, expected equal)"
            raise AuditError(msg, hint=f"leave --{kind} out for this wheel, and report it: the file is left as it was")
        executable = bool(self.source.infos[library].external_attr >> 16 & _EXECUTABLE)
        self.files[library] = NewFile(path, executable)
        what, saved = done
        self.edits.append(Edit(kind, library, what, saved))

    def _unpacked(self, library: str) -> Path:
        path = self.folder / f"{list(self.source.infos).index(library)}.member"
        if not path.exists():
            self.source.unpack(library, path)
        return path


@dataclass(frozen=True)
class _Look:
    """What a library is, in values that can be kept when its file changes."""

    facts: dict[str, object]

    @classmethod
    def at(cls, path: Path, name: str, touches: Collection[str]) -> _Look:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:  # a file of device code alone
                return cls({})
            library = read_library(file, path, name)
            facts = {fact.name: _value(library, fact.name) for fact in fields(library) if fact.name not in _OTHERS}
            code = {section: _digest(library.sections[section]) for section in _CODE if section in library.sections}
        return cls({fact: value for fact, value in {**facts, **code}.items() if fact not in touches})


_OTHERS = frozenset({"name", "sections"})


def read_library(file: BinaryIO, path: Path, name: str) -> ElfFile:
    """The facts of an open file at `path`: of one with gigabytes, as many pages are read as these take.

    Raises:
        AuditError: it is damaged.
    """
    return read_elf(Extent(partial(_read, file), 0, path.stat().st_size), name)


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    return os.pread(file.fileno(), size, at)


def _digest(part: Extent) -> str:
    sha256 = hashlib.sha256()
    for at in range(0, len(part), _BLOCK):
        sha256.update(part.read(at, _BLOCK))
    return sha256.hexdigest()


def _value(library: ElfFile, fact: str) -> object:
    """A fact, or of those that may be a hundred thousand names a number that stands for them."""
    value = getattr(library, fact)
    if fact == "export_versions":
        value = tuple(sorted(value.items()))
    return hash(value) if fact in {"imports", "exports", "export_versions", "ifuncs"} else value
