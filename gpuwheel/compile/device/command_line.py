"""NVRTC's command line, without a single path of this machine in it.

Folders are named through the worker's own view: `/proc/self/cwd` is the project, `/proc/self/fd/N` an open folder
outside it. `__FILE__` (in every assert) and line info then read the same wherever the build runs, so do options, and
the images are the same bytes. (Bazel maps its sandbox to /proc/self/cwd for the same reason.)
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpuwheel._resources import resource

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.model.archs import Arch
    from gpuwheel.model.kernels import KernelGroup
    from gpuwheel.model.toolchain import DeviceCompiler

__all__ = ["Target", "VirtualPaths", "command_line", "shipped_include_dirs"]

# Far above those that the worker has open, and fixed: numbers are in the options, and so in every key.
_SHIPPED, _TOOLKIT, _OUTSIDE = 100, 110, 120  # first file descriptors of each sort of folder
_PROJECT = "/proc/self/cwd"
_DESCRIPTOR = re.compile(r"/proc/self/fd/(\d+)")


@dataclass(frozen=True)
class Target:
    """One image to compile: a cubin or PTX."""

    arch: Arch
    ptx: bool

    def __str__(self) -> str:
        return self.arch.compute if self.ptx else self.arch.sm


def shipped_include_dirs() -> tuple[Path, ...]:
    """Our own headers, then standard headers for NVRTC, which has none."""
    return resource("include"), resource("include", "rtc")


@dataclass
class VirtualPaths:
    """Names for files that do not depend on where they are."""

    root: Path
    folders: dict[int, Path] = field(default_factory=dict)
    """File descriptor -> folder, for the worker to open."""
    _names: dict[Path, str] = field(default_factory=dict)

    @classmethod
    def of(cls, group: KernelGroup, compiler: DeviceCompiler) -> VirtualPaths:
        """Names for everything that `group` may read; shipped and toolkit folders always have the same numbers."""
        paths = cls(group.root)
        for first, folders in ((_SHIPPED, shipped_include_dirs()), (_TOOLKIT, compiler.include_dirs)):
            paths.folders.update(enumerate(folders, first))
        return paths

    def name(self, path: Path) -> str:
        """The virtual name of a file or folder; a new outside folder gets the next number."""
        if path not in self._names:
            self._names[path] = self._name(path)
        return self._names[path]

    def _name(self, path: Path) -> str:
        if path.is_relative_to(self.root):
            relative = path.relative_to(self.root).as_posix()
            return _PROJECT if relative == "." else f"{_PROJECT}/{relative}"
        for number, folder in self.folders.items():
            if path.is_relative_to(folder):
                return f"/proc/self/fd/{number}/{path.relative_to(folder).as_posix()}".removesuffix("/.")
        folder = path if path.is_dir() else path.parent
        self.folders[max(_OUTSIDE - 1, *self.folders) + 1] = folder
        return self._name(path)

    def real(self, text: str) -> str:
        """`text` with virtual names replaced: relative to the project where they are inside, absolute elsewhere."""

        def folder(match: re.Match[str]) -> str:
            known = self.folders.get(int(match[1]))
            return match[0] if known is None else os.fspath(known)

        return _DESCRIPTOR.sub(folder, text.replace(f"{_PROJECT}/", ""))


def command_line(group: KernelGroup, source: Path, target: Target, paths: VirtualPaths) -> tuple[str, ...]:
    """Every option of one compilation, in virtual names.

    The user's flags come last: the last of two contradicting options wins.
    """
    shipped_and_toolkit = [f"/proc/self/fd/{number}" for number in sorted(paths.folders) if number < _OUTSIDE]
    user = [paths.name(folder) for folder in (source.parent, *group.include_dirs)]
    return (
        f"--gpu-architecture={target}",
        f"--std={group.std}",
        f"--frandom-seed={paths.name(source)}",  # else names in an unnamed namespace differ from run to run
        # The user's first, as any compiler searches the folders of -I ahead of its own.
        *(f"--include-path={folder}" for folder in dict.fromkeys((*user, *shipped_and_toolkit))),
        *(f"--define-macro={define}" for define in group.defines),
        *(["--generate-line-info"] if group.lineinfo else []),
        *([] if target.ptx else ["--ptxas-options=-v"]),  # spills are only in its log
        *group.flags,
    )
