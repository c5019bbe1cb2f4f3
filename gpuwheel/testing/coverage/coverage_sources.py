"""Sources that PTX names, where they are on this machine: a wheel may have been built elsewhere."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from gpuwheel.testing.coverage.coverage_counts import Coverage

__all__ = ["CoveredSource", "covered_sources"]

_SUFFIXES = {".cu", ".cuh", ".h", ".hh", ".hpp", ".hxx", ".inl", ".inc", ".cpp", ".cc", ".cxx"}
_VIRTUAL = re.compile(r"/proc/self/(?:cwd|fd/\d+)/")
"""What stands for folders of the machine that gpuwheel compiles on (compile/device/command_line.py)."""
_PASSED_BY = {"__pycache__", "build", "dist", "node_modules", "site-packages", "venv"}


@dataclass(frozen=True)
class CoveredSource:
    """A source of the project."""

    path: Path
    name: str
    """Below the project's folder."""
    lines: Mapping[int, int]
    """How many threads executed each line that device code was made of."""

    @property
    def executed(self) -> int:
        """Lines that any thread executed."""
        return sum(1 for count in self.lines.values() if count)

    @property
    def missed(self) -> list[int]:
        """Lines that none executed."""
        return sorted(line for line, count in self.lines.items() if not count)


def covered_sources(coverage: Coverage, root: Path) -> tuple[list[CoveredSource], list[str]]:
    """The sources below a folder, by name, and what else the PTX names (headers of CUDA, files of other machines).

    A source is the file of that name, or the one file below `root` whose path ends with the most folders of it.
    """
    root = root.resolve()
    below = _by_name(root)
    found: dict[Path, dict[int, int]] = defaultdict(dict)
    elsewhere = []
    for name, lines in coverage.files.items():
        path = _placed(PurePosixPath(name), root, below)
        if path is None:
            elsewhere.append(name)
            continue
        known = found[path]
        for line, count in lines.items():
            known[line] = known.get(line, 0) + count
    sources = [CoveredSource(path, path.relative_to(root).as_posix(), lines) for path, lines in found.items()]
    return sorted(sources, key=lambda source: source.name), sorted(elsewhere)


def _by_name(root: Path) -> Mapping[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for path in _files(root):
        found[path.name].append(path)
    return found


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(each for each in folders if each not in _PASSED_BY and not each.startswith("."))
        yield from (Path(folder, name) for name in names if Path(name).suffix in _SUFFIXES)


def _placed(name: PurePosixPath, root: Path, below: Mapping[str, list[Path]]) -> Path | None:
    name = PurePosixPath(_VIRTUAL.sub("", str(name)))
    direct = Path(root, name)
    if direct.is_file():
        direct = direct.resolve()
        if direct.is_relative_to(root) or name.is_absolute():  # it may be on this machine, and not the project's
            return direct if direct.is_relative_to(root) else None
    scored = sorted(((_shared(name, path, root), path) for path in below.get(name.name, ())), reverse=True)
    scored = [(count, path) for count, path in scored if count]
    if not scored or (len(scored) > 1 and scored[0][0] == scored[1][0]):
        return None
    return scored[0][1]


def _shared(name: PurePosixPath, path: Path, root: Path) -> int:
    """How many of the last parts are the same; 0: too few to tell it from another's file of that name."""
    own = path.relative_to(root).parts
    pairs: Iterable[tuple[str, str]] = zip(reversed(name.parts), reversed(own), strict=False)
    count = 0
    for mine, its in pairs:
        if mine != its:
            break
        count += 1
    return count if count > 1 or count in {len(own), len(name.parts)} else 0
