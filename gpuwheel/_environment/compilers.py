"""Which programs are compilers themselves, whose own file says what they do."""

from __future__ import annotations

import os
import re

__all__ = ["is_compiler"]

_COMPILER = re.compile(r"(?:[\w.+-]+-)?(?:g\+\+|gcc|c\+\+|cc|clang|clang\+\+)(?:-[\d.]+)?")
# As in binary.elf, a layer above this one.
_MAGIC = b"\x7fELF"


def is_compiler(program: str) -> bool:
    """Whether a program is a compiler by its name, links followed, and by its first bytes.

    What a script or a launcher does depends on more than its own file.
    """
    path = os.path.realpath(program)
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            magic = file.read(len(_MAGIC))
    except OSError:
        return False
    return magic == _MAGIC and _COMPILER.fullmatch(os.path.basename(path)) is not None  # noqa: PTH119
