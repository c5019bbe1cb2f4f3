"""The machine that measures, in words."""

from __future__ import annotations

import os
import platform
import re
import sys
import zipfile
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["as_installed", "describe"]


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


def as_installed(folder: Path, tools: Iterable[Sequence[str]]) -> dict[str, str]:
    """The environment, with the bytecode of these tools in `folder`: an installer compiles what it installs."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    wheel = folder / "nothing-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("nothing-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: nothing\nVersion: 1\n")
    for words in tools:
        run([sys.executable, *words, str(wheel)], env=environment, check=False)
    return environment
