"""A PEP 517 backend around another one that writes down what its `build_wheel` took.

Copied into every tree that is measured. BENCH_BACKEND names the backend, BENCH_REPORT the file to write.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path

_inner = importlib.import_module(os.environ["BENCH_BACKEND"])
for _name in dir(_inner):
    if _name.startswith(("get_requires_", "prepare_metadata_", "build_")):
        globals()[_name] = getattr(_inner, _name)


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, str | list[str]] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """The wheel of the inner backend; the time it took is written to BENCH_REPORT."""
    wall, cpu = time.monotonic(), _cpu_seconds()
    name: str = _inner.build_wheel(wheel_directory, config_settings, metadata_directory)
    wall, cpu = time.monotonic() - wall, _cpu_seconds() - cpu
    report = {"wall": wall, "cpu": cpu, "environment_bytes": _environment_bytes()}
    Path(os.environ["BENCH_REPORT"]).write_text(json.dumps(report))
    return name


def _cpu_seconds() -> float:
    """Of this process and of all that it waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _environment_bytes() -> int:
    """On disk, of the environment that this runs in: pip's temporary one, or the one without isolation."""
    folders = {Path(entry).resolve() for entry in sys.path if entry.endswith("site-packages")}
    overlays = {folder for folder in folders if "pip-build-env-" in str(folder)}
    roots = overlays or folders
    # A Python's own folder of packages lies beside the virtual environment's only in isolated builds.
    seen: dict[tuple[int, int], int] = {}
    for root in roots:
        for folder, _, files in os.walk(root):
            for file in files:
                status = os.lstat(os.path.join(folder, file))  # noqa: PTH118 (a hundred thousand files)
                seen[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(seen.values())
