"""Whether a CUDA toolkit is whole and of one release. Nothing is started: its programs and headers say their versions.

A toolkit put together by a package installer may mix releases: a lone `nvidia-cuda-nvcc` pin takes the newest nvvm,
whose PTX the ptxas beside it refuses.
"""

from __future__ import annotations

import hashlib
import mmap
import re
from typing import TYPE_CHECKING

from gpuwheel.errors import ToolchainError
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["check_parts", "include_folder", "read_parts", "toolkit_digest"]

_PROGRAMS = {"nvcc": "bin/nvcc", "ptxas": "bin/ptxas", "nvvm": "nvvm/bin/cicc", "cudafe++": "bin/cudafe++"}
_HEADERS = {"cuda.h": ("cuda.h", "CUDA_VERSION"), "cudart": ("cuda_runtime_api.h", "CUDART_VERSION")}
# Every program of the toolkit holds this text, which `--version` of some of them prints.
_BANNER = b"Cuda compilation tools, release "
_RELEASE = re.compile(rb"(\d+)\.(\d+)")
_LONGEST_RELEASE = 8
_DIST_INFO = re.compile(r"nvidia_cuda_crt(?:_cu\d+)?-(\d+\.\d+)[\d.]*\.dist-info")


def include_folder(root: Path) -> Path:
    """Where a toolkit's headers are; conda has them below `targets`."""
    folders = [root / "include", *sorted(root.glob("targets/*-linux/include"))]
    return next((folder for folder in folders if (folder / "cuda.h").is_file()), folders[0])


def read_parts(root: Path) -> Mapping[str, MinorVersion]:
    """Part -> its release, for the parts that are there."""
    return dict(_parts(root))


def check_parts(root: Path, found_via: str) -> MinorVersion:
    """The release of a toolkit whose parts are all there and of one release.

    Raises:
        ToolchainError: a part is missing, or is of another release.
    """
    parts = read_parts(root)
    missing = [part for part in (*_PROGRAMS, *_HEADERS) if part not in parts]
    subject = f"the CUDA toolkit in {root} ({found_via})"
    if missing:
        msg = f"{subject} is not complete (found {_listed(parts)}, expected {', '.join(missing)} too)"
        hint = "name a folder with bin/nvcc, nvvm/ and include/cuda.h, or unset the variable"
        raise ToolchainError(msg, hint=hint if parts else _not_a_toolkit(root))
    if len(set(parts.values())) > 1:
        nvcc = parts["nvcc"]
        msg = f"{subject} mixes releases (found {_listed(parts)}, expected {nvcc} throughout)"
        raise ToolchainError(msg, hint=f"pip install 'cuda-toolkit[nvcc,cccl,cudart]=={nvcc}.*' takes parts that match")
    return parts["nvcc"]


def toolkit_digest(root: Path) -> str:
    """What identifies a toolkit of the machine: its place, and size and time of its compilers."""
    lines = [str(root)]
    for path in _PROGRAMS.values():
        # Size and time, and not bytes: the compilers of a toolkit have hundreds of megabytes.
        status = (root / path).stat()
        lines.append(f"{path} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _parts(root: Path) -> Iterator[tuple[str, MinorVersion]]:
    for part, path in _PROGRAMS.items():
        release = _program_release(root / path)
        if release is not None:
            yield part, release
    include = include_folder(root)
    for part, (header, macro) in _HEADERS.items():
        release = _macro_release(include / header, macro)
        if release is not None:
            yield part, release
    # Headers of crt/ name no version; where an installer put them, its records do.
    for entry in root.parent.parent.glob("nvidia_cuda_crt*.dist-info"):
        match = _DIST_INFO.fullmatch(entry.name)
        if match:
            yield "crt", MinorVersion.parse(match[1])


def _program_release(path: Path) -> MinorVersion | None:
    if not path.is_file() or path.stat().st_size == 0:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        # Not run: programs of another machine would not, and reading costs less than starting.
        at = data.find(_BANNER)
        start = at + len(_BANNER)
        match = _RELEASE.match(data[start : start + _LONGEST_RELEASE]) if at >= 0 else None
    return MinorVersion(int(match[1]), int(match[2])) if match else None


def _macro_release(path: Path, macro: str) -> MinorVersion | None:
    """The release that `#define CUDA_VERSION 13000` says: 1000 times the major and 10 times the minor."""
    if not path.is_file():
        return None
    match = re.search(rf"#define\s+{macro}\s+(\d+)", path.read_text(encoding="utf-8", errors="replace"))
    return MinorVersion(int(match[1]) // 1000, int(match[1]) % 1000 // 10) if match else None


def _listed(parts: Mapping[str, MinorVersion]) -> str:
    return ", ".join(f"{part} {version}" for part, version in parts.items()) or "nothing of a toolkit"


def _not_a_toolkit(root: Path) -> str:
    if not root.is_dir():
        return "the folder does not exist: correct the variable, or unset it"
    return "name the folder that holds bin/nvcc, or unset the variable"
