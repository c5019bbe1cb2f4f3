"""The machine that measures, in words."""

from __future__ import annotations

import os
import platform
import re
import sys
from datetime import datetime, timezone
from pathlib import Path

from gpuwheel._run import run

__all__ = ["describe"]


def describe() -> dict[str, object]:
    """What a reader needs to judge the figures; no names and no paths."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    compiler = run(["c++", "--version"]).stdout.splitlines()[0]
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": model[1] if model else platform.machine(),
        "memory": memory,
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", platform.system()),
        "compiler": compiler,
        "python": platform.python_version(),
        "pip": run([sys.executable, "-m", "pip", "--version"]).stdout.split()[1],
        "date": datetime.now(timezone.utc).date().isoformat(),
    }
