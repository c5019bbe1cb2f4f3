"""Folders in which projects are rendered, and what killed processes left of them."""

from __future__ import annotations

import os
import platform
import re
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["clear_leftovers", "leftover_prefix"]

_NAME = re.compile(r"\.gpuwheel-new-(?P<host>[0-9a-f]+)-(?P<process>\d+)-[a-z0-9_]+")


def leftover_prefix() -> str:
    """The beginning of such a folder's name, which says whose it is; short, whatever the project is called."""
    return f".gpuwheel-new-{_host()}-{os.getpid()}-"


def clear_leftovers(parent: Path) -> None:
    """Delete those in `parent` whose process, on this machine, is not there any more."""
    try:
        names = os.listdir(parent)  # noqa: PTH208 (names)
    except OSError:
        return
    for name in names:
        match = _NAME.fullmatch(name)
        if match and match["host"] == _host() and not _runs(int(match["process"])):
            shutil.rmtree(parent / name, ignore_errors=True)


def _host() -> str:
    """This machine's name, in characters for a file: on a network disk other machines' folders lie beside ours."""
    return platform.node().encode().hex()[:24] or "0"


def _runs(process: int) -> bool:
    with suppress(PermissionError, OverflowError):  # somebody else's process has the number
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    return True
