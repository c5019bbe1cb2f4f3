"""What a build knows of a broker that says which compilers run when: where it is, and what it is told.

Without one, nothing here does anything, and no command of a build is another one. With one, CMake starts compilers and
linkers by `admitted_command`, ahead of any launcher of the user's (`GpuWheelAdmission.cmake`).
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel.compile.cmake.admitted_command import SOCKET, Share

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["CELL", "FOLDER", "LAUNCH", "SHARE", "compilers_asked_for", "tell_kept", "without_launch"]

FOLDER = "GPUWHEEL_BROKER"
"""The variable with the broker's folder."""
CELL = "GPUWHEEL_BROKER_CELL"
"""The variable with the name of the cell, for the broker's events."""
SHARE = "GPUWHEEL_BROKER_SHARE"
"""The variable with how many compilers one cell may ask for, so that all cells together do not ask for too many."""
LAUNCH = "gpuwheel-launch"
"""The script in that folder by which commands are started; as in the CMake module."""


def compilers_asked_for(environ: Mapping[str, str], jobs: int) -> int:
    """How many compilers a build asks for at once: `jobs`, and with a broker more, so that it can choose."""
    folder = environ.get(FOLDER)
    # Each that waits is a Python of 8 MB. A variable may come further than the folder, into a container for one.
    if not folder or not Path(folder, SOCKET).exists():
        return jobs
    share = environ.get(SHARE, "")
    return min(2 * jobs + 6, int(share)) if share.isdecimal() and len(share) < 7 else 2 * jobs + 6  # noqa: PLR2004


def tell_kept(environ: Mapping[str, str], sources: Iterable[str]) -> None:
    """Tell the broker, if there is one, of sources that need not be compiled."""
    folder, listed = environ.get(FOLDER), list(sources)
    if folder and listed:
        with suppress(OSError):  # it is gone: nobody wants to know
            share = Share(folder)
            share.tell(json.dumps({"kept": listed, "cell": environ.get(CELL, "")}))
            share.close()


def without_launch(words: list[str]) -> list[str]:
    """A command as it is without the script of a broker ahead of it, and the shell that reads that."""
    places = [number for number, word in enumerate(words) if word.endswith(f"/{LAUNCH}")]
    return words[: places[0] - 1] + words[places[0] + 1 :] if places and places[0] else words
