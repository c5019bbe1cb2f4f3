"""How much memory a command and all that it started hold now, and how they are ended."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

__all__ = ["kill_tree", "memory_of"]

_PAGE = os.sysconf("SC_PAGE_SIZE")


_PROC = Path("/proc")


def memory_of(process: int) -> int:
    """Bytes that a process and its descendants hold; what they share counts for each, and who has ended not at all."""
    total = 0
    for one in _tree(process):
        with suppress(OSError, ValueError, IndexError):
            total += int((_PROC / str(one) / "statm").read_text(encoding="ascii").split()[1]) * _PAGE
    return total


def kill_tree(process: int) -> None:
    """Kill a process and its descendants."""
    for one in _tree(process):
        with suppress(OSError):
            os.kill(one, signal.SIGKILL)


def _tree(process: int) -> list[int]:
    """A process and its descendants, parents first (proc_tid_children(5))."""
    found = [process]
    for one in found:
        with suppress(OSError, ValueError):
            for children in (_PROC / str(one) / "task").glob("*/children"):
                found += [int(child) for child in children.read_text(encoding="ascii").split()]
    return found
