"""An activated conda environment, as compilers see one: the variables that activation really sets, and its folders."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["OLD_RUNTIME", "OLD_TORCH", "activated", "make_conda"]

_TRIPLE = "x86_64-conda-linux-gnu"
OLD_RUNTIME = "#pragma once\n#define CUDART_VERSION 12010\n"
OLD_TORCH = "#pragma once\n#define TORCH_VERSION_MAJOR 1\n#define TORCH_VERSION_MINOR 99\n#define TORCH_ABI_VERSION 0\n"


def make_conda(prefix: Path) -> Path:
    """A prefix with the compilers of this machine under conda's names, and an old toolkit and torch in its includes."""
    (prefix / "bin").mkdir(parents=True)
    for name, program in {
        "c++": "g++",
        "cc": "gcc",
        "ar": "ar",
        "ld": "ld",
        "ranlib": "ranlib",
        "strip": "strip",
    }.items():
        found = shutil.which(program)
        assert found
        (prefix / "bin" / f"{_TRIPLE}-{name}").symlink_to(found)
    for folder in (prefix / "include", prefix / "targets/x86_64-linux/include"):
        (folder / "torch/headeronly").mkdir(parents=True)
        (folder / "cuda_runtime_api.h").write_text(OLD_RUNTIME, encoding="utf-8")
        (folder / "torch/headeronly/version.h").write_text(OLD_TORCH, encoding="utf-8")
    (prefix / "include" / "only_in_conda.h").write_text("#define ONLY_IN_CONDA 1\n", encoding="utf-8")
    (prefix / "lib").mkdir()
    return prefix


def activated(prefix: Path) -> dict[str, str]:
    """What activation sets: conda-forge's ctng-compiler-activation-feedstock and cuda-nvcc-feedstock, of July 2026."""
    tool = f"{prefix}/bin/{_TRIPLE}-"
    targets = f"{prefix}/targets/x86_64-linux"
    cuda = f" -I{targets}/include -I{targets}/include/cccl"
    common = (
        "-march=nocona -mtune=haswell -ftree-vectorize -fPIC -fstack-protector-strong -fno-plt -O2 -ffunction-sections"
    )
    return {
        "CONDA_PREFIX": str(prefix),
        "CONDA_BUILD_SYSROOT": f"{prefix}/{_TRIPLE}/sysroot",
        "HOST": _TRIPLE,
        "CC": f"{tool}cc",
        "CXX": f"{tool}c++",
        "AR": f"{tool}ar",
        "LD": f"{tool}ld",
        "CFLAGS": f"{common} -pipe -isystem {prefix}/include {cuda}",
        "CXXFLAGS": f"-fvisibility-inlines-hidden -fmessage-length=0 {common} -pipe -isystem {prefix}/include {cuda}",
        "CPPFLAGS": f"-DNDEBUG -D_FORTIFY_SOURCE=2 -O2 -isystem {prefix}/include {cuda}",
        "LDFLAGS": "-Wl,-O2 -Wl,--sort-common -Wl,--as-needed -Wl,-z,relro -Wl,-z,now -Wl,--disable-new-dtags "
        f"-Wl,--gc-sections -Wl,--allow-shlib-undefined -Wl,-rpath,{prefix}/lib -Wl,-rpath-link,{prefix}/lib "
        f"-L{prefix}/lib  -L{targets}/lib -L{targets}/lib/stubs",
        "LDFLAGS_LD": f"-O2 -rpath {prefix}/lib -L{prefix}/lib",
        "CMAKE_PREFIX_PATH": f"{prefix}:{prefix}/{_TRIPLE}/sysroot/usr",
        "CMAKE_ARGS": f"-DCMAKE_AR={tool}ar -DCMAKE_CXX_COMPILER_AR={tool}ar -DCMAKE_C_COMPILER_AR={tool}ar "
        f"-DCMAKE_RANLIB={tool}ranlib -DCMAKE_LINKER={tool}ld -DCMAKE_STRIP={tool}strip -DCMAKE_BUILD_TYPE=Release",
        "NVCC_PREPEND_FLAGS": f" -ccbin={tool}c++",
        "NVCC_APPEND_FLAGS": "",
    }
