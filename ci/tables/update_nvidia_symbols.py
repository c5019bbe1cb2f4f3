# /// script
# requires-python = ">=3.11"
# dependencies = ["packaging>=24.2"]
# ///
"""Refresh `gpuwheel/data/nvidia_symbols.toml`: the functions of NVIDIA's libraries, from the headers in their wheels.

The headers are read out of the newest wheel of each project by range requests; the libraries beside them, which have
hundreds of megabytes, only give their names.
"""

from __future__ import annotations

import re
import sys
from pathlib import PurePosixPath
from textwrap import wrap
from typing import TYPE_CHECKING

from update_index import files_of, open_wheel
from update_table import Table, command_line, dump, finish, read

if TYPE_CHECKING:
    from zipfile import ZipFile

_MACHINE = "x86_64"
_PROJECTS = (
    *(f"nvidia-{name}{end}" for name in ("cublas", "cufft", "curand", "cusolver", "cusparse") for end in ("-cu12", "")),
    *(f"nvidia-{name}{end}" for name in ("cuda-cupti", "cuda-nvrtc", "nvjitlink", "cufile") for end in ("-cu12", "")),
    *(f"nvidia-{name}-cu{major}" for name in ("cudnn", "nccl", "cusparselt") for major in (12, 13)),
    *("nvidia-cuda-runtime-cu12", "nvidia-cuda-runtime"),
)
_FUNCTIONS = {
    "libcublasLt": "cublasLt",
    "libcublas": "cublas(?!Lt)",
    "libcudnn": "cudnn",
    "libcufft": "cufft",
    "libcufile": "cuFile",
    "libcupti": "cupti",
    "libcurand": "curand",
    "libcusolver": "cusolver(?!Mg)",
    "libcusparseLt": "cusparseLt",
    "libcusparse": "cusparse(?!Lt)",
    "libnccl": "p?nccl",
    "libnvJitLink": "_*nvJitLink",
    "libnvrtc": "nvrtc",
}
"""A library, and what its functions begin with."""
_DRIVER, _DRIVERS_HEADER = "libcuda.so.1", "cuda.h"
"""The driver, which is in no wheel."""
_RENAMED = re.compile(r"#[ \t]*define[ \t]+cu[A-Z]\w+[ \t]+(?:__CUDA_API_(PTSZ|PTDS)\()?(cu[A-Z]\w+)")
"""`#define cuMemAlloc cuMemAlloc_v2`: what a library asks for is the second name."""
_LIBRARY = re.compile(r"(lib\w+)\.so\.\d+")
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)


def main() -> int:
    """Take every function that a header declares."""
    asked = command_line(__doc__).parse_args()
    comment, _ = read("nvidia_symbols.toml")
    sources, libraries = [], dict[str, set[str]]()
    for project in _PROJECTS:
        files = [it for it in files_of(project) if any(platform.endswith(_MACHINE) for platform in it.platforms)]
        newest = max((it for it in files if not it.version.is_prerelease), key=lambda it: it.version, default=None)
        if newest is None:
            raise SystemExit(f"{project} has no wheel")  # noqa: EM102, TRY003
        sources.append(f"{project} {newest.version}")
        with open_wheel(newest) as wheel:
            for soname, names in _functions(wheel).items():
                libraries.setdefault(soname, set()).update(names)
    table: Table = {
        "sources": sources,
        "functions": {
            soname: "\n".join(wrap(" ".join(sorted(names)), 120, break_on_hyphens=False)) + "\n"
            for soname, names in sorted(libraries.items())
        },
    }
    return finish("nvidia_symbols.toml", dump(comment, table), check=asked.check)


def _functions(wheel: ZipFile) -> dict[str, set[str]]:
    """SONAME -> what its headers declare, of the libraries that this script knows."""
    members = [PurePosixPath(name) for name in wheel.namelist()]
    headers = [wheel.read(str(path)).decode(errors="replace") for path in members if path.suffix == ".h"]
    # Without comments and macros: what is left before a parenthesis is declared or called.
    text = "\n".join(_DIRECTIVE.sub("", _COMMENT.sub("", header)) for header in headers)
    found = {}
    for path in members:
        library = _LIBRARY.fullmatch(path.name)
        if library is not None and library[1] in _FUNCTIONS:
            found[path.name] = set(re.findall(rf"\b({_FUNCTIONS[library[1]]}\w+)\s*\(", text))
        if path.name == _DRIVERS_HEADER:
            found[_DRIVER] = _of_driver(wheel.read(str(path)).decode(errors="replace"))
    return found


def _of_driver(header: str) -> set[str]:
    header = _COMMENT.sub("", header)
    found = set(re.findall(r"\b(cu[A-Z]\w+)\s*\(", _DIRECTIVE.sub("", header)))
    for suffix, name in _RENAMED.findall(header):
        found |= {name, f"{name}_{suffix.lower()}"} if suffix else {name}
    return found


if __name__ == "__main__":
    sys.exit(main())
