"""How it is told that a text of PTX cannot be read: the line, what stands there, what was expected."""

from __future__ import annotations

from typing import NoReturn

from gpuwheel._limits import SHOWN_TEXT
from gpuwheel.errors import PtxError

__all__ = ["UnexpectedError", "refuse"]

_HINT = "compile it again with nvcc or NVRTC; if this is what they wrote, it is a bug of gpuwheel"


class UnexpectedError(Exception):
    """Something that the grammar does not have at this place; its message is what was expected."""


def refuse(line: int, found: str, expected: str) -> NoReturn:
    """Say that a statement cannot be read.

    Raises:
        PtxError: always.
    """
    shown = " ".join(found[: SHOWN_TEXT.value].split())
    if len(found) > SHOWN_TEXT.value:
        shown += f"... ({len(found):,} characters)"
    msg = f"line {line} of the PTX cannot be read (found `{shown}`, expected {expected})"
    raise PtxError(msg, hint=_HINT)
