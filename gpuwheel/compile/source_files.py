"""Source files, which end: what a directive names may be a device, a pipe, or nothing that a disk can hold."""

from __future__ import annotations

import errno
import stat
from typing import TYPE_CHECKING

from gpuwheel._endings import because, cut
from gpuwheel._limits import SOURCE_FILE
from gpuwheel.errors import CompileError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["source_bytes"]

_HINT = "correct the #include"
_NEVER_THERE = {errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES}


def source_bytes(path: Path) -> bytes | None:
    """What a source file holds; `None` where there is no file.

    Raises:
        CompileError: it is a device or a pipe, is larger than the limit, or has no name that a disk takes.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno not in _NEVER_THERE:
            return None
        msg = f"{cut(ascii(str(path)))} is included and cannot be read ({because(error)}, expected a source file)"
        raise CompileError(msg, hint=_HINT) from error
    if stat.S_ISDIR(status.st_mode):
        return None
    is_file = stat.S_ISREG(status.st_mode)
    if not is_file or status.st_size > SOURCE_FILE.value:
        found = SOURCE_FILE.passed(f"{status.st_size:,}") if is_file else "found a device or a pipe, expected a file"
        msg = f"{cut(path)} is not a source file ({found})"
        raise CompileError(msg, hint=_HINT)
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):  # gone meanwhile
        return None
