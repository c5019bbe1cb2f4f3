"""Compile the kernels and their launches for the CPU: `build(folder)` gives the library `gpuwheel_sample_emulated`."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
DYNAMIC_SHARED = "  extern __shared__ __align__(16) unsigned char shared_memory[];\n"


def headers() -> Path | None:
    """The folder of gpuwheel's C++ headers: of the installed package, or of the repository this project lies in."""
    spec = importlib.util.find_spec("gpuwheel")
    roots = [Path(spec.origin).parent] if spec and spec.origin else []
    for root in [*roots, PROJECT.parent / "gpuwheel"]:
        if (root / "include" / "gpuwheel" / "launch.h").is_file():
            return root / "include"
    return None


def compiler() -> str | None:
    return shutil.which("g++")


def build(folder: Path) -> Path:
    sources = folder / "csrc"
    shutil.copytree(PROJECT / "csrc", sources)
    for kernel in sources.glob("*.cu"):  # a variable of the emulation takes its place
        kernel.write_text(kernel.read_text().replace(DYNAMIC_SHARED, ""))
    flags = [
        "-std=c++17", "-O1", "-g0", "-fPIC", "-fvisibility=hidden", "-w",
        "-DTORCH_TARGET_VERSION=0x020a000000000000", "-DUSE_CUDA",
        f"-I{HERE / 'include'}", f"-I{sources}", f"-I{headers()}",
        "-isystem", str(Path(torch.__file__).parent / "include"),
    ]  # fmt: skip
    objects = []

    def compile_one(source: Path) -> None:
        target = folder / f"{source.stem}.o"
        objects.append(str(target))
        command = [compiler(), *flags, f"-DEMULATE_{source.stem}", "-c", str(source), "-o", str(target)]
        subprocess.run(command, check=True)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(compile_one, sorted(sources.glob("*.cpp"))))
    library = folder / "emulated.so"
    torch_library = Path(torch.__file__).parent / "lib" / "libtorch.so"
    link = [
        compiler(),
        "-shared",
        "-o",
        str(library),
        *sorted(objects),
        "-Wl,--no-as-needed",
        str(torch_library),
        "-ldl",
    ]
    subprocess.run(link, check=True)
    return library
