"""The files of a wheel that are being changed: unpacked when first touched, checked, and told of."""

from __future__ import annotations

import hashlib
import mmap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpuwheel.binary.elf import read_elf
from gpuwheel.errors import AuditError
from gpuwheel.wheel.copying import NewFile

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from gpuwheel.binary.elf import ElfFile
    from gpuwheel.wheel.copying import SourceWheel

__all__ = ["TAG_EDIT", "Edit", "MappedFile", "Workplace"]

TAG_EDIT = "plat"
"""Edits that give a wheel its platform tag."""
_BLOCK = 1 << 23
_EXECUTABLE = 0o111
_FACTS = (
    "machine",
    "soname",
    "needed",
    "imports",
    "exports",
    "version_needs",
    "constructors",
    "search_path",
    "executable_stack",
)
"""What no edit may change of a library."""
_CODE = (".text", ".rodata", ".nv_fatbin", "__nv_relfatbin", ".nvFatBinSegment", ".note.gnu.build-id", ".eh_frame")
"""Sections which every edit leaves as they are, but for those that it says."""


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


class MappedFile:
    """The bytes of a file which is not empty: of a library of gigabytes, the pages that are looked at."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.view = memoryview(self._pages)

    def digest(self, part: memoryview) -> str:
        """SHA-256 of a part, of which no more than a few megabytes stay in memory."""
        sha256 = hashlib.sha256()
        for at in range(0, len(part), _BLOCK):
            sha256.update(part[at : at + _BLOCK])
            self._pages.madvise(mmap.MADV_DONTNEED)
        return sha256.hexdigest()


@dataclass
class Workplace:
    """A wheel under repair."""

    source: SourceWheel
    folder: Path
    files: dict[str, NewFile] = field(default_factory=dict)
    """What is changed or new."""
    removed: set[str] = field(default_factory=set)
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
            touches: Sections that may differ afterwards, and facts ("search_path", "executable_stack").

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
        file = MappedFile(path)
        library = read_elf(file.view, name)
        facts: dict[str, object] = {fact: _value(library, fact) for fact in _FACTS if fact not in touches}
        code = (section for section in _CODE if section in library.sections and section not in touches)
        return cls({**facts, **{section: file.digest(library.sections[section]) for section in code}})


def _value(library: ElfFile, fact: str) -> object:
    value = getattr(library, fact)
    return hash(value) if fact in {"imports", "exports"} else value
