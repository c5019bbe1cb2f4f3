"""How much memory a command and all that it started hold now."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["memory_of"]

_PAGE = os.sysconf("SC_PAGE_SIZE")


def memory_of(process: int, proc: Path = Path("/proc")) -> int:
    """Bytes that a process and its descendants hold; what they share counts for each, and who has ended not at all."""
    total = 0
    waiting = [process]
    while waiting:
        one = waiting.pop()
        with suppress(OSError, ValueError, IndexError):
            total += int((proc / str(one) / "statm").read_text(encoding="ascii").split()[1]) * _PAGE
            for children in (proc / str(one) / "task").glob("*/children"):
                waiting += [int(child) for child in children.read_text(encoding="ascii").split()]
    return total
