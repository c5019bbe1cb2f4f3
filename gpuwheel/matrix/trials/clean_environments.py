"""A clean environment with one wheel, what it requires, and one torch: the place of a trial.

What an installer would take beside it is found out first, by uv or pip, with that torch: so a Requires-Dist that
nothing satisfies shows. torch itself is linked from an environment that is kept for all trials. Without a GPU, the
gigabytes of NVIDIA's libraries stay away, and the pretend GPU of `gpuwheel.testing` stands in for them.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gpuwheel._environment import of_strangers
from gpuwheel._run import Completed, Leash, LeashPulledError, ProcessFailedError, run
from gpuwheel.binary.elf import MAGIC, read_elf
from gpuwheel.errors import AuditError, ToolchainError
from gpuwheel.matrix.environments import entered
from gpuwheel.matrix.installers import find_installer
from gpuwheel.matrix.interpreters import find_interpreter
from gpuwheel.matrix.own_wheel import own_wheel
from gpuwheel.toolchain.probes.driver import probe_driver

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gpuwheel.matrix.trials.claims import Claims, Pair
    from gpuwheel.toolchain import Context

__all__ = ["Place", "place_for"]

# What torch requires of NVIDIA, by gigabytes, and the compiler of its own kernels, which no operator of a wheel needs.
_HEAVY = re.compile(r"nvidia-.*|cuda-.*|triton|pytorch-triton")
_NVIDIA = re.compile(r"lib(cu|nv|nccl)")
_OF_CUDA_TORCH = re.compile(r"lib(c10|torch)_cuda")
_TESTING = (sys.executable, "-I", "-m", "gpuwheel.testing")


@dataclass(frozen=True)
class Place:
    """Where programs of a trial run."""

    python: Path
    folder: Path
    """Empty, to work in."""
    site_packages: Path
    pretends: bool
    """Whether its programs see the pretend GPU: a CUDA build of torch on a machine without one."""
    also: tuple[Path, ...]
    """Libraries of the wheel that need NVIDIA's."""
    context: Context

    def run(
        self, words: Sequence[str], *, seconds: float | None, variables: Mapping[str, str] | None = None
    ) -> Completed:
        """Run a program of the environment, "python" for one, whatever comes of it.

        `variables` are added to what it sees of this machine's: nothing with which a remote is read or written.

        Raises:
            FileNotFoundError: there is no such program.
            TimeoutError: it took longer than `seconds`.
        """
        environ = {
            **entered(self.python, of_strangers(self.context.environ)),
            **(variables or {}),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        program = shutil.which(words[0], path=environ["PATH"])
        if program is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), words[0])
        words = [program, *words[1:]]
        if self.pretends:
            also = [word for library in self.also for word in ("--also", str(library))]
            words = [*_TESTING, "run", "--site-packages", str(self.site_packages), *also, "--", *words]
        return run(words, env=environ, cwd=self.folder, check=False, timeout=seconds)


@contextmanager
def place_for(
    claims: Claims, pair: Pair, requires: Sequence[str], context: Context, *, seconds: float | None = None
) -> Iterator[Place]:
    """Make the place, which is gone afterwards.

    Args:
        claims: the wheel.
        pair: what it is tried with.
        requires: what else is to be there (PEP 508).
        context: environment, cache, reporter.
        seconds: that making it may take.

    Raises:
        ToolchainError: there is no such Python or torch here, or nothing that installs.
        AuditError: nothing satisfies what the wheel requires, beside a torch that is there; or making it took too long.
    """
    with context.cache.scratch() as scratch:
        leash = Leash()
        try:
            with leash.around(seconds):
                place = _made(claims, pair, requires, context, scratch)
        except LeashPulledError as error:
            if not leash.is_pulled:
                raise
            msg = f"an environment with {pair} was not there after {seconds:g} s"
            raise AuditError(msg, hint="--timeout sets how long it may take; an index may hang") from error
        yield place


