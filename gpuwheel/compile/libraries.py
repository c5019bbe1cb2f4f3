"""What was compiled and linked, in the cache: what did not change is not configured, compiled or linked again.

Two things are kept: linked libraries, and objects of their sources, which serve where others changed. A key holds all
that gpuwheel gives the compilers, by content (`recipes`). What they found by themselves, in system folders, is noted
with size and time when it was read, and has to be as it was then (the "direct mode" of ccache).
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel._run import run
from gpuwheel.compile.store import ContentStore, Stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from gpuwheel._cache import Cache

__all__ = ["LibraryStore", "LinkedFile", "Output", "Recipe", "Unit"]

Output = tuple[str, str]
"""The CMake target that makes an object, and its source."""


@dataclass(frozen=True)
class Unit:
    """Objects that are kept together."""

    key: str
    outputs: tuple[Output, ...]
    linkable: bool = True
    """Whether they can be linked by themselves, with their sources unknown to CMake."""


@dataclass(frozen=True)
class Recipe:
    """What a project is made from."""

    units: tuple[Unit, ...]
    linked: str
    """The key of its libraries."""
    covered: tuple[str, ...]
    """Folders whose contents the keys cover."""


@dataclass(frozen=True)
class LinkedFile:
    """A library as it goes into the wheel."""

    name: str
    """Member of the wheel, for example "fused_ops/_C.so"."""
    data: bytes
    executable: bool


class LibraryStore:
    """What one project became before, and becomes now."""

    def __init__(self, cache: Cache, recipe: Recipe | None) -> None:
        """`None`: something has a say that no key covers, so nothing is found or kept."""
        self._store = ContentStore(cache, "libraries")
        self._recipe = recipe

    def linked(self) -> list[LinkedFile] | None:
        """The libraries, if the same ones were linked before."""
        stored = None if self._recipe is None else self._load(self._recipe.linked)
        if stored is None:
            return None
        pieces = _pieces(stored.content, [size for _, size, _ in stored.facts["files"]])
        files = zip(stored.facts["files"], pieces, strict=True)
        return [LinkedFile(name, data, executable) for (name, _, executable), data in files]

    def objects(self, folder: Path) -> dict[Output, Path]:
        """The objects that were compiled before, written into `folder`."""
        found: dict[Output, Path] = {}
        for unit in self._recipe.units if self._recipe else ():
            stored = self._load(unit.key) if unit.linkable else None
            if stored is None:
                continue
            folder.mkdir(parents=True, exist_ok=True)
            for output, data in zip(unit.outputs, _pieces(stored.content, stored.facts["sizes"]), strict=True):
                found[output] = folder / f"{len(found)}.o"
                found[output].write_bytes(data)
        return found

    def save(self, files: Sequence[LinkedFile], build: Path) -> None:
        """Keep what was linked in the CMake folder `build`, and the objects that were compiled there.

        Raises:
            CacheError: the cache cannot be written.
        """
        if self._recipe is None:
            return
        made = _Made.of(build)
        read: dict[str, list[int] | None] = {}
        for unit in self._recipe.units:
            stored = self._load(unit.key)
            if stored is None:
                stored = None if made is None else self._compiled(unit, made, build)
                if stored is None:
                    return
                self._store.save(unit.key, stored)
            read |= stored.facts["read"]
        facts = {"read": read, "files": [[file.name, len(file.data), file.executable] for file in files]}
        self._store.save(self._recipe.linked, Stored(facts, b"".join(file.data for file in files)))

    def _load(self, key: str) -> Stored | None:
        """An entry whose system files are what they were."""
        stored = self._store.load(key)
        if stored is None or any(_state(path) != state for path, state in stored.facts["read"].items()):
            return None
        return stored

    def _compiled(self, unit: Unit, made: _Made, build: Path) -> Stored | None:
        """The objects of a unit; `None` where it cannot be told what the compiler read."""
        read: set[str] = set()
        contents = []
        for output in unit.outputs:
            target, _ = output
            if output not in made.objects or target not in made.read:
                return None
            read |= made.read[target]
            contents.append(made.objects[output].read_bytes())
        places = () if self._recipe is None else self._recipe.covered
        covered = tuple(f"{place}{os.sep}" for place in (build.parent, *places))
        facts = {
            "read": {path: _state(path) for path in sorted(read) if not path.startswith(covered)},
            "sizes": [len(content) for content in contents],
        }
        return Stored(facts, b"".join(contents))


@dataclass(frozen=True)
class _Made:
    """What Ninja made in a CMake folder."""

    objects: dict[Output, Path]
    read: dict[str, set[str]]
    """CMake target -> every file that compilers read for it."""

    @classmethod
    def of(cls, build: Path) -> _Made | None:
        """`None` if another program than Ninja made the build."""
        cache = build / "CMakeCache.txt"
        if not (build / ".ninja_deps").is_file() or not cache.is_file():
            return None
        ninja = re.search(r"^CMAKE_MAKE_PROGRAM:\w+=(.+)$", cache.read_text(encoding="utf-8"), re.MULTILINE)
        if ninja is None:
            return None
        read: dict[str, set[str]] = {}
        target = ""
        for line in run([ninja[1], "-C", build, "-t", "deps"]).stdout.splitlines():
            if not line.startswith(" "):
                target = _target(line)
            else:
                read.setdefault(target, set()).add(os.path.normpath(build / line.strip()))
        commands = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
        objects = {(_target(it["output"]), it["file"]): build / it["output"] for it in commands if "output" in it}
        return cls(objects, read)


def _target(output: str) -> str:
    """The CMake target that a file belongs to, or nothing."""
    match = re.search(r"(?:^|/)CMakeFiles/(\w+)\.dir/", output)
    return match[1] if match else ""


def _pieces(content: bytes, sizes: Iterable[int]) -> list[bytes]:
    """`content` cut into parts of these sizes."""
    pieces, offset = [], 0
    for size in sizes:
        pieces.append(content[offset : offset + size])
        offset += size
    return pieces


def _state(path: str) -> list[int] | None:
    """Size in bytes and time in ns; `None` if the file is gone."""
    try:
        found = os.stat(path)  # noqa: PTH116 (hundreds of files: Path objects would take most of the time)
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]
