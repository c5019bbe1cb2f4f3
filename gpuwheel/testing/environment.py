"""The environment of a process that sees a pretend GPU. It must be set before the process starts: the dynamic loader
reads it once.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuwheel import __version__
from gpuwheel._cache import check_programs
from gpuwheel._resources import resource
from gpuwheel._toml import own_table
from gpuwheel.errors import ConfigError
from gpuwheel.testing.native_code import compile_c, find_c_compiler
from gpuwheel.testing.runtimes import AUDIT_LIBRARY, build_fake_runtime, build_linked_in
from gpuwheel.testing.stubs import plan_stubs, torch_libraries, write_stub

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gpuwheel._cache import Cache

__all__ = [
    "CHECKS",
    "VARIABLE",
    "FakeSettings",
    "build_fake_driver",
    "fake_gpu_environment",
    "find_torch",
    "package_folders",
]

VARIABLE = "GPUWHEEL_FAKE_GPU"
"""Holds the settings in a process that sees the pretend GPU."""

_SOURCES = (
    "state.c",
    "memory.c",
    "copies.c",
    "ordering.c",
    "streams.c",
    "graphs.c",
    "image.c",
    "cuda.c",
    "driver_errors.c",
    "driver_memory.c",
    "libraries.c",
    "launches.c",
    "execution.c",
    "programs.c",
    "program_maker.c",
    "mistakes.c",
    "modules.c",
    "coverage.c",
)
_RUNTIME = re.compile(r"libcudart\.so\.(\d+)")
_PACKAGES = {"site-packages", "dist-packages"}
_MOST_DEVICES = 16
_MOST_MULTIPROCESSORS = 1024
_PYTHON = "GPUWHEEL_FAKE_GPU_PYTHON"
"""The Python that makes programs of PTX (native/program_maker.c)."""
_NEWEST_CAPABILITY = "12.0"
_BOUNDS = 1
CHECKS = {"shared": 2, "global": 4, "uninitialised": 8, "streams": 32, "leaks": 64}
"""What is checked beside bounds, and its bit: of native/fake.h, and the first three of ptx/native/machine.h."""
_NOT_SUPPORTED = 801
"""CUDA_ERROR_NOT_SUPPORTED."""
_VERSION = re.compile(r"\d+\.\d+")


@dataclass(frozen=True)
class FakeSettings:
    """What the pretend machine has. Fixed for a process: torch asks once.

    Raises:
        ConfigError: devices other than 1 to 16, multiprocessors other than 1 to 1024, a patience below 0, or what is
            not MAJOR.MINOR.
    """

    devices: int = 1
    capability: str = "9.0"
    driver: str = "13.0"
    """The CUDA version that the driver supports."""
    memory: int = 16
    """GiB per device."""
    multiprocessors: int = 132
    """Of each device. Where there are few, kernels whose grid is as large as the device do more turns in each block."""
    execute: bool = False
    """Launches run the kernel's own PTX, and are not recorded alone."""
    newer_ptx: bool = False
    """Also PTX for a newer GPU than the pretended one, which would refuse it."""
    checks: tuple[str, ...] = tuple(CHECKS)
    """Of `CHECKS`; bounds are checked whatever is chosen."""
    patience: int = 10_000_000_000
    """Instructions of warps that one launch may take, some minutes of them; 0: any number."""

    def __post_init__(self) -> None:
        if not 1 <= self.devices <= _MOST_DEVICES:
            msg = f"the pretend GPU cannot have {self.devices} devices (1 to {_MOST_DEVICES} are possible)"
            raise ConfigError(msg)
        if not 1 <= self.multiprocessors <= _MOST_MULTIPROCESSORS:
            what, possible = f"{self.multiprocessors} multiprocessors", f"1 to {_MOST_MULTIPROCESSORS}"
            msg = f"the pretend GPU cannot have {what} ({possible} are possible)"
            raise ConfigError(msg)
        if self.patience < 0:
            msg = f"the pretend GPU cannot have a patience of {self.patience} (0 or more instructions are possible)"
            raise ConfigError(msg)
        unknown = sorted({*self.checks} - {*CHECKS})
        if unknown:
            msg = f"the pretend GPU has no check {unknown[0]!r}"
            raise ConfigError(msg, hint=f"those it has: {', '.join(CHECKS)}")
        for key, value in (("capability", self.capability), ("driver", self.driver)):
            if _VERSION.fullmatch(value) is None:
                msg = f"the pretend GPU's {key} is {value!r}, not MAJOR.MINOR"
                raise ConfigError(msg, hint=f"e.g. {'9.0' if key == 'capability' else '13.0'}")

    @classmethod
    def chosen(cls, *, capability: str | None, execute: bool, checks: str, **others: Any) -> FakeSettings:  # noqa: ANN401
        """Settings from words of a command line.

        Args:
            capability: None: one that takes all PTX, where launches are executed.
            execute: launches, and not only record them.
            checks: "all", "none", or names with commas between them.
            others: as the class has them.

        Raises:
            ConfigError: as for the class.
        """
        names = {"all": tuple(CHECKS), "none": ()}.get(checks)
        if names is None:
            names = tuple(word.strip() for word in checks.split(",") if word.strip())
        default = _NEWEST_CAPABILITY if execute else cls.capability
        return cls(capability=capability or default, execute=execute, checks=names, **others)

    def __str__(self) -> str:
        """What `GPUWHEEL_FAKE_GPU` holds; read by native/state.c."""
        machine = f"devices={self.devices},capability={self.capability},driver={self.driver},memory={self.memory}"
        machine += f",multiprocessors={self.multiprocessors}"
        if not self.execute:
            return machine
        checks = _BOUNDS + sum(CHECKS[name] for name in self.checks)
        return f"{machine},execute=1,newer={self.newer_ptx:d},checks={checks},patience={self.patience}"

    def variables(self) -> dict[str, str]:
        """What the environment of a process that sees this machine has."""
        found = {VARIABLE: str(self)}
        if self.execute:
            found[_PYTHON] = sys.executable
            # A cached block holds many tensors: what reaches beyond one would not be seen.
            found["PYTORCH_NO_CUDA_MEMORY_CACHING"] = "1"
        return found


