"""CUDA toolkits on this machine. Only told to people: no build takes one that the project did not ask for."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["FoundToolkit", "probe_toolkits"]

_VARIABLES = ("CUDA_HOME", "CUDA_PATH", "CUDAToolkit_ROOT")
_HEADERS = ("include/cuda.h", "targets/*/include/cuda.h", "../../include/cuda.h")  # the last: Debian's own package
_VERSION = re.compile(r"^#define\s+CUDA_VERSION\s+(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class FoundToolkit:
    """A folder with a toolkit."""

    root: Path
    version: MinorVersion | None
    """From its `cuda.h`; `None`: it has none."""
    nvcc: bool
    found_via: tuple[str, ...]
    """Every way that leads to it: "CUDA_HOME", "nvcc on PATH", "conda", or the folder's name."""


def probe_toolkits(environ: Mapping[str, str], *, root: Path = Path("/")) -> tuple[FoundToolkit, ...]:
    """The toolkits that variables, PATH, conda and the usual folders lead to, each once.

    Args:
        environ: the environment variables.
        root: where `usr/local` is.
    """
    ways: dict[Path, list[str]] = {}
    for folder, way in _candidates(environ, root):
        if folder.is_dir():
            # /usr/local/cuda is a link to one of its neighbours: told once, with both ways.
            ways.setdefault(folder.resolve(), []).append(way)
    found = (FoundToolkit(folder, _version(folder), _has_nvcc(folder), tuple(way)) for folder, way in ways.items())
    return tuple(toolkit for toolkit in found if toolkit.nvcc or toolkit.version)


def _candidates(environ: Mapping[str, str], root: Path) -> Iterator[tuple[Path, str]]:
    for variable in _VARIABLES:
        if environ.get(variable):
            yield Path(environ[variable]), variable
    if environ.get("CUDACXX"):
        yield _home_of(Path(environ["CUDACXX"])), "CUDACXX"
    nvcc = shutil.which("nvcc", path=environ.get("PATH", ""))
    if nvcc:
        yield _home_of(Path(nvcc)), "nvcc on PATH"
    if environ.get("CONDA_PREFIX"):
        yield Path(environ["CONDA_PREFIX"]), "conda"
    folders = sorted((root / "usr/local").glob("cuda*"))
    yield from ((folder, str(folder)) for folder in folders)


def _home_of(nvcc: Path) -> Path:
    """The toolkit of an nvcc: `bin` is in it, whatever link leads there."""
    return nvcc.resolve().parent.parent


def _has_nvcc(folder: Path) -> bool:
    return (folder / "bin/nvcc").is_file()


def _version(folder: Path) -> MinorVersion | None:
    for pattern in _HEADERS:
        for header in sorted(folder.glob(pattern)) if "*" in pattern else [folder / pattern]:
            try:
                match = _VERSION.search(header.read_text(encoding="utf-8", errors="replace"))
            except OSError:
                continue
            if match:
                return MinorVersion(int(match[1]) // 1000, int(match[1]) % 1000 // 10)
    return None