def _made(claims: Claims, pair: Pair, requires: Sequence[str], context: Context, scratch: Path) -> Place:
    interpreter = find_interpreter(pair.python, context.environ)
    below = _torch(pair, interpreter.program, context) if pair.torch else None
    beside = [] if below is None else [f"torch=={_version(below)}"]
    has_gpu = bool(probe_driver(context.environ).devices)
    (scratch / "work").mkdir()
    installer = find_installer(scratch / "work", context)
    own = [own_wheel(context.cache).requirement() if _name(one) == "gpuwheel" else one for one in requires]
    wanted = [f"{claims.distribution} @ {claims.wheel.as_uri()}", *own]
    try:
        resolved = installer.resolve([*wanted, *beside], interpreter)
    except ToolchainError as error:
        installer.resolve(beside or ["pip"], interpreter)  # raises where it is the index that does not answer
        msg = f"nothing satisfies what {claims.wheel.name} requires with {pair}"
        raise AuditError(msg, hint="correct dependencies or requires-python", detail=error.detail) from error
    light = [one for one in resolved if _name(one) != "torch" and (has_gpu or not _HEAVY.fullmatch(_name(one)))]
    environment = scratch / "environment"
    environment.mkdir()
    try:
        installer.make(environment, interpreter, light, environment)
    except ToolchainError as error:
        msg = f"{claims.wheel.name} cannot be installed with {pair}"
        raise AuditError(msg, hint="the messages above say what is in the way", detail=error.detail) from error
    (site_packages,) = environment.glob("lib/python*/site-packages")
    if below is not None:
        _link(below, site_packages)
    is_cuda = below is not None and (below / "torch" / "lib" / "libtorch_cuda.so").exists()
    needing = _needing(site_packages, pair, is_cuda=is_cuda)
    python = environment / "bin" / "python"
    return Place(python, scratch / "work", site_packages, is_cuda and not has_gpu, needing, context)


def _name(requirement: str) -> str:
    return canonicalize_name(Requirement(requirement).name)


def _torch(pair: Pair, program: Path, context: Context) -> Path:
    """The site-packages folder of a kept environment with that torch."""
    context.reporter.step(f"looking for torch {pair.torch} for Python {pair.python} (0.5 to 0.9 GB, the first time)")
    words = [*_TESTING, "environment", str(pair.torch), "--python", pair.python, "--interpreter", str(program)]
    try:
        python = Path(run(words, env=of_strangers(context.environ)).stdout.strip().splitlines()[-1])
    except ProcessFailedError as error:
        msg = f"no environment with torch {pair.torch} for Python {pair.python} can be made"
        raise ToolchainError(msg, detail=error.completed.output) from error
    (found,) = python.parent.parent.glob("lib/python*/site-packages")
    return found


def _record(site_packages: Path) -> Path:
    (found,) = site_packages.glob("torch-*.dist-info")
    return found


def _version(site_packages: Path) -> str:
    """With its local part: "2.13.0+cpu" is another build than "2.13.0"."""
    return _record(site_packages).name.removeprefix("torch-").removesuffix(".dist-info")


def _link(below: Path, site_packages: Path) -> None:
    """Let torch be seen, and nothing else of its environment."""
    rows = (_record(below) / "RECORD").read_text(encoding="utf-8").splitlines()
    for name in sorted({row.split("/")[0] for row in rows if "/" in row} - {"..", "bin", "__pycache__"}):
        if not (site_packages / name).exists():
            (site_packages / name).symlink_to(below / name)


def _needing(site_packages: Path, pair: Pair, *, is_cuda: bool) -> tuple[Path, ...]:
    """The libraries beside torch that need NVIDIA's.

    Raises:
        ToolchainError: one needs the CUDA half of torch, and this torch has none.
    """
    found = []
    for parent, folders, names in os.walk(site_packages):
        # Links, of torch above all, are not followed.
        folders[:] = [name for name in folders if not Path(parent, name).is_symlink()]
        for path in (Path(parent, name) for name in names if name.endswith(".so") or ".so." in name):
            needed = _needed(path)
            if not is_cuda and any(_OF_CUDA_TORCH.match(name) for name in needed):
                msg = f"torch {pair.torch} for Python {pair.python} is a CPU build here, and {path.name} needs CUDA's"
                raise ToolchainError(msg)
            if any(_NVIDIA.match(name) for name in needed):
                found.append(path)
    return tuple(sorted(found))


def _needed(path: Path) -> tuple[str, ...]:
    data = path.read_bytes()
    # Scripts for linkers have such names too; whether a library of the wheel is none, loading it shows.
    if not data.startswith(MAGIC):
        return ()
    return tuple(read_elf(memoryview(data), path.name, error=AuditError, hint="look at what built it").needed)
