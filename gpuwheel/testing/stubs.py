"""Stub NVIDIA libraries: a CUDA build of torch imports without the gigabytes of `nvidia-*` wheels.

torch's own shared objects, and those of other packages, say what they need: SONAMEs, version nodes, symbols. Each stub
has those, and what `data/nvidia_symbols.toml` knows of the library. Every function returns 100 (cudaErrorNoDevice,
CUDA_ERROR_NO_DEVICE): operators on the CPU work, a CUDA call fails.
"""

from __future__ import annotations

import mmap
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._toml import own_table
from gpuwheel.binary.elf import read_elf
from gpuwheel.errors import ToolchainError
from gpuwheel.testing.native_code import compile_c

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from gpuwheel.binary.elf import ElfFile

__all__ = [
    "Stub",
    "extension_libraries",
    "plan_stubs",
    "torch_libraries",
    "version_script",
    "write_stub",
    "write_stubs",
]

# With a word for each, since libcurl begins like them, and a version, as NVIDIA's have: libcuda_ext.so and libnvdiff.so
# may be an extension's. What auditwheel took into a package has a digest in its name.
_NVIDIA = re.compile(
    r"lib(cuda|cublas|cudla|cudnn|cudss|cufft|cufile|cupti|curand|cusolver|cusparse|custatevec|cutensor|nccl|npp|nv)"
    r"\w*\.so(\.\d+)+"
)
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
    r"nvjpeg": "libnvjpeg.",
    r"npp": "libnpp",
    r"cutensor": "libcutensor.",
    r"cudss": "libcudss.",
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

    @property
    def every(self) -> frozenset[str]:
        """All names."""
        return frozenset().union(*self.names.values())


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


def extension_libraries(folders: Iterable[Path]) -> tuple[Path, ...]:
    """The shared objects below some folders of Python packages that need NVIDIA's libraries, without torch's own.

    An extension asks for more of cuBLAS than torch does, and does not load where a stub lacks one name of it. Folders
    that are not there, and files that cannot be read, are none.
    """
    found = []
    for folder in dict.fromkeys(folder for folder in folders if folder.is_dir()):
        for parent, inner, files in os.walk(folder):
            # torch's are asked for by themselves, and NVIDIA's own are no stubs' business.
            inner[:] = sorted({*inner} - {"torch", "nvidia", "__pycache__"})
            found += [Path(parent, name) for name in sorted(files) if name.endswith(".so") or ".so." in name]
    return tuple(path for path in found if _needs_nvidia(path))


def _needs_nvidia(path: Path) -> bool:
    try:
        needed = _read(path).needed
    except (OSError, ValueError, ToolchainError):  # an empty file cannot be mapped
        return False
    return not _NVIDIA.fullmatch(path.name) and any(map(_NVIDIA.fullmatch, needed))


def plan_stubs(of_torch: Iterable[Path], also: Iterable[Path] = ()) -> tuple[Stub, ...]:
    """The stubs that torch's libraries and others need, by SONAME."""
    paths = [*of_torch], [*also]
    torchs, others = ([_read(path) for path in group] for group in paths)
    there = {path.name for group in paths for path in group}
    needed = {name for found in (*torchs, *others) for name in found.needed if _NVIDIA.fullmatch(name)} - there
    sonames = sorted(name for name in needed if not name.startswith(_DRIVER))
    stubs: dict[str, dict[str | None, set[str]]] = {soname: {} for soname in sonames}
    for found in (*torchs, *others):
        for symbol in found.imports:
            if symbol.library in stubs:
                stubs[symbol.library].setdefault(symbol.version, set()).add(symbol.name)
    for name in _loose_names(torchs):
        owner = _owner(name, sonames)
        if owner is not None:
            stubs[owner].setdefault(None, set()).add(name)
    # What other libraries want may be anybody's: of theirs, only names that are NVIDIA's.
    for name in _loose_names(others):
        owner = _owner(name, sonames) if any(re.match(pattern, name) for pattern in _OWNERS) else None
        if owner is not None:
            stubs[owner].setdefault(None, set()).add(name)
    functions = own_table("nvidia_symbols.toml")["functions"]
    for soname, named in stubs.items():
        _add_known(named, soname, functions.get(soname, "").split())
    return tuple(Stub(soname, {v: frozenset(names) for v, names in named.items()}) for soname, named in stubs.items())


def _add_known(found: dict[str | None, set[str]], soname: str, functions: Collection[str]) -> None:
    """Add what the library has beside, for what nobody saw here: an editable project, or what is built later."""
    versions = [version for version in found if version is not None]
    # NVIDIA's libraries have one version, named as the library; a reference without a version binds to it all the same.
    version = versions[0] if len(versions) == 1 else soname
    more = set(functions) - set().union(*found.values())
    if more:
        found.setdefault(version, set()).update(more)


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
    source.write_text("".join(map(_definition, sorted(stub.every))))
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
    """Write into `folder` every NVIDIA library that torch and others in `site_packages` need, and return the files.

    A process that has `folder` in `LD_LIBRARY_PATH` imports that torch. Libraries that are really installed are found
    first (torch's RPATH) and stay in use.

    Raises:
        ToolchainError: no torch, or a CPU build.
        CompileError: the C compiler fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stubs = plan_stubs(torch_libraries(site_packages), extension_libraries([site_packages]))
    return tuple(write_stub(stub, folder, compiler) for stub in stubs)
