"""What was finished, a line for each wheel: written when the wheel is in its place, and read by `--resume`.

A line that a kill or a full disk cut short is as good as none, and the wheel is built again.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from gpuwheel._files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Finished", "Journal"]


@dataclass(frozen=True)
class Finished:
    """A wheel that is in its place."""

    key: str
    """Of the task that made it."""
    identifier: str
    """Of its cell."""
    wheel: str
    """Name of the file."""
    sha256: str
    """Of the file."""
    size: int
    """Bytes of the file."""
    seconds: float
    """That building it took, by the clock on the wall."""


class Journal:
    """The file of one wheelhouse."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, finished: Finished) -> None:
        """Append a line, which is on the disk when this returns.

        Raises:
            OSError: it cannot be written.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(asdict(finished), sort_keys=True).encode() + b"\n"
        # One write to a file opened for appending: lines of two processes do not mix (write(2), O_APPEND).
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            # A line that was cut short ends here, or this one would be part of it.
            start = b"" if self._ends_whole() else b"\n"
            os.write(descriptor, start + line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def finished(self, keys: Mapping[str, str], wheelhouse: Path) -> dict[str, Finished]:
        """By key: the wheels of these tasks (key -> identifier) that are in `wheelhouse` as they were noted."""
        noted = {one.key: one for one in self._lines() if keys.get(one.key) == one.identifier}
        return {key: one for key, one in noted.items() if _is_whole(wheelhouse / one.wheel, one)}

    def every(self) -> list[Finished]:
        """Every wheel that was ever noted, the latest last; nothing of a file that cannot be read."""
        try:
            return list(self._lines())
        except OSError:
            return []

    def _ends_whole(self) -> bool:
        try:
            with self._path.open("rb") as file:
                file.seek(-1, os.SEEK_END)
                return file.read() == b"\n"
        except OSError:
            return True

    def _lines(self) -> Iterator[Finished]:
        try:
            with self._path.open("rb") as file:
                text = file.read()
        except FileNotFoundError:
            return
        for line in text.split(b"\n"):
            found = _line(line)
            if found is not None:
                yield found


def _line(text: bytes) -> Finished | None:
    try:
        document: Any = json.loads(text)
        found = Finished(**document)
    except (ValueError, TypeError, RecursionError):
        return None
    numbers = isinstance(found.size, int) and isinstance(found.seconds, (int, float))
    texts = (found.key, found.identifier, found.wheel, found.sha256)
    right = numbers and all(isinstance(text, str) for text in texts)
    # A name of a file, and no path that leads elsewhere.
    return found if right and found.wheel.endswith(".whl") and "/" not in found.wheel else None


def _is_whole(path: Path, noted: Finished) -> bool:
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_size == noted.size and sha256_of(file) == noted.sha256
    except OSError:
        return False
