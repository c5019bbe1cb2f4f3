"""Whether the host compiler is one that nvcc takes; nvcc itself says so only when it compiles."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpuwheel._environment import tool_variables
from gpuwheel._run import ProcessFailedError
from gpuwheel.errors import ToolchainError
from gpuwheel.toolchain.compiler_answers import ask
from gpuwheel.toolchain.host import find_host_compiler, target_machine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpuwheel.compatibility import CudaToolkit
    from gpuwheel.model.toolchain import HostCompiler
    from gpuwheel.model.versions import MinorVersion

__all__ = ["find_nvcc_host_compiler"]

_VARIABLE = "CUDAHOSTCXX"
_MACRO = re.compile(r"#define (__GNUC__|__clang_major__|__clang_minor__) (\d+)")


def find_nvcc_host_compiler(
    environ: Mapping[str, str], toolkit: CudaToolkit, all_toolkits: Mapping[MinorVersion, CudaToolkit]
) -> HostCompiler:
    """The compiler of CUDAHOSTCXX, else the one that C++ sources are compiled with, if nvcc of `toolkit` takes it.

    Raises:
        ToolchainError: there is none, it does not run, CUDAHOSTCXX and CXX are for different machines, or it is
            outside of the toolkit's range.
    """
    chosen = environ.get(_VARIABLE, "").strip()
    host = find_host_compiler(environ, _VARIABLE if chosen else "CXX")
    if chosen:
        expected = target_machine(environ)
        if host.machine != expected:
            msg = f"{_VARIABLE} is not for the machine that is compiled for (found {host.machine}, expected {expected})"
            raise ToolchainError(msg, hint=f"set CXX={chosen!r} too, which decides it, or unset {_VARIABLE}")
    _check(host, _macros(host, environ), toolkit, all_toolkits)
    return host


def _check(
    host: HostCompiler,
    macros: Mapping[str, int],
    toolkit: CudaToolkit,
    all_toolkits: Mapping[MinorVersion, CudaToolkit],
) -> None:
    # First: clang defines __GNUC__ too, as 4.
    clang = macros.get("__clang_major__")
    gcc = macros.get("__GNUC__")
    if clang is not None:
        name, found = "clang", clang
        oldest, newest = int(toolkit.clang_min.split(".")[0]), toolkit.clang_max
        fits = {version: row for version, row in all_toolkits.items() if row.clang_max >= clang and row.has_nvcc}
    elif gcc is not None:
        name, found, oldest, newest = "gcc", gcc, 0, toolkit.gcc_max
        fits = {version: row for version, row in all_toolkits.items() if row.gcc_max >= gcc and row.has_nvcc}
    else:
        msg = f"{host.path} is neither gcc nor clang (found {host.identity})"
        raise ToolchainError(msg, hint="nvcc on Linux takes gcc and clang: set CXX or CUDAHOSTCXX to one of them")
    if oldest <= found <= newest:
        return
    expected = f"up to {newest}" if oldest <= 0 else f"{oldest} to {newest}"
    msg = f"nvcc of CUDA {toolkit.version} does not take {name} {found} ({host.path}, expected {name} {expected})"
    variable = host.found_via if host.found_via == _VARIABLE else "CXX"
    other = f"{variable}={'g++' if name == 'gcc' else 'clang++'}-{newest}"
    newer = next(iter(fits), None)
    hint = f"set {other}" + (f', or cuda = "{newer}", which takes {name} {found}' if newer else "")
    raise ToolchainError(msg, hint=hint)


def _macros(host: HostCompiler, environ: Mapping[str, str]) -> dict[str, int]:
    try:
        # Macros, and not the text of --version, which distributions word as they like. nvcc's own check
        # (crt/host_config.h) reads the same ones.
        text = ask(host.command, ["-dM", "-E", "-x", "c++", "-"], tool_variables(environ), stdin="")
    except (ProcessFailedError, OSError) as error:
        detail = error.detail if isinstance(error, ProcessFailedError) else str(error)
        msg = f"the C++ compiler does not say what it is ({host.path} -dM -E failed)"
        raise ToolchainError(msg, hint="set CXX or CUDAHOSTCXX to gcc or clang", detail=detail) from error
    return {match[1]: int(match[2]) for match in _MACRO.finditer(text)}
