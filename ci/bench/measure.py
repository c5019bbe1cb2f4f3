"""Run a command and measure it with all that it starts: wall, CPU, memory, bytes from the network."""

from __future__ import annotations

import os
import resource
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from traffic import counting_proxy

from gpuwheel._run import ProcessFailedError, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Usage", "disk_bytes", "measure"]

_INTERVAL_S = 0.25
_PROGRESS_S = 30


@dataclass(frozen=True)
class Usage:
    """What a command took. Seconds and bytes."""

    wall: float
    cpu: float
    """User and system, of all processes."""
    peak_memory: int
    """Largest sum of the proportional set sizes of all processes, sampled."""
    downloaded: int
    """What the proxy received for it, TLS included."""
    load: tuple[float, float]
    """Processes that waited for a core in the minute before the start and before the end."""


def measure(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path) -> Usage:
    """Run a command to its end; its output goes to `log`.

    Raises:
        SystemExit: it failed; the end of its output is the message.
    """
    load = os.getloadavg()[0]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    with counting_proxy() as proxy, _sampled_memory(log.stem) as peak:
        proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), proxy.url)
        try:
            completed = run(argv, cwd=cwd, env={**env, **proxies})
        except ProcessFailedError as error:
            log.write_text(error.completed.output, encoding="utf-8")
            tail = "\n".join(error.completed.output.splitlines()[-40:])
            message = f"{tail}\n\n{log.stem} failed (exit status {error.completed.returncode}, all output in {log})"
            raise SystemExit(message) from None
        wall = time.monotonic() - start
    log.write_text(completed.output, encoding="utf-8")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Usage(wall, cpu, peak.largest, proxy.received, (load, os.getloadavg()[0]))


def disk_bytes(*roots: Path) -> int:
    """What files take on disk; those with several names count once."""
    seen: dict[tuple[int, int], int] = {}
    for root in roots:
        for folder, _, files in os.walk(root):
            for file in files:
                status = os.lstat(Path(folder) / file)
                seen[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(seen.values())


class _Peak:
    def __init__(self) -> None:
        self.largest = 0


@contextmanager
def _sampled_memory(title: str) -> Iterator[_Peak]:
    """Watches all descendants of this process, and says now and then that the command still runs."""
    peak, stop = _Peak(), threading.Event()

    def watch() -> None:
        start = told = time.monotonic()
        while not stop.wait(_INTERVAL_S):
            peak.largest = max(peak.largest, sum(_pss(pid) for pid in _descendants()))
            if time.monotonic() - told > _PROGRESS_S:
                told = time.monotonic()
                print(f"    {title}: {told - start:.0f} s, peak memory {peak.largest / 1e9:.1f} GB", flush=True)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def _descendants() -> list[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it ended
                # pid (name) state ppid ...; a name may hold spaces and parentheses.
                fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                parents[int(entry.name)] = int(fields[1])
    found = {os.getpid()}
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return list(found - {os.getpid()})


def _pss(pid: int) -> int:
    with suppress(OSError):
        for line in Path("/proc", str(pid), "smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
