"""The Python module in front of a library with `abi = "compat"`, made from what the library says of itself."""

from __future__ import annotations

import json
import platform
import re
import sys
from typing import TYPE_CHECKING, Any

from gpuwheel._run import ProcessFailedError, run
from gpuwheel.binary.elf import read_elf
from gpuwheel.compile.compat.file_names import compat_library
from gpuwheel.compile.compat.module_text import door_source, module_text
from gpuwheel.compile.compat.stub_file import stub_text, unknown_stub
from gpuwheel.errors import CompileError
from gpuwheel.model.libraries import DESCRIBE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gpuwheel._cache import Cache
    from gpuwheel.model.toolchain import HostCompiler, LinkStubs

__all__ = ["module_files"]

_ASK = f"""\
import ctypes, os, sys
answer = os.dup(1)
os.dup2(2, 1)  # what the library prints is no answer
for path in sys.argv[2:]:
    ctypes.CDLL(path, ctypes.RTLD_GLOBAL)
library = ctypes.CDLL(sys.argv[1])
if hasattr(library, {DESCRIBE!r}):
    library.{DESCRIBE}.restype = ctypes.c_char_p
    with os.fdopen(answer, "wb") as out:
        out.write(library.{DESCRIBE}(0))
"""
_NOTHING: dict[str, Any] = {"functions": [], "attributes": [], "submodules": [], "exceptions": [], "error_type": ""}
"""Of a library that has neither PYBIND11_MODULE nor TORCH_LIBRARY."""
_REGISTERS = re.compile("_library_|_dtype_|_device_type_|_layout_|_memory_format_|_abi_version")
"""Those that a library may call while it is loaded: registration, and what gives a number and no error code."""


def module_files(
    import_path: str,
    library: bytes,
    tools: tuple[HostCompiler, LinkStubs | None],
    cache: Cache,
    environ: Mapping[str, str],
    beside: Sequence[Path] = (),
) -> dict[str, bytes]:
    """Member of the wheel -> its content: `NAME.py`, `NAME.pyi` and `NAME.so` beside `libNAME.so`.

    Args:
        import_path: that of the extension, for example "fused_ops._C".
        library: what was linked.
        tools: the compiler that made it, and the stubs that it was linked to.
        cache: where the library is loaded from.
        environ: the variables that reach tools.
        beside: the libraries of CUDA that it was linked to, or stubs of them; it is loaded once, to be asked.

    Raises:
        CompileError: the library cannot be loaded, or says that its module cannot be made.
    """
    host, stubs = tools
    folder = compat_library(import_path).rpartition("/")[0]
    stem = f"{folder}/{import_path.rpartition('.')[2]}".lstrip("/")
    with cache.scratch() as work:
        door = _door(import_path, host, stubs, environ, work)
        if host.machine != platform.machine():
            described, stub = _NOTHING, unknown_stub()
        else:
            described = _described(import_path, library, host, environ, (work, *beside))
            stub = stub_text(described)
    if described["error_type"]:
        msg = f"{import_path} cannot be made a module ({described['error']})"
        raise CompileError(msg)
    return {f"{stem}.py": module_text(import_path), f"{stem}.pyi": stub, f"{stem}.so": door}


def _door(
    import_path: str, host: HostCompiler, stubs: LinkStubs | None, environ: Mapping[str, str], work: Path
) -> bytes:
    """`NAME.so`, which runs `NAME.py`."""
    door, name = work / "door.so", import_path.rpartition(".")[2]
    linked = ["-Wl,--as-needed", "-Wl,-s", "-Wl,--build-id=none", *([f"-L{stubs.folder}"] if stubs else [])]
    flags = ["-O2", "-fPIC", "-fvisibility=hidden", f"-DGWC_NAME={name}", "-x", "c++", door_source(), "-x", "none"]
    try:
        run([*host.command, "-shared", *flags, *linked, "-ldl", "-o", door], env=environ)
    except ProcessFailedError as error:
        msg = f"{import_path}: the extension module in front of lib{name}.so does not compile"
        raise CompileError(msg, detail=error.completed.output) from error
    return door.read_bytes()


def _described(
    import_path: str, library: bytes, host: HostCompiler, environ: Mapping[str, str], places: tuple[Path, ...]
) -> dict[str, Any]:
    """What the library says of itself, loaded beside a libtorch whose functions do nothing: torch need not be here."""
    work, *beside = places
    loaded, source, stub = work / "library.so", work / "torch.cpp", work / "libtorch.so"
    loaded.write_bytes(library)
    # Functions of the platform have versions; those of torch, and of CUDA's libraries as they are linked, have none.
    unversioned = (each.name for each in read_elf(library, import_path).imports if not each.version and not each.weak)
    names = sorted(name for name in unversioned if name.isidentifier() and not name.startswith("_"))
    # All fail but what registers: a library that asks torch for more while it is loaded is told so, and does not go on.
    text = "".join(f'extern "C" int {name}() {{ return {0 if _REGISTERS.search(name) else 1}; }}\n' for name in names)
    source.write_text(text, encoding="ascii")
    try:
        run([*host.command, "-shared", "-fPIC", "-Wl,-soname,libtorch.so", "-o", stub, source], env=environ)
        asked = run([sys.executable, "-I", "-c", _ASK, loaded, stub, *beside], env=environ)
    except ProcessFailedError as error:
        msg = f"{import_path} does not load on this machine, and so cannot say which functions its module has"
        raise CompileError(msg, detail=error.completed.output) from error
    answer: dict[str, Any] = json.loads(asked.stdout) if asked.stdout else _NOTHING
    return answer
