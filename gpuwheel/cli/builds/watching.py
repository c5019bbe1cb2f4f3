"""Waiting for a source to change, by looking: that works in containers and on network disks, and needs nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Watched"]

_PAUSE = 0.3  # seconds between two looks
_ENDINGS = {
    *(".cu", ".cuh", ".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".hxx", ".inc", ".inl", ".ipp", ".tpp"),
    *(".S", ".ptx", ".cmake", ".in", ".map", ".def", ".txt", ".toml", ".py"),
}
_NOT_OURS = {"build", "dist", "node_modules", "__pycache__"}
_MOST = 50_000  # files


class Watched:
    """The sources of a project: every file of a kind that compilers, CMake or gpuwheel read."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen: dict[str, tuple[int, int]] = {}

    def look(self) -> None:
        """What is there now is known."""
        self._seen = self._states()

    def know(self, paths: Iterable[Path]) -> None:
        """What a build wrote is known; what somebody else changed meanwhile is not."""
        states = self._states()
        self._seen |= {str(path): states[str(path)] for path in paths if str(path) in states}

    def wait(self) -> list[Path]:
        """Return when something is not as it was, and nothing changes any more: editors and git write many files."""
        before = self._states()
        while before == self._seen:
            time.sleep(_PAUSE)
            before = self._states()
        while True:
            time.sleep(_PAUSE)
            now = self._states()
            if now == before:
                break
            before = now
        changed = {path for path, state in now.items() if self._seen.get(path) != state} | (self._seen.keys() - now)
        return [Path(path) for path in sorted(changed)] or [self._root]

    def _states(self) -> dict[str, tuple[int, int]]:
        states: dict[str, tuple[int, int]] = {}
        for parent, folders, names in os.walk(self._root):
            # In place: os.walk then stays out of them.
            folders[:] = [name for name in folders if name not in _NOT_OURS and not name.startswith(".")]
            for name in names:
                path = os.path.join(parent, name)  # noqa: PTH118  # Path objects would take most of the time
                if os.path.splitext(name)[1] not in _ENDINGS or len(states) >= _MOST:  # noqa: PTH122
                    continue
                try:
                    found = os.stat(path)  # noqa: PTH116
                except OSError:
                    continue
                states[path] = (found.st_size, found.st_mtime_ns)
        return states
