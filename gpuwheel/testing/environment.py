"""The environment of a process that sees a pretend GPU. It must be set before the process starts: the dynamic loader
reads it once.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel import __version__
from gpuwheel._cache import check_programs
from gpuwheel._resources import resource
from gpuwheel.binary.elf import Elf
from gpuwheel.errors import ConfigError
from gpuwheel.testing.native_code import compile_c, find_c_compiler
from gpuwheel.testing.stubs import Stub, plan_stubs, torch_libraries, version_script, write_stub

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gpuwheel._cache import Cache

__all__ = ["VARIABLE", "FakeSettings", "build_fake_driver", "fake_gpu_environment", "find_torch"]

VARIABLE = "GPUWHEEL_FAKE_GPU"
"""Holds the settings in a process that sees the pretend GPU."""

_RUNTIME = re.compile(r"libcudart\.so\.(\d+)")
_MOST_DEVICES = 16
_VERSION = re.compile(r"\d+\.\d+")


@dataclass(frozen=True)
class FakeSettings:
    """What the pretend machine has. Fixed for a process: torch asks once.

    Raises:
        ConfigError: a number of devices other than 1 to 16, or something that is not MAJOR.MINOR.
    """

    devices: int = 1
    capability: str = "9.0"
    driver: str = "12.8"
    """The CUDA version that the driver supports."""
    memory: int = 16
    """GiB per device."""

    def __post_init__(self) -> None:
        if not 1 <= self.devices <= _MOST_DEVICES:
            msg = f"the pretend GPU cannot have {self.devices} devices (1 to {_MOST_DEVICES} are possible)"
            raise ConfigError(msg)
        for key, value in (("capability", self.capability), ("driver", self.driver)):
            if _VERSION.fullmatch(value) is None:
                msg = f"the pretend GPU's {key} is {value!r}, not MAJOR.MINOR"
                raise ConfigError(msg, hint=f"e.g. {'9.0' if key == 'capability' else '12.8'}")

    def __str__(self) -> str:
        """What `GPUWHEEL_FAKE_GPU` holds; read by native/state.c."""
        return f"devices={self.devices},capability={self.capability},driver={self.driver},memory={self.memory}"


def find_torch() -> Path | None:
    """The site-packages folder of the torch that this interpreter would import; it is not imported."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent.parent


def fake_gpu_environment(
    environ: Mapping[str, str],
    *,
    cache: Cache,
    site_packages: Path | None,
    settings: FakeSettings | None = None,
    also: Iterable[Path] = (),
) -> dict[str, str]:
    """`environ` for a process that is to see a pretend GPU: the fakes first for the dynamic loader.

    The libraries are compiled once per torch and kept in the cache.

    Args:
        environ: what to begin with.
        cache: keeps them.
        site_packages: where torch is; `None`: only the driver is faked.
        settings: what the pretend machine has.
        also: further libraries whose needs from NVIDIA's are faked.

    Raises:
        ToolchainError: a CPU build of torch, or no C compiler.
        CompileError: the C compiler fails.
        CacheError: the cache cannot be written.
    """
    libraries = (*(torch_libraries(site_packages) if site_packages is not None else ()), *also)
    # Whatever the libraries are made from: gpuwheel's C sources, how they are compiled, and what torch asks for.
    digest = hashlib.sha256(__version__.encode())
    for source in sorted([*resource("testing", "native").iterdir(), *resource("testing").glob("*.py")]):
        digest.update(source.read_bytes())
    for library in libraries:
        facts = library.stat()
        # Not their bytes: torch's libraries have gigabytes, and an installed one does not change in place.
        digest.update(f"{library.name} {facts.st_size} {facts.st_mtime_ns}\n".encode())

    def fill(folder: Path) -> None:
        compiler = find_c_compiler(environ)
        build_fake_driver(folder, compiler)
        for stub in plan_stubs(libraries):
            runtime = _RUNTIME.fullmatch(stub.soname)
            if runtime is None:
                write_stub(stub, folder, compiler)
            else:
                _build_fake_runtime(stub, int(runtime[1]), folder, compiler)

    check_programs(cache.root, "the pretend driver")
    folder = cache.publish_tree("toolchains", f"fake-gpu-{digest.hexdigest()[:32]}", fill)
    changed = {**environ, VARIABLE: str(settings or FakeSettings())}
    changed["LD_LIBRARY_PATH"] = _before(str(folder), environ.get("LD_LIBRARY_PATH"), ":")
    # torch's RPATH comes before LD_LIBRARY_PATH: with a real runtime installed, only preloading puts the fake first.
    preloaded = [folder / "libcuda.so.1", *sorted(folder.glob("libcudart.so.*"))]
    changed["LD_PRELOAD"] = _before(":".join(map(str, preloaded)), environ.get("LD_PRELOAD"), ":")
    return changed


def _before(first: str, rest: str | None, separator: str) -> str:
    return f"{first}{separator}{rest}" if rest else first


def build_fake_driver(folder: Path, compiler: str, *options: str) -> Path:
    """Compile `libcuda.so.1` into `folder`."""
    native = resource("testing", "native")
    sources = [native / name for name in ("state.c", "image.c", "cuda.c")]
    linked = ["-fvisibility=hidden", "-Wl,-soname,libcuda.so.1", "-lpthread", "-ldl", *options]
    return compile_c(compiler, sources, folder / "libcuda.so.1", linked)


def _build_fake_runtime(stub: Stub, major: int, folder: Path, compiler: str) -> None:
    """The fake runtime, plus a function that only succeeds for every other name that torch links against."""
    source = resource("testing", "native", "cudart.c")
    compiled = compile_c(compiler, [source], folder / "cudart.o", ["-fvisibility=hidden", f"-DCUDART_MAJOR={major}"])
    symbols = Elf(compiled.read_bytes()).symbols(".symtab")
    defined = {symbol.name for symbol in symbols if not symbol.local and not symbol.weak and not symbol.undefined}
    others = sorted(set().union(*stub.names.values()) - defined)
    extra, script = folder / "others.c", folder / "cudart.map"
    # torch does not load unless every name that it links against is there, called or not.
    extra.write_text("".join(f"long {name}(void) {{ return 0; }}\n" for name in others))
    names: dict[str | None, frozenset[str]] = {stub.soname: frozenset(defined | set(others))}
    script.write_text(version_script(names))
    compile_c(
        compiler,
        [compiled, extra, folder / "libcuda.so.1"],
        folder / stub.soname,
        # $ORIGIN: the fake runtime finds the fake driver beside it. -w: declarations made of names alone contradict
        # what compilers know of some.
        ["-w", f"-Wl,-soname,{stub.soname}", f"-Wl,--version-script={script}", "-Wl,-rpath,$ORIGIN", "-lpthread"],
    )
    for intermediate in (compiled, extra, script):
        intermediate.unlink()
