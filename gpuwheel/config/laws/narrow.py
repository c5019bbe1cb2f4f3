"""Lines of sources, and of the project's headers that they include, which tie a wheel to one torch or one Python."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from gpuwheel.config.files.globs import resolve_sources
from gpuwheel.config.reading.mistakes import dotted
from gpuwheel.model.choices import Mode
from gpuwheel.model.libraries import NarrowLine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from gpuwheel.config.model import Settings

__all__ = ["narrow_lines", "ties_of"]

_DIRECTIVE = re.compile(
    rb"^[ \t]*\#[ \t]*(?:(?P<word>if|ifdef|ifndef|endif)\b[ \t]*(?P<name>\w*)"
    rb"|(?:include|include_next)[ \t]*(?:<(?P<angled>[^>\n]+)>|\"(?P<quoted>[^\"\n]+)\"))",
    re.MULTILINE,
)
# The guard of a header is no condition: its #ifndef holds for the first reading, which is the one that counts.
_GUARD = re.compile(rb"\s*(?:/\*.*?\*/\s*|//[^\n]*\n\s*)*\#\s*ifndef\s+(\w+)[^\n]*\n\s*\#\s*define\s+\1\b", re.DOTALL)
# Headers of the C++ ABI. torch/csrc/stable and torch/headeronly, which tie to nothing, are not among them.
_TORCH_HEADERS = (
    "ATen/",
    "c10/",
    "torch/extension.h",
    "torch/all.h",
    "torch/torch.h",
    "torch/library.h",
    "torch/script.h",
)
_PYTHON_HEADERS = ("Python.h", "pybind11/", "nanobind/", "torch/extension.h", "torch/python.h")
_LARGEST = 4 * 1024 * 1024
"""Bytes of a file that are read: no header written by people is larger."""


def narrow_lines(settings: Settings, root: Path) -> tuple[NarrowLine, ...]:
    """Those of extensions in mode `nvcc`: of each, first lines of its sources, then lines of headers."""
    reader = _Reader(root)
    return tuple(
        line
        for name, extension in settings.extensions.items()
        if extension.mode is Mode.NVCC
        for line in reader.lines(
            name,
            resolve_sources(root, extension.sources, dotted(("extensions", name, "sources"))),
            [root / folder for folder in extension.include_dirs],
        )
    )


def ties_of(header: str) -> tuple[bool, bool]:
    """Whether including `header` ties to one torch, and whether to one Python."""
    return header.startswith(_TORCH_HEADERS), header.startswith(_PYTHON_HEADERS)


class _Include(NamedTuple):
    number: int
    name: str
    quoted: bool
    conditional: bool
    """Whether it stands below `#if`, other than the one that keeps a header from being read twice."""


@dataclass(frozen=True)
class _Chain:
    """How a line is reached from a source."""

    places: tuple[str, ...] = ()
    """The line, then the one that includes its file, and so on to the source's."""
    conditional: bool = False
    """Whether a line of a header on the way stands below a condition; those of sources count as they are."""

    def then(self, place: str, *, conditional: bool) -> _Chain:
        return _Chain((place, *self.places), self.conditional or (bool(self.places) and conditional))

    def __str__(self) -> str:
        return self.places[0] + (f" (from {', '.join(self.places[1:])})" if len(self.places) > 1 else "")


@dataclass
class _Reader:
    """Reads each file once."""

    root: Path
    _includes: dict[Path, tuple[_Include, ...] | None] = field(default_factory=dict)

    def lines(self, extension: str, sources: Iterable[Path], folders: list[Path]) -> Iterator[NarrowLine]:
        sources = tuple(sources)
        # Each file once, by the shortest way: breadth first, level by level.
        seen = set(sources)
        waiting = [(path, _Chain()) for path in sources]
        while waiting:
            following: list[tuple[Path, _Chain]] = []
            for path, chain in waiting:
                for include in self._of(path) or ():
                    here = chain.then(f"{self._shown(path)}:{include.number}", conditional=include.conditional)
                    found = self._find(include, path, folders)
                    if found is None:
                        yield from _narrow(extension, include.name, here)
                    elif found not in seen:
                        seen.add(found)
                        following.append((found, here))
            waiting = following

    def _find(self, include: _Include, path: Path, folders: list[Path]) -> Path | None:
        # The folder of the including file first for quotes alone (GCC manual, "Search Path").
        for folder in (path.parent, *folders) if include.quoted else folders:
            candidate = folder / include.name
            if self._of(candidate) is not None:
                return candidate
        return None

    def _of(self, path: Path) -> tuple[_Include, ...] | None:
        if path not in self._includes:
            try:
                if path.is_file():
                    with path.open("rb") as file:
                        self._includes[path] = tuple(_scan(file.read(_LARGEST)))
                else:
                    self._includes[path] = None
            except (OSError, ValueError):
                self._includes[path] = None
        return self._includes[path]

    def _shown(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)


def _scan(text: bytes) -> Iterator[_Include]:
    guard = _GUARD.match(text)
    # So that everything between #ifndef of the guard and its #endif is at 0.
    depth = -1 if guard else 0
    number, position = 1, 0
    for match in _DIRECTIVE.finditer(text):
        # Counted on from the last match: from the start each time would be quadratic.
        number += text.count(b"\n", position, match.start())
        position = match.start()
        if match["word"]:
            depth += -1 if match["word"] == b"endif" else 1
        else:
            name = match["quoted"] or match["angled"]
            yield _Include(number, name.decode(errors="replace"), match["quoted"] is not None, depth > 0)


def _narrow(extension: str, header: str, chain: _Chain) -> Iterator[NarrowLine]:
    torch, python = ties_of(header)
    if torch or python:
        yield NarrowLine(extension, str(chain), header, torch=torch, python=python, conditional=chain.conditional)
