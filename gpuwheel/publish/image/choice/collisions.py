"""What no image may hold: two wheels that write one path differently, and the driver's own libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from gpuwheel._endings import cut
from gpuwheel.binary.elf import read_elf
from gpuwheel.compatibility.sonames import load_sonames
from gpuwheel.errors import AuditError, ImageError
from gpuwheel.publish.image.image_table import image_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gpuwheel.publish.image.contents.installed import ImageFile
    from gpuwheel.publish.image.contents.opened_wheel import OpenWheel

__all__ = ["check_collisions", "check_driver_libraries"]

_ELF = b"\x7fELF"


def check_collisions(contents: Mapping[str, Sequence[ImageFile]]) -> None:
    """Make sure that no file overwrites another; the same bytes twice are no harm (`nvidia/__init__.py`).

    Args:
        contents: who installs -> what.

    Raises:
        ImageError: two write one path, or one has a file where the other has a folder; both are named.
    """
    owners: dict[str, tuple[str, ImageFile]] = {}
    for owner, files in contents.items():
        for file in files:
            other, before = owners.setdefault(file.path, (owner, file))
            # A mode that differs is no harm either: the later layer's counts.
            if other != owner and (file.digest, file.target) != (before.digest, before.target):
                raise _collision(file.path, other, owner)
    for path, (owner, _) in owners.items():
        at = path.rfind("/")
        while at > 0:
            above = owners.get(path[:at])
            if above is not None and not above[1].is_folder:
                raise _collision(path[:at], above[0], owner)
            at = path.rfind("/", 0, at)


def _collision(path: str, one: str, other: str) -> ImageError:
    msg = f"{one} and {other} both install /{cut(path)}, each with other content"
    return ImageError(
        msg, hint="leave one of the two out, or take a version of it without this file: one would overwrite the other"
    )


def check_driver_libraries(wheel: OpenWheel, files: Iterable[ImageFile]) -> None:
    """Make sure that a wheel brings no library of the NVIDIA driver, whatever it is called there.

    Stubs to link with are none. Libraries of the projects that data/providers.toml lists are known, and too large to be
    read for it.

    Raises:
        ImageError: it does; the file is named.
        AuditError: a file in it is damaged.
    """
    drivers = image_table().driver_libraries
    is_known = canonicalize_name(wheel.name.partition("-")[0]) in load_sonames().distributions
    for file in files:
        folders, _, name = file.path.rpartition("/")
        if "stubs" in folders.split("/"):
            continue
        soname = None if is_known or drivers.fullmatch(name) else _soname(wheel, file)
        if drivers.fullmatch(soname or name):
            found = cut(file.path) if soname is None else f"{cut(file.path)}, whose SONAME is {soname}"
            msg = f"{wheel.name} holds a library of the NVIDIA driver ({found}, expected none)"
            raise ImageError(msg, hint="leave the wheel out: the driver's libraries come from the host that runs it")


def _soname(wheel: OpenWheel, file: ImageFile) -> str | None:
    """What a shared library calls itself; `None`: it is none."""
    if file.member is None:
        return None
    blocks = wheel.archive.open(file.member)
    first = next(blocks, b"")
    if not first.startswith(_ELF):
        return None
    data = first + b"".join(blocks)
    try:
        return read_elf(data, file.path).soname
    except AuditError:
        return None  # nobody could load it
