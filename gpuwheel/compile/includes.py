"""Which files a device source depends on, found without a compiler (NVRTC writes no depfile).

A safe superset: every include directive counts, whatever conditional it stands under, and so does every
`__has_include`. Only the user's folders are searched; the toolkit and gpuwheel's own headers are covered by digests.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

__all__ = ["IncludeScanner", "ScannedFile"]

# A comment may be matched in one way only: else a file full of them takes exponential time.
_BLANK = rb"(?:[ \t\r\f\v]|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/)*"
_INCLUDE = re.compile(
    rb"(?:^|\*/)" + _BLANK + rb"(?:\#|%:)" + _BLANK + rb"(?P<directive>include|include_next|import)\b" + _BLANK +
    rb'(?:"(?P<quoted>[^"\n]+)"|<(?P<angled>[^>\n]+)>|(?P<computed>\w+))',
    re.MULTILINE | re.DOTALL,
)  # fmt: skip
_HAS_INCLUDE = re.compile(
    rb"__has_include(?:_next)?" + _BLANK + rb"\(" + _BLANK +
    rb'(?:"(?P<quoted>[^"\n]+)"|<(?P<angled>[^>\n]+)>|(?P<computed>\w+))',
    re.DOTALL,
)  # fmt: skip
_CONTINUATION = re.compile(rb"\\[ \t]*\r?\n")


@dataclass(frozen=True)
class _Include:
    name: str
    quoted: bool
    next: bool


@dataclass(frozen=True)
class ScannedFile:
    """One file and what it asks for."""

    path: Path
    sha256: str
    includes: tuple[_Include, ...]
    computed: bool
    """Whether an include names a macro, so that only the preprocessor knows the file."""


@dataclass
class IncludeScanner:
    """Source closures over one set of include folders; each file is read once."""

    include_dirs: tuple[Path, ...]
    """The user's folders, in search order."""
    foreign_dirs: tuple[Path, ...] = ()
    """Folders searched after them that are not scanned: gpuwheel's and the toolkit's headers."""
    _files: dict[Path, ScannedFile | None] = field(default_factory=dict)
    _everything: tuple[Path, ...] | None = None
    _shadowing: tuple[Path, ...] | None = None

    def closure(self, source: Path) -> tuple[ScannedFile, ...]:
        """`source` and every file of the user's that it may include, directly or not, in order of path."""
        search = (source.parent, *self.include_dirs)
        found: dict[Path, ScannedFile] = {}
        waiting = [source, *self._shadowing_files()]
        while waiting:
            path = waiting.pop()
            file = self._scan(path)
            if file is None or path in found:
                continue
            found[path] = file
            for include in file.includes:
                waiting.extend(self._resolve(include, path.parent, search))
            if file.computed:
                waiting.extend(self._every_file(source.parent))
        return tuple(found[path] for path in sorted(found))

    def _scan(self, path: Path) -> ScannedFile | None:
        if path not in self._files:
            try:
                content = path.read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                self._files[path] = None
            else:
                includes, computed = _includes(content)
                self._files[path] = ScannedFile(path, hashlib.sha256(content).hexdigest(), includes, computed)
        return self._files[path]

    def _resolve(self, include: _Include, here: Path, search: Sequence[Path]) -> Iterator[Path]:
        folders = (here, *search) if include.quoted else search
        for folder in folders:
            path = _normal(folder / include.name)
            if self._scan(path) is not None:
                yield path
                if not include.next:
                    return

    def _every_file(self, source_dir: Path) -> tuple[Path, ...]:
        if self._everything is None:
            self._everything = tuple(_files_below(self.include_dirs))
        return (*self._everything, *_files_below([source_dir]))

    def _shadowing_files(self) -> tuple[Path, ...]:
        """The user's files that toolkit headers would find instead of their own, being searched later."""
        if self._shadowing is None:
            shadows: list[Path] = []
            for folder in self.include_dirs:
                for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
                    if any((foreign / entry.name).exists() for foreign in self.foreign_dirs):
                        shadows.extend(_files_below([entry]) if entry.is_dir() else [entry])
            self._shadowing = tuple(shadows)
        return self._shadowing


def _includes(content: bytes) -> tuple[tuple[_Include, ...], bool]:
    text = _CONTINUATION.sub(b"", content)
    includes: dict[_Include, None] = {}
    computed = False
    for match in (*_INCLUDE.finditer(text), *_HAS_INCLUDE.finditer(text)):
        name = match["quoted"] or match["angled"]
        if name is None:
            computed = True
        else:
            every = match.groupdict().get("directive") == b"include_next"
            includes[_Include(name.decode(errors="surrogateescape"), match["quoted"] is not None, every)] = None
    return tuple(includes), computed


def _normal(path: Path) -> Path:
    """Without `.` and `..`; by resolving, because a folder before `..` may be a link."""
    return path.resolve() if ".." in path.parts else path


def _files_below(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path
