"""A setup.py in the shape of a public project's, and what `gpuwheel init` has to make of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["CLASSIC", "FILES", "KERNEL", "OPERATORS", "STABLE", "Shape"]

CLASSIC = "#include <torch/extension.h>\nPYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {}\n"
OPERATORS = "#include <torch/library.h>\nTORCH_LIBRARY(ops, m) {}\n"
STABLE = "#include <torch/csrc/stable/library.h>\nSTABLE_TORCH_LIBRARY(ops, m) {}\n"
KERNEL = "__global__ void k() {}\nvoid launch() { k<<<1, 1>>>(); }\n"
FILES = {"csrc/ops.cpp": CLASSIC, "csrc/ops.cu": KERNEL, "ops/__init__.py": ""}


@dataclass(frozen=True)
class Shape:
    """One of them."""

    name: str
    setup: str | None
    """The text of setup.py; `None` where there is none."""
    extensions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Import path -> keys of its table that must have these values; `None` for keys that must be absent."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Keys of `[tool.gpuwheel]`, likewise."""
    wheel: Mapping[str, Any] | None = None
    """`[tool.scikit-build.wheel]`, whole; `None` where it does not matter."""
    left: tuple[str, ...] = ()
    """Beginnings of lines that must be among those that are not carried over."""
    files: Mapping[str, str] = field(default_factory=lambda: FILES)
    arguments: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    folder: str = "."
    """Where setup.py is, in the repository."""
    refused: str | None = None
    """Words of the error, where there is nothing to build without an edit; empty where something would be missing."""

    @property
    def by_cmake(self) -> bool:
        """Whether a CMakeLists.txt compiles it, which has to take gpuwheel's functions before it builds."""
        return "cmake" in self.settings

    def write(self, repository: Path) -> Path:
        """Make the repository, and say where its project is."""
        project = repository / self.folder
        files = {repository / name: text for name, text in self.files.items()}
        files |= {project / "setup.py": self.setup} if self.setup is not None else {}
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return project
