"""Which file is the user's, and which line of it an error comes from."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel.compile.messages.reading import Position

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.compile.messages.reading import Message

__all__ = ["Place", "include_line", "kernel_line", "position_of"]

_INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*(?:<([^>\n]+)>|"([^"\n]+)")', re.MULTILINE)
# An environment inside of the project (.venv) is not its source.
_INSTALLED = {"site-packages", "dist-packages", ".git", "node_modules"}
_SOURCES = (".cu", ".cpp", ".cc", ".cxx", ".c", ".C", ".c++")
_MOST_FILES = 4000  # that are opened to find out how a header was reached
_MOST_BYTES = 4 << 20  # of a file that is read


@dataclass(frozen=True)
class Place:
    """Where something was compiled."""

    root: Path
    """The user's project."""
    build: str
    """"group" (NVRTC), "embed", "nvcc", "compat" (with headers in place of torch's) or "cmake" (of the user's own)."""
    folder: Path | None = None
    """The CMake folder, to which names are relative; nothing in it is the user's. `None`: they are to the project."""
    source: str = ""
    """The one source that was compiled, relative to the project, if it was one."""
    include_dirs: tuple[Path, ...] = ()
    """Where headers were searched."""
    groups: tuple[str, ...] = ()
    """The project's kernel groups that are compiled."""

    def own(self, file: str) -> str | None:
        """A file's name relative to the project, if it is the user's."""
        if not file or file.startswith("<"):
            return None
        path = os.path.normpath(os.path.join(self.folder or self.root, file))  # noqa: PTH118 (pure, and for many lines)
        return next((found for root in self._roots if (found := self._below(path, root))), None)

    @property
    def _roots(self) -> tuple[str, ...]:
        # Compilers name files as they were given, or by their real path.
        return tuple(dict.fromkeys((str(self.root), os.path.realpath(self.root))))

    def _below(self, path: str, root: str) -> str | None:
        if not path.startswith(root + os.sep):
            return None
        generated = self.folder is not None and self.folder != self.root and Path(path).is_relative_to(self.folder)
        inner = path[len(root) + 1 :]
        return None if generated or _INSTALLED.intersection(Path(inner).parts) else inner

    def line(self, position: Position) -> str:
        """A line of the user's; empty if it cannot be read."""
        lines = _read(self.root / position.file).decode("utf-8", "replace").splitlines()
        return lines[position.line - 1] if 0 < position.line <= len(lines) else ""


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError:
        return b""


def position_of(message: Message, place: Place) -> Position | None:
    """The user's own place that a message comes from: line 0, where only the file is known."""
    here = [message.position] if message.position else []
    for position in (*here, *message.trail()):
        own = place.own(position.file)
        if own is not None:
            return Position(own, position.line, position.column)
    source = place.source or _compiled(message.command, place)
    if not source:
        return None
    include = include_line(source, message.position.file, place) if message.position else None
    return include or Position(source, 0)


def _compiled(command: str, place: Place) -> str:
    """The user's source that a command compiles."""
    # From the end, where CMake puts the source.
    for word in reversed(command.replace("\\ ", " ").split()):
        own = place.own(word.strip("\"'")) if word.strip("\"'").endswith(_SOURCES) else None
        if own is not None:
            return own
    return ""


def include_line(source: str, header: str, place: Place) -> Position | None:
    """The include by which `source` comes to read `header`: of those on the way, the user's that is nearest to it."""
    target = os.path.realpath(place.root / header)
    start = place.root / source
    reached: dict[Path, tuple[Path, int] | None] = {start: None}
    # Breadth first: the shortest way is the one that its author sees.
    waiting, path = [start], start
    while waiting and len(reached) < _MOST_FILES:
        path = waiting.pop(0)
        if os.path.realpath(path) == target:
            break
        for line, found in _included(path, place):
            if found not in reached:
                reached[found] = (path, line)
                waiting.append(found)
    else:
        return None
    step = reached[path]
    while step is not None:
        own = place.own(str(step[0]))
        if own is not None:
            return Position(own, step[1])
        step = reached[step[0]]
    return None


def _included(path: Path, place: Place) -> Iterator[tuple[int, Path]]:
    content = _read(path)
    for match in _INCLUDE.finditer(content):
        name = (match[1] or match[2]).decode("utf-8", "replace")
        folders = (path.parent, *place.include_dirs) if match[2] else place.include_dirs
        found = next((folder / name for folder in folders if (folder / name).is_file()), None)
        if found is not None:
            yield content.count(b"\n", 0, match.start()) + 1, found


def kernel_line(source: str, kernel: str, place: Place) -> int:
    """The line of `source` that defines a kernel (its name may have a namespace and template arguments), or 0."""
    text = _read(place.root / source).decode("utf-8", "replace")
    base = re.escape(kernel.partition("<")[0].rpartition("::")[2])
    match = re.search(rf"\b__global__\b[^;{{}}]*?\b(?P<name>{base})\s*\(", text)
    return text.count("\n", 0, match.start("name")) + 1 if match else 0
