"""How many compilers run at once: as many as there are cores and memory for, never more."""

from __future__ import annotations

import re
from pathlib import Path

from gpuwheel._files import write_if_changed

__all__ = ["available_memory", "kept_pool", "nvcc_jobs"]

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")  # version 2, which containers see as their own


def available_memory() -> int | None:
    """Bytes that this process may still use: what the machine has left, within the limit of its cgroup."""
    free = []
    if _MEMINFO.is_file():
        # Not MemFree, which leaves out what the kernel would give back (proc_meminfo(5)).
        match = re.search(r"^MemAvailable:\s+(\d+) kB", _MEMINFO.read_text(encoding="ascii"), re.MULTILINE)
        if match:
            free.append(int(match[1]) * 1024)
    limit, used = (_number(_CGROUP / name) for name in ("memory.max", "memory.current"))
    if limit is not None and used is not None:
        free.append(max(0, limit - used))
    return min(free, default=None)


def nvcc_jobs(jobs: int, per_job: int, available: int | None) -> int:
    """At most `jobs`, of `per_job` bytes each; one at least, for it may still fit."""
    return jobs if available is None else max(1, min(jobs, available // per_job))


def kept_pool(note: Path, pool: int) -> int:
    """`pool`, or the smaller one that was noted in the file `note`: it only ever shrinks."""
    try:
        noted = int(note.read_text(encoding="ascii"))
    except (OSError, ValueError):
        noted = pool
    write_if_changed(note, str(min(pool, noted)).encode())
    return min(pool, noted)


def _number(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    # "max": no limit.
    return int(text) if text.isdigit() else None
