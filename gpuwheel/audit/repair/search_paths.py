"""Search paths that lead to what requirements bring, and to nothing of another machine: set by patchelf."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from gpuwheel._run import ProcessFailedError, run
from gpuwheel.audit.repair.auditwheel import INSTALL, surroundings
from gpuwheel.audit.repair.library_folders import folder_of
from gpuwheel.audit.repair.needs import Origin
from gpuwheel.binary.elf import MACHINES
from gpuwheel.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from gpuwheel.audit.repair.needs import Need
    from gpuwheel.binary.elf import ElfFile

__all__ = ["mended_path", "set_search_path"]

_ORIGIN = "$ORIGIN"
_FROM_ORIGIN = re.compile(r"\$(?:ORIGIN|\{ORIGIN\})(?:/|$)")


def mended_path(library: ElfFile, libraries: Sequence[ElfFile], needs: Sequence[Need]) -> tuple[str, ...] | None:
    """The search path that a library should have; `None` where the one it has will do.

    What is there and leads into site-packages stays, in its order. An absolute entry goes: it is a folder of some other
    machine. So does an empty one, which is the current folder.
    """
    here = _installed(library.name)
    if library.machine not in MACHINES or here is None:
        return None
    # Where there is a DT_RUNPATH, an empty one too, the loader does not look at DT_RPATH.
    text = library.runpath if library.runpath is not None else library.rpath
    present = tuple(text.split(":")) if text else ()
    kept = [entry for entry in present if _FROM_ORIGIN.match(entry)]
    reached = {_resolved(here, entry) for entry in kept}
    wanted = dict.fromkeys(folder for folder in _folders(library, libraries, needs) if folder not in reached)
    added = [_from(here, folder) for folder in wanted]
    new = (*kept, *added)
    return None if new == present else new


def _folders(library: ElfFile, libraries: Sequence[ElfFile], needs: Sequence[Need]) -> Iterator[str]:
    """Folders of site-packages that hold what it needs, where that is known."""
    origin = {need.soname: need for need in needs}
    for soname in library.needed:
        need = origin.get(soname)
        if need is None:
            continue
        if need.origin is Origin.REQUIRED and need.by is not None:
            folder = folder_of(soname, need.by)
        elif need.origin is Origin.WHEEL:
            names = (one.name for one in libraries if soname in {one.soname, posixpath.basename(one.name)})
            places = {None if path is None else posixpath.dirname(path) for path in map(_installed, names)}
            folder = places.pop() if len(places) == 1 else None
        else:
            folder = None
        if folder is not None:
            yield folder


def _installed(member: str) -> str | None:
    """Where a member will lie in site-packages; `None`: somewhere else (scripts, data)."""
    head, _, rest = member.partition("/")
    if not head.endswith(".data"):
        return member
    scheme, _, path = rest.partition("/")
    return path if scheme in {"platlib", "purelib"} else None


def _resolved(here: str, entry: str) -> str:
    rest = entry.replace("${ORIGIN}", _ORIGIN).removeprefix(_ORIGIN).lstrip("/")
    return posixpath.normpath(posixpath.join(posixpath.dirname(here) or ".", rest))


def _from(here: str, folder: str) -> str:
    relative = posixpath.relpath(folder or ".", posixpath.dirname(here) or ".")
    return _ORIGIN if relative == "." else f"{_ORIGIN}/{relative}"


def set_search_path(
    path: Path, library: ElfFile, entries: Sequence[str], environ: Mapping[str, str]
) -> tuple[str, int]:
    """Give a file its search path, in the tag that it has: DT_RPATH stays one, for it serves other libraries too.

    Raises:
        ToolchainError: patchelf is missing, or cannot do it.
    """
    text = ":".join(entries)
    words = ["--set-rpath", text] if entries else ["--remove-rpath"]
    if library.rpath is not None and library.runpath is None:
        words.insert(0, "--force-rpath")
    try:
        run(["patchelf", *words, path], env=surroundings(environ))
    except FileNotFoundError as error:
        msg = "patchelf is not installed (it sets the search paths of libraries)"
        raise ToolchainError(msg, hint=INSTALL) from error
    except ProcessFailedError as error:
        msg = f"patchelf cannot set the search path of {library.name} (its words are above)"
        raise ToolchainError(msg, hint=f"upgrade it: {INSTALL}", detail=error.completed.output) from error
    before = ":".join(library.search_path) or "nothing"
    return f"looks into {text or 'nothing'} (before: {before})", 0
