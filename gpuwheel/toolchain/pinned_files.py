"""The files of pins that a Python and a machine take, and the key of a folder that holds them unpacked."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from packaging.tags import sys_tags

from gpuwheel.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gpuwheel.model.pins import Pin, PinnedFile

__all__ = ["files_for", "files_on", "tree_key"]


def files_for(pins: Iterable[Pin], hint: str) -> dict[Pin, PinnedFile]:
    """What an installer would take of each pin.

    Raises:
        ToolchainError: with `hint`, a pin has no file for this Python and machine.
    """
    # Made once: the list has hundreds.
    tags = tuple(sys_tags())
    return {pin: _present(pin.file_for(tags), pin, f"this Python and machine (found {tags[0]})", hint) for pin in pins}


def files_on(machine: str, pins: Iterable[Pin], hint: str) -> dict[Pin, PinnedFile]:
    """The file of each pin for a CPU architecture; for distributions that have one for all Pythons.

    Raises:
        ToolchainError: with `hint`, a pin has no file for it.
    """
    found = {pin: ", ".join(file.filename for file in pin.files) for pin in pins}
    return {pin: _present(pin.file_on(machine), pin, f"{machine} (found {found[pin]})", hint) for pin in found}


def _present(file: PinnedFile | None, pin: Pin, place: str, hint: str) -> PinnedFile:
    if file is None:
        msg = f"{pin.requirement} has no file for {place}"
        raise ToolchainError(msg, hint=hint)
    return file


def tree_key(files: Mapping[Pin, PinnedFile], layout: str) -> str:
    """The key of the folder that the files are unpacked into; another `layout` is another folder."""
    lines = sorted(f"{file.filename} {file.sha256}" for file in files.values())
    return hashlib.sha256("\n".join([layout, *lines]).encode()).hexdigest()
