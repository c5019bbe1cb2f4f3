"""Where in the project something happened, and what else it did than to call `setup()`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["Note", "Notes"]


class Note(NamedTuple):
    """Something that setup.py did, which nobody will do any more once it is gone."""

    kind: str
    """"writes", "runs", "asks" or "version"."""
    what: str
    place: str


class Notes:
    """Notes of one run."""

    def __init__(self, root: str) -> None:
        self._root = root + os.sep
        # A dictionary, for a set that keeps its order.
        self.all: dict[Note, None] = {}

    def add(self, kind: str, what: str) -> None:
        """Remember what the project does at this moment."""
        self.all[Note(kind, what, self.place())] = None

    def place(self) -> str:
        """The line of the project that is being executed: "setup.py:12"."""
        frame: FrameType | None = sys._getframe()  # noqa: SLF001 (traceback reads the source of every frame)
        while frame is not None:
            name = frame.f_code.co_filename
            path = os.path.abspath(name)
            if path.startswith(self._root) and not name.startswith("<"):  # "<frozen os>"
                return f"{path[len(self._root) :]}:{frame.f_lineno}"
            frame = frame.f_back
        return "setup.py"
