"""Starts `nvrtc_worker` with a device compiler and reads what it reports."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from gpuwheel._resources import resource
from gpuwheel._run import ProcessFailedError, running
from gpuwheel.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from gpuwheel.model.toolchain import DeviceCompiler

__all__ = ["CompileJob", "Event", "LinkJob", "LinkMember", "worker"]


@dataclass(frozen=True)
class CompileJob:
    """One program for one target."""

    id: str
    source: str
    name: str
    """What the compiler calls the source, in messages and in line info."""
    options: tuple[str, ...]
    ptx: bool
    output: str


@dataclass(frozen=True)
class LinkMember:
    """One image of a fatbin."""

    path: str
    arch: str
    """As nvFatbin wants it: "90a"."""
    name: str
    ptx: bool


@dataclass(frozen=True)
class LinkJob:
    """One program's images for all targets, into one fatbin. Run after every compile job has succeeded."""

    id: str
    options: tuple[str, ...]
    members: tuple[LinkMember, ...]
    output: str


@dataclass(frozen=True)
class Event:
    """A job ended."""

    id: str
    ok: bool
    log: str


@contextmanager
def worker(
    compiler: DeviceCompiler,
    jobs: tuple[Sequence[CompileJob], Sequence[LinkJob]],
    *,
    root: Path,
    folders: Mapping[int, Path],
    threads: int,
) -> Iterator[Iterator[Event]]:
    """Run compile jobs on `threads` threads, then link jobs, and hand out one event per job as it ends.

    The worker's current folder is `root`, and file descriptor `number` is open on `folders[number]`: programs name
    include folders through `/proc/self/cwd` and `/proc/self/fd`, so no path of this machine reaches an image.

    Raises:
        ToolchainError: the compiler could not be loaded or is not the pinned one.
    """
    request = {
        "root": str(root),
        "folders": {str(number): str(folder) for number, folder in folders.items()},
        "python_path": [str(path) for path in compiler.python_path],
        "nvrtc": str(compiler.nvrtc),
        "nvfatbin": str(compiler.nvfatbin),
        "cuda": [compiler.cuda.major, compiler.cuda.minor],
        "threads": threads,
        "compile": [asdict(job) for job in jobs[0]],
        "link": [asdict(job) for job in jobs[1]],
    }
    # -I -S: neither PYTHON* variables nor site-packages of the running interpreter are seen.
    argv = [sys.executable, "-I", "-S", "-X", "utf8", resource("compile", "nvrtc_worker.py")]
    try:
        with running(argv, stdin=json.dumps(request)) as lines:
            yield (Event(**json.loads(line)) for line in lines)
    except ProcessFailedError as error:
        output = error.completed.stderr.strip()
        reason = output.splitlines()[-1] if output else f"exit status {error.completed.returncode}"
        msg = f"the device compiler of CUDA {compiler.cuda} does not work ({reason})"
        hint = f"found via {compiler.found_via}; reinstall {' '.join(compiler.pins)}"
        raise ToolchainError(msg, hint=hint, detail=output) from error
