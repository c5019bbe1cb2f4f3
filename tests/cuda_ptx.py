"""CUDA sources to PTX by the pinned NVRTC, for tests and for ci/planted: many at once, in its own process."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._cache import Cache
from gpuwheel.compatibility import load_tables
from gpuwheel.compile.device.command_line import shipped_include_dirs
from gpuwheel.compile.device.worker_client import CompileJob, Request, run_worker
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.model.versions import MinorVersion
from gpuwheel.toolchain import Context, find_device_compiler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpuwheel.model.toolchain import DeviceCompiler


@cache
def device_compiler() -> DeviceCompiler:
    """NVRTC of CUDA 12.9, from the user's cache or the index."""
    context = Context(Cache.from_environment(os.environ), os.environ, SilentReporter())
    return find_device_compiler(load_tables().cuda[MinorVersion(12, 9)], context=context)


def compile_to_ptx(
    sources: Sequence[Path], *, arch: str = "compute_80", threads: int = 1, options: Sequence[str] = ()
) -> list[tuple[str | None, str]]:
    """The PTX of each source, with line info; None where it does not compile; and what NVRTC said."""
    compiler = device_compiler()
    folders = (*shipped_include_dirs(), *compiler.include_dirs)
    with tempfile.TemporaryDirectory() as made:
        jobs = tuple(
            CompileJob(
                id=str(number),
                source=str(source),
                name=str(source),
                options=(
                    f"--gpu-architecture={arch}",
                    "--std=c++17",
                    "--generate-line-info",
                    *(f"--include-path={folder}" for folder in (source.parent, *folders)),
                    *options,
                ),
                ptx=True,
                output=str(Path(made) / f"{number}.ptx"),
            )
            for number, source in enumerate(sources)
        )
        request = Request(jobs, (), str(made), {}, threads)
        with run_worker(compiler, request) as events:
            logs = {event.id: (event.ok, event.log) for event in events}
        return [
            (Path(job.output).read_text(encoding="utf-8").rstrip("\0") if logs[job.id][0] else None, logs[job.id][1])
            for job in jobs
        ]
