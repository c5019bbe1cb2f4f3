"""Starts `nvrtc_worker` with a device compiler and reads what it reports."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from gpuwheel._environment import device_environment
from gpuwheel._resources import resource
from gpuwheel._run import ProcessFailedError, running
from gpuwheel.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gpuwheel.model.toolchain import DeviceCompiler

__all__ = ["CompileJob", "Event", "LinkJob", "LinkMember", "Request", "run_worker"]


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


@dataclass(frozen=True)
class Request:
    """Everything one worker has to do."""

    compile: tuple[CompileJob, ...]
    link: tuple[LinkJob, ...]
    root: str
    """The worker's current folder, which programs see as `/proc/self/cwd`."""
    folders: Mapping[int, str]
    """File descriptor -> folder opened there, which programs see as `/proc/self/fd/N`."""
    threads: int


@contextmanager
def run_worker(compiler: DeviceCompiler, request: Request) -> Iterator[Iterator[Event]]:
    """Run the compile jobs, then (if all succeeded) the link jobs, and hand out one event per job as it ends.

    Raises:
        ToolchainError: the compiler could not be loaded or is not the pinned one.
    """
    document = asdict(request) | {
        "parent": os.getpid(),
        "python_path": [str(path) for path in compiler.python_path],
        "nvrtc": str(compiler.nvrtc),
        "nvfatbin": str(compiler.nvfatbin),
        "cuda": [compiler.cuda.major, compiler.cuda.minor],
        "admitted": str(resource("compile", "cmake", "admitted_command.py")),
    }
    # -I -S: neither PYTHON* variables nor site-packages of the running interpreter are seen.
    argv = [sys.executable, "-I", "-S", "-X", "utf8", str(resource("compile", "device", "nvrtc_worker.py"))]
    try:
        # By standard input: thousands of options may be more than a command line holds.
        with running(argv, stdin=json.dumps(document), env=device_environment(compiler.environ)) as lines:
            yield (Event(**json.loads(line)) for line in lines)
    except ProcessFailedError as error:
        output = error.completed.stderr.strip()
        reason = output.splitlines()[-1] if output else f"exit status {error.completed.returncode}"
        msg = f"the device compiler of CUDA {compiler.cuda} does not work ({reason})"
        in_cache = "cache" in compiler.found_via
        mend = "gpuwheel cache verify --fix" if in_cache else f"reinstall {' '.join(compiler.pins)}"
        hint = f"found via {compiler.found_via}: {mend}"
        raise ToolchainError(msg, hint=hint, detail=output) from error
