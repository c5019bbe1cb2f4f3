"""The cheapest project with a wheel for each of three torches: one C++ source, which includes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PYPROJECT", "SOURCE", "TORCHS", "WHEELS", "write_tiny_matrix"]

TORCHS = ("2.12", "2.13", "2.14")
WHEELS = len(TORCHS)

PYPROJECT = """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"

[project]
name = "tiny"
version = "1.0"
requires-python = ">=3.10"
dynamic = ["dependencies"]

[tool.gpuwheel]
cuda = "13.0"
archs = ["8.0"]
torch = ["==2.12.*", "==2.13.*", "==2.14.*"]

[tool.gpuwheel.extensions."tiny._C"]
mode = "nvcc"
abi = "exact"
sources = ["csrc/*.cpp"]
"""
# A constructor: what nothing uses, the linker leaves out.
SOURCE = """\
static volatile int answer;
__attribute__((constructor)) static void keep() { answer = 42; }
"""


def write_tiny_matrix(root: Path) -> Path:
    """Write it into a folder, and return that."""
    files = {"pyproject.toml": PYPROJECT, "csrc/a.cpp": SOURCE, "src/tiny/__init__.py": ""}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root
