"""Importing modules that stay until the process ends, unseen by the garbage collector."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["staying"]

_FIRST = iter((True,))


@contextmanager
def staying() -> Iterator[None]:
    """Import modules here: the garbage collector looks at them neither now nor at the end of the process.

    It would find nothing in them, and to look takes a tenth of a build in which nothing changed. Only the first time in
    a process, not where somebody else has settled what it looks at (`gc.freeze`, `gc.disable`), and in CPython alone.
    """
    # To count what is frozen means to walk through it, which takes as long as to import a command: asked once.
    if not hasattr(gc, "freeze") or not gc.isenabled() or not next(_FIRST, False) or gc.get_freeze_count():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
