"""Stub NVIDIA libraries: a CUDA build of torch imports without the gigabytes of `nvidia-*` wheels.

torch's own shared objects say what they need: SONAMEs, version nodes, symbols. Each stub has exactly those, and every
function returns 100 (cudaErrorNoDevice, CUDA_ERROR_NO_DEVICE): operators on the CPU work, a CUDA call fails.
"""

from __future__ import annotations

import mmap
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.binary.elf import read_elf
from gpuwheel.errors import ToolchainError
from gpuwheel.testing.native_code import compile_c

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from gpuwheel.binary.elf import ElfFile

__all__ = ["Stub", "plan_stubs", "torch_libraries", "version_script", "write_stub", "write_stubs"]

_NVIDIA = re.compile(r"lib(cu|nv|nccl)")
_DRIVER = "libcuda.so"  # never a stub: without a driver, gpuwheel's headers and torch say that there is none
_NO_DEVICE = 100
# Symbols without a version, by what they begin with: the library they belong to. The others go to the first stub, which
# is right too (the loader searches all of them); this only keeps a stub from shadowing a real library beside it.
_OWNERS = {
    r"cudnn": "libcudnn.",
    r"p?nccl": "libnccl.",
    r"(_ZN?\d*)?nvshmem": "libnvshmem",
    r"cusparseLt": "libcusparseLt.",
    r"cuFile": "libcufile.",
    r"cupti": "libcupti.",
    r"nvrtc": "libnvrtc.",
    r"cu[A-Z]": _DRIVER,
}
# Functions that give a text, which their callers print: a null pointer or a number in its place ends the process.
_TEXT = "no device: a stub library of gpuwheel.testing"
_GIVES_TEXT = {
    r"cupti\w*Get(ResultString|ErrorMessage)|cuGetError(Name|String)": "long {name}(int code, const char** text) "
    '{{ *text = "{text}"; return 0; }}\n',
    r"cupti\w*GetCallbackName": "long {name}(int domain, unsigned id, const char** text) "
    '{{ *text = "{text}"; return 0; }}\n',
    r"\w+GetLastErrorString": "void {name}(char* to, unsigned long room) "
    '{{ const char* text = "{text}"; if (room) {{ while (--room && *text) *to++ = *text++; *to = 0; }} }}\n',
    r"\w+Get(Error|Status|Result)(Name|String)(_\w+)?": 'const char* {name}(int code) {{ return "{text}"; }}\n',
}


@dataclass(frozen=True)
class Stub:
    """One library to make: its SONAME, and its names by version (None: without)."""

    soname: str
    names: Mapping[str | None, frozenset[str]]


def torch_libraries(site_packages: Path) -> tuple[Path, ...]:
    """The shared objects of the torch installed in a site-packages folder.

    Raises:
        ToolchainError: no torch there, or a CPU build of it.
    """
    folder = site_packages / "torch" / "lib"
    if not folder.is_dir():
        msg = f"{site_packages} has no torch (no folder torch/lib)"
        raise ToolchainError(msg, hint="pass the site-packages folder of the environment that torch is installed in")
    if not (folder / "libtorch_cuda.so").exists():
        msg = f"the torch in {site_packages} is a CPU build: it has no CUDA code that could see a pretend GPU"
        raise ToolchainError(msg, hint="install a CUDA build, e.g. pip install torch (from https://pypi.org/simple)")
    return tuple(sorted(path for path in folder.iterdir() if ".so" in path.suffixes and path.is_file()))


def plan_stubs(libraries: Iterable[Path]) -> tuple[Stub, ...]:
    """The stubs that these libraries need, by SONAME."""
    objects = {path.name: _read(path) for path in libraries}
    needed = sorted({name for found in objects.values() for name in found.needed if _NVIDIA.match(name)} - set(objects))
    sonames = [name for name in needed if not name.startswith(_DRIVER)]
    loose = _loose_names(objects.values())
    stubs: dict[str, dict[str | None, set[str]]] = {soname: {} for soname in sonames}
    for found in objects.values():
        for symbol in found.imports:
            if symbol.library in stubs:
                stubs[symbol.library].setdefault(symbol.version, set()).add(symbol.name)
    for name in loose:
        owner = _owner(name, sonames)
        if owner is not None:
            stubs[owner].setdefault(None, set()).add(name)
    return tuple(Stub(soname, {v: frozenset(names) for v, names in found.items()}) for soname, found in stubs.items())


def _read(path: Path) -> ElfFile:
    """A library of torch has up to half a gigabyte: mapped, so that only its tables are read."""
    with path.open("rb") as file:
        # It stays mapped as long as a view of it does, and the file may be closed.
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return read_elf(memoryview(data), path.name, error=ToolchainError, hint="install torch again")


def _loose_names(objects: Collection[ElfFile]) -> list[str]:
    undefined = {
        symbol.name for found in objects for symbol in found.imports if symbol.version is None and not symbol.weak
    }
    defined = {name for found in objects for name in found.exports}
    # Those of Python are the interpreter's own, which exports them.
    return sorted(name for name in undefined - defined if not name.startswith(("Py", "_Py")))


def _owner(name: str, sonames: list[str]) -> str | None:
    for pattern, prefix in _OWNERS.items():
        if re.match(pattern, name):
            return next((soname for soname in sonames if soname.startswith(prefix)), None)
    return sonames[0] if sonames else None


def version_script(names: Mapping[str | None, frozenset[str]]) -> str:
    """A linker script that puts every name under its version."""
    nodes = [
        f"{version} {{ global: {' '.join(f'{name};' for name in sorted(listed))} }};\n"
        for version, listed in sorted((v, n) for v, n in names.items() if v is not None)
    ]
    return "".join(nodes)


def write_stub(stub: Stub, folder: Path, compiler: str) -> Path:
    """Compile one stub into `folder`."""
    source, script = folder / f"{stub.soname}.c", folder / f"{stub.soname}.map"
    every = sorted(set().union(*stub.names.values()))
    source.write_text("".join(map(_definition, every)))
    # Names such as `cosf` are built into compilers with other signatures: -fno-builtin lets them be functions like
    # others, -w keeps silent about it.
    options = ["-w", "-fno-builtin", "-O0", f"-Wl,-soname,{stub.soname}", "-nostdlib"]
    versions = version_script(stub.names)
    if versions:
        script.write_text(versions)
        options.append(f"-Wl,--version-script={script}")
    try:
        return compile_c(compiler, [source], folder / stub.soname, options)
    finally:
        source.unlink()
        script.unlink(missing_ok=True)


def _definition(name: str) -> str:
    code = next((code for pattern, code in _GIVES_TEXT.items() if re.fullmatch(pattern, name)), None)
    return f"long {name}(void) {{ return {_NO_DEVICE}; }}\n" if code is None else code.format(name=name, text=_TEXT)


def write_stubs(site_packages: Path, folder: Path, compiler: str) -> tuple[Path, ...]:
    """Write into `folder` every NVIDIA library that the torch in `site_packages` needs, and return the files.

    A process that has `folder` in `LD_LIBRARY_PATH` imports that torch. Libraries that are really installed are found
    first (torch's RPATH) and stay in use.

    Raises:
        ToolchainError: no torch, or a CPU build.
        CompileError: the C compiler fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(write_stub(stub, folder, compiler) for stub in plan_stubs(torch_libraries(site_packages)))
