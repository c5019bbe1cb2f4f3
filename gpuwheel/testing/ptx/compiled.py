"""The interpreter as machine code: its C and the handlers of the forms that are asked for, compiled once and kept."""

from __future__ import annotations

import ctypes
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._resources import resource
from gpuwheel.testing.native_code import compile_c, find_c_compiler
from gpuwheel.testing.ptx.handlers import handlers_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gpuwheel._cache import Cache
    from gpuwheel.testing.ptx.handlers import Form

__all__ = ["Interpreter"]

_MACHINE = "libgpuwheel-ptx.so"
# Each rounding as the source has it; NaN, signed zeros and infinities as PTX defines them. Code for this CPU: the key
# names it.
_OPTIONS = (
    "-O3",
    "-march=native",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-strict-aliasing",
    "-fvisibility=hidden",
    "-lm",
)


class Interpreter:
    """The interpreter of this process: the machine, and handlers, loaded when a form is asked for that is not there.

    Raises:
        ToolchainError: no C compiler.
        CompileError: the C compiler fails.
        CacheError: the cache cannot be written.
    """

    def __init__(self, cache_: Cache, environ: Mapping[str, str]) -> None:
        self._cache = cache_
        self._environ = environ
        self._native = resource("testing", "ptx", "native")
        self._folder = self._compiled("machine", self._machine)
        self._library = ctypes.CDLL(str(self._folder / _MACHINE))
        self._addresses: dict[str, int] = {}
        self._homes: dict[str, Path] = {}
        self._kept: list[ctypes.CDLL] = []

    @property
    def machine(self) -> ctypes.CDLL:
        """The library of native/*.c."""
        return self._library

    @property
    def machine_file(self) -> Path:
        """The file of that library."""
        return self._folder / _MACHINE

    def addresses(self, forms: Iterable[Form]) -> tuple[int, ...]:
        """The address of the handler of each form; those that are missing are compiled, together."""
        wanted = tuple(forms)
        missing = {form.symbol: form for form in wanted if form.symbol not in self._addresses}
        if missing:
            self._load(missing)
        return tuple(self._addresses[form.symbol] for form in wanted)

    def library_of(self, form: Form) -> Path:
        """The file that has the handler of a form, whose address was asked for."""
        return self._homes[form.symbol]

    def _load(self, missing: Mapping[str, Form]) -> None:
        source = handlers_source(missing.values())

        def fill(folder: Path) -> None:
            text = folder / "handlers.c"
            text.write_text(source)
            against = [f"-I{self._native}", f"-L{self._folder}", "-l:" + _MACHINE, f"-Wl,-rpath,{self._folder}"]
            compile_c(find_c_compiler(self._environ), [text], folder / "handlers.so", [*_OPTIONS, "-w", *against])
            text.unlink()

        folder = self._compiled(source, fill)
        library = ctypes.CDLL(str(folder / "handlers.so"))
        self._kept.append(library)
        for symbol in missing:
            self._homes[symbol] = folder / "handlers.so"
            self._addresses[symbol] = ctypes.cast(getattr(library, symbol), ctypes.c_void_p).value or 0

    def _machine(self, folder: Path) -> None:
        sources = sorted(self._native.glob("*.c"))
        compile_c(find_c_compiler(self._environ), sources, folder / _MACHINE, [*_OPTIONS, f"-Wl,-soname,{_MACHINE}"])

    def _compiled(self, what: str, fill: Callable[[Path], None]) -> Path:
        digest = hashlib.sha256(f"{what}\0{_sources_digest(self._native)}\0{_cpu()}\0{_OPTIONS}".encode())
        return self._cache.publish_tree("toolchains", f"ptx-{digest.hexdigest()[:32]}", fill)


@cache
def _sources_digest(native: Path) -> str:
    digest = hashlib.sha256()
    for source in sorted(native.iterdir()):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()


@cache
def _cpu() -> str:
    """What `-march=native` depends on: the instructions that this CPU has."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return "\n".join(
        sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))})
    )
