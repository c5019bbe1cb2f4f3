"""A shared library to build: host code and the kernel images inside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["HostLibrary"]


@dataclass(frozen=True)
class HostLibrary:
    """`[tool.gpuwheel.extensions."package.name"]`, resolved: real files, absolute paths."""

    import_path: str
    """For example "fused_ops._C": the library lands at `fused_ops/_C.so`."""
    sources: tuple[Path, ...]
    include_dirs: tuple[Path, ...]
    defines: tuple[str, ...]
    flags: tuple[str, ...]
    link_flags: tuple[str, ...]
    std: str
    """"c++17" or "c++20"."""
    kernels: tuple[str, ...]
    """Names of the kernel groups whose image goes inside."""

    @property
    def package(self) -> str:
        """The folder of the wheel that the library lands in: "fused_ops"."""
        return "/".join(self.import_path.split(".")[:-1])

    @property
    def file(self) -> str:
        """The member of the wheel: "fused_ops/_C.so"."""
        return "/".join(self.import_path.split(".")) + ".so"
