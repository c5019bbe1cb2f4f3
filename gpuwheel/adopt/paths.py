"""Files and folders of a setup.py, seen from the project."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel.adopt.declared.failures import repository_of
from gpuwheel.adopt.declared.recording import HEADER_PACKAGES
from gpuwheel.adopt.leftover import Leftover

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpuwheel.adopt.declared.recording import RecordedExtension, SetupRecord

__all__ = ["ExtensionPaths"]

_ELSEWHERE = "sources lie below the folder of pyproject.toml, or an sdist would lack them: move it or link it there"
_OF_SYSTEM = ("/usr", "/opt", "/lib", "/lib64", "/etc", "/var", sys.prefix)
_COMPILED = {".cc", ".cpp", ".cu", ".cxx"}


@dataclass
class ExtensionPaths:
    """The paths of one extension; notes on the way what is not carried over."""

    record: SetupRecord
    extension: RecordedExtension
    left: list[Leftover] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)
    """"DISTRIBUTION/FOLDER" of headers that a package brings."""

    def leave(self, what: str, advice: str, search: str | None = None) -> None:
        """Note what is not carried over, at the line of setup.py that has it."""
        place = self.record.place_of(what, self.record.place_of(search or "", self.extension.place))
        self.left.append(Leftover(place, what, advice))

    def sources(self) -> list[str]:
        """The files that gpuwheel compiles, relative to the project, sorted."""
        found = []
        for text in self.extension.texts("sources"):
            path = self._inside(text)
            if path is None:
                top = repository_of(self.record.root)
                self.leave(os.path.relpath(self.record.root / text, top), _ELSEWHERE, search=text)
            elif not (self.record.root / path).is_file():
                self.leave(path, "there is no such file: is a git submodule missing, or does something write it first?")
            elif Path(path).suffix not in _COMPILED:
                self.leave(path, "gpuwheel compiles .cu, .cpp, .cc and .cxx: rename it, or make C++ of it first")
            else:
                found.append(path)
        # Sorted: setup.py lists them by glob, in the order of its disk.
        return sorted(dict.fromkeys(found))

    def include_dirs(self, folders: Iterable[str]) -> list[str]:
        """Folders of the project. Those of packages are noted; those of torch, CUDA and Python need no mention."""
        found = []
        for text in folders:
            path = self._inside(text)
            if path is None:
                self._outside(text)
            elif (self.record.root / path).is_dir() and any((self.record.root / path).iterdir()):
                found.append(path)
            else:
                self.leave(path, "nothing is in this folder: is a git submodule missing (git submodule update --init)?")
        return list(dict.fromkeys(found))

    def library_dirs(self) -> None:
        """Folders of libraries are of one machine."""
        for text in self.extension.texts("library_dirs"):
            if self._stood_in(Path(os.path.normpath(text))):
                continue
            inside = self._inside(text)
            if inside is None:
                whose = self._whose(Path(os.path.normpath(self.record.root / text)))
                self.leave(text, f"{whose}: gpuwheel links libraries of the CUDA toolkit and of torch")
            else:
                self.leave(inside, "a folder of the project: add the sources of the libraries in it")

    def _inside(self, text: str) -> str | None:
        """Relative to the project with forward slashes; `None` if it is elsewhere."""
        path = Path(os.path.normpath(self.record.root / text))
        return path.relative_to(self.record.root).as_posix() if path.is_relative_to(self.record.root) else None

    def _outside(self, text: str) -> None:
        path = Path(os.path.normpath(self.record.root / text))
        for distribution, folder in HEADER_PACKAGES.items():
            if path == self.record.site / folder:
                self.packages.append(f"{distribution}/{folder}")
                return
        if not self._stood_in(path) and "python3" not in path.name:
            advice = "take the headers from a wheel (include-packages), or into the project"
            self.leave(text, f"{self._whose(path)}: {advice}")

    def _whose(self, path: Path) -> str:
        """What a folder or file is that is none of the project's, in words."""
        top = repository_of(self.record.root)
        if path.is_relative_to(top):
            return "outside of the folder of pyproject.toml, though in its repository"
        of_system = any(path.is_relative_to(folder) for folder in _OF_SYSTEM)
        return "a folder of this machine" if of_system else "outside of the folder of pyproject.toml"

    def _stood_in(self, path: Path) -> bool:
        return path.is_relative_to(self.record.site) or path.is_relative_to(self.record.cuda)
