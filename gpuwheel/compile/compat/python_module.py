"""The Python module in front of a library with `abi = "compat"`, made from what the library says of itself."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from gpuwheel._resources import resource
from gpuwheel._run import ProcessFailedError, run
from gpuwheel.binary.elf import read_elf
from gpuwheel.compile.compat.file_names import DESCRIBE, compat_library
from gpuwheel.errors import CompileError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gpuwheel._cache import Cache
    from gpuwheel.model.toolchain import HostCompiler

__all__ = ["module_files"]

_ASK = f"""\
import ctypes, sys
ctypes.CDLL(sys.argv[1], ctypes.RTLD_GLOBAL)
library = ctypes.CDLL(sys.argv[2])
library.{DESCRIBE}.restype = ctypes.c_char_p
sys.stdout.buffer.write(library.{DESCRIBE}())
"""
_SHIMS = ("aoti_torch_", "torch_")
"""How C functions of torch's stable ABI begin (torch/csrc/inductor/aoti_torch/c/shim.h, torch/csrc/stable/c/shim.h)."""


def module_files(
    import_path: str, library: bytes, host: HostCompiler, cache: Cache, environ: Mapping[str, str]
) -> dict[str, bytes]:
    """Member of the wheel -> its content: `NAME.py` and `NAME.pyi` beside `libNAME.so`.

    Args:
        import_path: that of the extension, for example "fused_ops._C".
        library: what was linked.
        host: the compiler that made it.
        cache: where the library is loaded from.
        environ: the variables that reach tools.

    Raises:
        CompileError: the library cannot be loaded, or says that its module cannot be made.
    """
    folder = compat_library(import_path).rpartition("/")[0]
    stem = f"{folder}/{import_path.rpartition('.')[2]}".lstrip("/")
    with cache.scratch() as work:
        described = _described(import_path, library, host, environ, work)
    if described["error"]:
        msg = f"{import_path} cannot be made a module ({described['error']})"
        raise CompileError(msg)
    return {
        f"{stem}.py": resource("launcher", "compat.py").read_bytes(),
        f"{stem}.pyi": _stub(described).encode(),
    }


def _described(
    import_path: str, library: bytes, host: HostCompiler, environ: Mapping[str, str], work: Path
) -> dict[str, Any]:
    """What the library says of itself, loaded beside a libtorch whose functions do nothing: torch need not be here."""
    loaded, source, stub = work / "library.so", work / "torch.cpp", work / "libtorch.so"
    loaded.write_bytes(library)
    names = sorted(each.name for each in read_elf(library, import_path).imports if each.name.startswith(_SHIMS))
    source.write_text("".join(f'extern "C" int {name}() {{ return 0; }}\n' for name in names), encoding="ascii")
    try:
        run([*host.command, "-shared", "-fPIC", "-Wl,-soname,libtorch.so", "-o", stub, source], env=environ)
        asked = run([sys.executable, "-I", "-c", _ASK, stub, loaded], env=environ)
    except ProcessFailedError as error:
        msg = f"{import_path} does not load on this machine, and so cannot say which functions its module has"
        raise CompileError(msg, detail=error.completed.output) from error
    answer: dict[str, Any] = json.loads(asked.stdout)
    return answer


def _stub(described: dict[str, Any]) -> str:
    functions = [each["name"] for each in described["functions"]]
    lines = [f"def {name}(*args: Any, **kwargs: Any) -> Any: ..." for name in dict.fromkeys(functions)]
    return "\n".join(["from typing import Any", "", *lines, ""])
