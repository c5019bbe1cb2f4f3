"""Python interpreters of this machine, by version."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from uv import find_uv_bin

from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["find_interpreter"]

# What an interpreter says it is: "3.13", or "3.13t" for the free-threaded build.
_ASK = (
    "import sys, sysconfig; t = 't' * bool(sysconfig.get_config_var('Py_GIL_DISABLED')); "
    "print('%d.%d%s' % (*sys.version_info[:2], t))"
)


@cache
def find_interpreter(version: str) -> Path | None:
    """An interpreter of a version such as "3.12" or "3.14t"; None if this machine has none.

    Each candidate is started and asked: the shims of pyenv answer to names whose interpreter is not there.
    """
    for candidate in _candidates(version):
        if not candidate.is_file():
            continue
        completed = run([candidate, "-I", "-S", "-c", _ASK], check=False)
        if completed.returncode == 0 and completed.stdout.strip() == version:
            return candidate
    return None


def _candidates(version: str) -> Iterator[Path]:
    yield Path(sys.base_prefix, "bin", f"python{version}")
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        yield Path(folder, f"python{version}")
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(pyenv.glob(f"versions/*/bin/python{version}"))
    found = run([find_uv_bin(), "python", "find", "--managed-python", "--no-python-downloads", version], check=False)
    if found.returncode == 0:
        yield Path(found.stdout.strip())
