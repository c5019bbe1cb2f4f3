"""How many compilers run at once: as many as there are cores and memory for, never more.

The limits of control groups count at every level, from the group of this process up to the root (cgroups(7)): those of
version 2, of version 1, and both mounted beside each other, inside of a container or not.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._files import write_if_changed

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["available_cores", "available_memory", "kept_pool", "nvcc_jobs", "oom_kills"]

_PROC = Path("/proc")
_NEVER = 1 << 60
"""Version 1 says so where there is no limit: the largest number of whole pages."""


@dataclass(frozen=True)
class _Version:
    """Names of files in a folder of control groups."""

    limits: tuple[str, ...]
    used: str
    reclaimed: tuple[str, ...]
    """Fields of `memory.stat`, of files that the kernel gives back before it kills."""


_VERSIONS = {
    # cgroup-v2.rst, "Memory Interface Files"; over memory.high processes are held up rather than ended.
    "cgroup2": _Version(("memory.max", "memory.high"), "memory.current", ("inactive_file", "active_file")),
    # cgroup-v1/memory.rst, sections 2 and 5.2: `total_` counts groups below, as the usage does.
    "cgroup": _Version(
        ("memory.limit_in_bytes",), "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")
    ),
}


def available_memory(proc: Path = _PROC) -> int | None:
    """Bytes that this process may still use: what the machine has left, within the limits of its control groups.

    Args:
        proc: where proc(5) is mounted.
    """
    free = []
    # Not MemFree, which leaves out what the kernel would give back (proc_meminfo(5)).
    match = re.search(r"^MemAvailable:\s+(\d+) kB", _text(proc / "meminfo"), re.MULTILINE)
    if match:
        free.append(int(match[1]) * 1024)
    for version, folder in _groups(proc, "memory"):
        names = _VERSIONS[version]
        limit = min((_number(folder / name, _NEVER) for name in names.limits), default=_NEVER)
        used = _number(folder / names.used, -1)
        if limit < _NEVER and used >= 0:
            stat = dict(re.findall(r"^(\w+) (\d+)$", _text(folder / "memory.stat"), re.MULTILINE))
            given_back = sum(int(stat.get(name, 0)) for name in names.reclaimed)
            free.append(max(0, limit - max(0, used - given_back)))
    return min(free, default=None)


def available_cores(proc: Path = _PROC) -> int:
    """Cores that this process may use: those of its CPU set, or fewer where a control group has a quota of time."""
    cores = len(os.sched_getaffinity(0))
    for version, folder in _groups(proc, "cpu"):
        if version == "cgroup2":
            quota, _, period = _text(folder / "cpu.max").strip().partition(" ")
        else:
            quota, period = (_text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
        if quota.isdigit() and period.isdigit() and int(period):
            cores = min(cores, max(1, -(-int(quota) // int(period))))
    return cores


def oom_kills(proc: Path = _PROC) -> int:
    """How many processes of this machine the kernel has ended for want of memory since it started (`vmstat`)."""
    match = re.search(r"^oom_kill (\d+)$", _text(proc / "vmstat"), re.MULTILINE)
    return int(match[1]) if match else 0


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


def _groups(proc: Path, controller: str) -> Iterator[tuple[str, Path]]:
    """(file system, folder) of the group of this process and of each one above it that is to be seen."""
    mounts = list(_mounts(_text(proc / "self" / "mountinfo"), controller))
    for line in _text(proc / "self" / "cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        version = "cgroup2" if number == "0" and not controllers else "cgroup"
        if version == "cgroup" and controller not in controllers.split(","):
            continue
        for top, place in [(top, place) for kind, top, place in mounts if kind == version]:
            # A container may see its own group as the root of the mount, and its path from outside.
            below = os.path.relpath(path, top) if f"{path}/".startswith(f"{top.rstrip('/')}/") else "."
            folder = Path(os.path.normpath(place / below))
            yield version, folder
            yield from ((version, parent) for parent in folder.parents if parent == place or place in parent.parents)


def _mounts(text: str, controller: str) -> Iterator[tuple[str, str, Path]]:
    """(file system, the group that is its root, where it is mounted): lines of proc_pid_mountinfo(5)."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        with suppress(IndexError):
            if kind[0] == "cgroup2" or (kind[0] == "cgroup" and controller in kind[2].split(",")):
                yield kind[0], _plain(fields[3]), Path(_plain(fields[4]))


def _plain(field: str) -> str:
    """A path as it is: blanks are written as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _number(path: Path, otherwise: int) -> int:
    text = _text(path).strip()
    # "max": no limit.
    return int(text) if text.isdigit() else otherwise
