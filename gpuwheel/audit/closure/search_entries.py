"""Where the loader looks for a library, by the text of a search path: ld.so(8), glibc's `elf/dl-load.c`.

All folders are those of an installed wheel, as paths in site-packages; what leaves it is told apart, because nothing is
known of what lies there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuwheel.binary.elf import ElfFile

__all__ = ["Entry", "Leads", "entries", "installed_folder", "library_folder"]

_WHEEL_DATA = re.compile(r"[^/]+\.data/(?P<scheme>[^/]+)/(?P<rest>.*)")
_IN_SITE_PACKAGES = {"purelib", "platlib"}
# A name that goes on in capital letters is another one (`is_dst`).
_TOKEN = re.compile(r"\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM)(?![A-Z_]))")
# $LIB is a choice of the distribution of Linux: Fedora's, Debian's, and that of 32 bits before all.
_LIB = {"x86_64": ("lib64", "lib/x86_64-linux-gnu", "lib"), "aarch64": ("lib64", "lib/aarch64-linux-gnu", "lib")}


class Leads(Enum):
    """Where an entry leads."""

    INSIDE = "into site-packages"
    OUTSIDE = "out of site-packages"
    ABSOLUTE = "to a folder of one machine"
    CURRENT = "to the current folder"


@dataclass(frozen=True)
class Entry:
    """One entry of a search path."""

    text: str
    """As it is written."""
    leads: Leads
    folders: tuple[str, ...] = ()
    """In site-packages."""


def installed_folder(member: str) -> str | None:
    """The folder in site-packages that a member of a wheel is installed to; "." is site-packages itself.

    `None` for what is installed elsewhere (`.data/scripts`, `.data/data`: the Binary distribution format).
    """
    match = _WHEEL_DATA.fullmatch(member)
    if match is not None:
        if match["scheme"] not in _IN_SITE_PACKAGES:
            return None
        member = match["rest"]
    return member.rpartition("/")[0] or "."


def library_folder(library: ElfFile) -> str | None:
    """The folder in site-packages that a library is installed to."""
    return installed_folder(library.name)


def entries(path: str | None, folder: str | None, machine: str) -> tuple[Entry, ...]:
    """The entries of DT_RPATH or DT_RUNPATH of a library in `folder`; none of a path without any text."""
    if not path:
        return ()
    return tuple(_entry(text, folder, machine) for text in path.split(":"))


def _entry(text: str, folder: str | None, machine: str) -> Entry:
    tokens = {match[1] or match[2] for match in _TOKEN.finditer(text)}
    origin = re.match(r"\$(?:\{ORIGIN\}|ORIGIN(?![A-Z_]))(?=/|$)", text)
    if origin is None:
        return Entry(text, Leads.ABSOLUTE if text.startswith("/") else Leads.CURRENT)
    if folder is None:
        return Entry(text, Leads.INSIDE)  # of a program in the folder of scripts: it leads somewhere in the environment
    rest = text[origin.end() :]
    values = _LIB.get(machine, ("lib",)) if "LIB" in tokens else ("",)
    found = []
    for value in values:
        expanded = _TOKEN.sub(lambda match, value=value: value if "LIB" in match[0] else machine, rest)  # type: ignore[misc]
        place = _joined(folder, expanded)
        if place is None:
            return Entry(text, Leads.OUTSIDE)
        found.append(place)
    return Entry(text, Leads.INSIDE, tuple(found))


def _joined(folder: str, rest: str) -> str | None:
    """`folder` and what follows $ORIGIN, without dots; `None` where that leaves site-packages on its way."""
    parts = [] if folder == "." else folder.split("/")
    for part in rest.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts) or "."
