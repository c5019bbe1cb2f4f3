"""Why a library is not found, and where it lies if it lies somewhere."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

from gpuwheel.audit.closure.search_entries import library_folder
from gpuwheel.compatibility.sonames import stem

if TYPE_CHECKING:
    from gpuwheel.audit.closure.closures import Closure, Lack

__all__ = ["Kind", "kind_of", "other_major", "place_of"]

# Libraries of which each CUDA major has its own SONAME: what torch is built for decides.
_BY_MAJOR = re.compile(r"lib(?:cudart|cublas|cublasLt|cufft|cusolver|cusparse|nvrtc|nvJitLink|npp\w+|nvjpeg|cupti)\.so")


class Kind(Enum):
    """Why it is not found."""

    PATH = "it is a path, and no name"
    OTHER_MAJOR = "torch brings that of another CUDA major"
    ELSEWHERE = "it lies where the loader does not look"
    UNKNOWN = "what may bring it was not looked up"
    NOWHERE = "nothing brings it"


def kind_of(closure: Closure, lack: Lack) -> Kind:
    """Why a library is not found."""
    if "/" in lack.soname:
        return Kind.PATH
    if other_major(closure, lack):
        return Kind.OTHER_MAJOR
    if closure.siblings(lack.soname) or any(lack.soname in chosen.world.folders for chosen in lack.worlds):
        return Kind.ELSEWHERE
    return Kind.UNKNOWN if closure.unknown(lack) else Kind.NOWHERE


def other_major(closure: Closure, lack: Lack) -> str | None:
    """What torch brings of another CUDA major in place of a library."""
    if not _BY_MAJOR.fullmatch(stem(lack.soname)) or closure.siblings(lack.soname):
        return None
    for chosen in lack.worlds:
        if "torch" in chosen.world.releases and lack.soname not in chosen.world.folders:
            first = closure.loader.loaded_first(chosen.world)
            others = sorted(file for file in first if stem(file) == stem(lack.soname))
            if others:
                return others[0]
    return None


def place_of(closure: Closure, lack: Lack) -> tuple[str, str | None]:
    """Where a library lies that is not found, and the entry of a search path that would lead there, if one would."""
    needing = next(it for it in closure.libraries if it.name == lack.needed_by[0])
    if siblings := closure.siblings(lack.soname):
        folder, file = library_folder(siblings[0]), siblings[0].name.rpartition("/")[2]
        if file != lack.soname:
            return f"its file is {siblings[0].name}, and the loader looks for files by that name", None
        return siblings[0].name, closure.path_to(library_folder(needing), folder)
    for chosen in lack.worlds:
        for distribution, folder in chosen.world.folders.get(lack.soname, ()):
            told = f"{folder} of {distribution} {chosen.world.releases[distribution].version}"
            return told, closure.path_to(library_folder(needing), folder)
    msg = f"{lack.soname} is nowhere"
    raise ValueError(msg)