def find_torch() -> Path | None:
    """The site-packages folder of the torch that this interpreter would import; it is not imported."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent.parent


def package_folders() -> list[Path]:
    """Where this interpreter has installed packages."""
    return [Path(entry) for entry in sys.path if Path(entry).name in _PACKAGES]


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
    of_torch = torch_libraries(site_packages) if site_packages is not None else ()
    also = tuple(also)
    digest = _digest_of((*of_torch, *also))

    def fill(folder: Path) -> None:
        compiler = find_c_compiler(environ)
        build_fake_driver(folder, compiler)
        build_linked_in(folder, compiler)
        torchs = {stub.soname: stub.every for stub in plan_stubs(of_torch)}
        for stub in plan_stubs(of_torch, also):
            runtime = _RUNTIME.fullmatch(stub.soname)
            if runtime is None:
                write_stub(stub, folder, compiler)
            else:
                build_fake_runtime(stub, int(runtime[1]), torchs.get(stub.soname, frozenset()), folder, compiler)

    check_programs(cache.root, "the pretend driver")
    folder = cache.publish_tree("toolchains", f"fake-gpu-{digest[:32]}", fill)
    changed = {**environ, **(settings or FakeSettings()).variables()}
    changed["LD_LIBRARY_PATH"] = _before(str(folder), environ.get("LD_LIBRARY_PATH"), ":")
    # torch's RPATH comes before LD_LIBRARY_PATH: with a real runtime installed, only preloading puts the fake first.
    runtimes = [*sorted(folder.glob("libcudart.so.*")), *sorted(folder.glob("libgpuwheel-cudart-*"))]
    preloaded = [folder / "libcuda.so.1", *runtimes]
    changed["LD_PRELOAD"] = _before(":".join(map(str, preloaded)), environ.get("LD_PRELOAD"), ":")
    # Each Python that starts there imports `sitecustomize` of it.
    changed["PYTHONPATH"] = _before(
        str(resource("testing", "torch_operators", "start")), environ.get("PYTHONPATH"), os.pathsep
    )
    if (folder / AUDIT_LIBRARY).exists():
        changed["LD_AUDIT"] = _before(str(folder / AUDIT_LIBRARY), environ.get("LD_AUDIT"), ":")
    return changed


def _digest_of(libraries: Iterable[Path]) -> str:
    """Of whatever the fakes are made from: gpuwheel's C sources, how they are compiled, what `libraries` ask for."""
    digest = hashlib.sha256(__version__.encode())
    names = ("static_runtimes.toml", "nvidia_symbols.toml", "providers.toml")
    machine = resource("testing", "ptx", "native", "machine.h")
    own = [*resource("testing", "native").iterdir(), *resource("testing").glob("*.py"), machine]
    for source in sorted([*own, *(resource("data", name) for name in names)]):
        digest.update(source.read_bytes())
    for library in libraries:
        facts = library.stat()
        # Not their bytes: torch's libraries have gigabytes, and an installed one does not change in place.
        digest.update(f"{library.name} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _before(first: str, rest: str | None, separator: str) -> str:
    return f"{first}{separator}{rest}" if rest else first


def build_fake_driver(folder: Path, compiler: str, *options: str) -> Path:
    """Compile `libcuda.so.1` into `folder`."""
    native = resource("testing", "native")
    sources = [native / name for name in _SOURCES]
    linked = ["-fvisibility=hidden", "-Wl,-soname,libcuda.so.1", "-lpthread", "-ldl", *options]
    others = folder / "others.c"
    # Libraries that are linked to the driver load only if every name is there. Weak: what cuda.c has, it has.
    names = own_table("nvidia_symbols.toml")["functions"]["libcuda.so.1"].split()
    weak = '__attribute__((weak, visibility("default")))'
    others.write_text("".join(f"{weak} int {name}(void) {{ return {_NOT_SUPPORTED}; }}\n" for name in names))
    try:
        return compile_c(compiler, [*sources, others], folder / "libcuda.so.1", linked)
    finally:
        others.unlink()
