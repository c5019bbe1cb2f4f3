"""What the options of a kernel group have NVRTC read: headers before the source, folders, what cannot be followed.

Source: NVRTC documentation, "Supported Compile Options".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["DeviceOptions"]

_PRE_INCLUDES = ("--pre-include", "-include")
_FOLDERS = ("--include-path", "-I")
# Compiled headers are kept by NVRTC, and what it writes of its own time is nobody's to keep.
_UNSEEN = ("-pch", "--pch", "--use-pch", "-use-pch", "--create-pch", "-create-pch", "--pch-dir", "-pch-dir")


@dataclass(frozen=True)
class DeviceOptions:
    """What the flags of a kernel group name."""

    first: tuple[str, ...]
    """Headers that are included before the source, in order."""
    include_dirs: tuple[Path, ...]
    """Folders to search."""
    unseen: str | None
    """An option by which something is read that nobody names."""

    @classmethod
    def of(cls, flags: Sequence[str], root: Path) -> DeviceOptions:
        """Of `flags`, as NVRTC reads them in the folder `root`."""
        first: list[str] = []
        folders: list[str] = []
        unseen = None
        waiting: list[str] | None = None
        for flag in flags:
            if waiting is not None:
                waiting.append(flag)
                waiting = None
                continue
            name, equals, value = flag.partition("=")
            if name.startswith("-I") and name != "-I":
                folders.append(flag[2:].strip())
            elif name in _PRE_INCLUDES or name in _FOLDERS:
                into = first if name in _PRE_INCLUDES else folders
                if equals:
                    into.append(value)
                else:
                    waiting = into
            elif name in _UNSEEN:
                unseen = flag
        return cls(tuple(first), tuple(root / folder for folder in folders), unseen)
