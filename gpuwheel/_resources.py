"""Where the files that ship inside the package are: data tables, headers, CMake, templates."""

from __future__ import annotations

from pathlib import Path

__all__ = ["resource"]

_ROOT = Path(__file__).resolve().parent
_TEMPLATES = "templates"  # beside the package in the repository, inside it in a wheel


def resource(*parts: str) -> Path:
    """The path of a shipped file or folder, e.g. `resource("data", "cuda.toml")`.

    gpuwheel is always installed unpacked (compilers read its headers by path), so a plain path is right.
    """
    path = _ROOT.joinpath(*parts)
    if not path.exists() and parts[0] == _TEMPLATES:
        path = _ROOT.parent.joinpath(*parts)
    if not path.exists():
        msg = f"gpuwheel's own file {'/'.join(parts)} is missing: the installation is damaged"
        raise FileNotFoundError(msg)
    return path
