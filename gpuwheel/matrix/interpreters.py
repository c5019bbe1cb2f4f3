"""Python interpreters of this machine, by version. None is downloaded: which ones a machine has is its owner's to say.

Looked at, in this order: the running one; `pythonX.Y` on PATH; those of pyenv and of uv; those that manylinux images
have (`/opt/python`); `python3` and `python` on PATH. Each is started and asked what it is, for names lie: a shim of
pyenv answers to versions that are not there. Of those that are right, the first that has its headers is taken:
extension modules need them, and distributions of Linux pack them apart.
"""

from __future__ import annotations

import json
import os
import re
import sys
import sysconfig
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._run import run
from gpuwheel.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Interpreter", "find_interpreter"]

_PATIENCE = 30.0
"""Seconds that an interpreter may take to say what it is: on a network file system, some."""

_DEBUG = re.compile(r"cpython-\d+t?d\b")
"""A debug build has an ABI of its own (PEP 3149), and no installer takes its wheels for another."""

# Runs in any Python, of any age: what is no Python 3.8 fails, and is passed over.
_ASK = """
import json, os, platform, sys, sysconfig
get = sysconfig.get_config_var
name = "" if sys.implementation.name == "cpython" else sys.implementation.name
print(json.dumps({
    "program": getattr(sys, "_base_executable", "") or sys.executable,
    "version": "%s%d.%d%s" % (name, sys.version_info[0], sys.version_info[1], "t" * bool(get("Py_GIL_DISABLED"))),
    "release": platform.python_version(),
    "platform": sysconfig.get_platform(),
    "abi": get("SOABI") or "",
    "has_headers": os.path.isfile(os.path.join(sysconfig.get_path("include"), "Python.h")),
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python that can be started, outside of any virtual environment."""

    program: Path
    version: str
    """As cells name it: "3.12", "3.14t" (free-threaded), "pypy3.11"."""
    release: str
    """For example "3.12.4"."""
    platform: str
    """What its extension modules are compiled for: "linux-x86_64"."""
    abi: str
    """The ABI tag in the names of its extension modules: "cpython-312-x86_64-linux-gnu"."""
    has_headers: bool
    """Whether it came with `Python.h`."""

    @property
    def identity(self) -> dict[str, object]:
        """What tells its environments from those of others; another build of the same release has other times."""
        facts = self.program.resolve().stat()
        return {**asdict(self), "program": str(self.program), "file": [facts.st_size, facts.st_mtime_ns]}


def find_interpreter(version: str, environ: Mapping[str, str]) -> Interpreter:
    """The interpreter of this machine for `version`, as cells name it ("3.12", "3.14t").

    Raises:
        ToolchainError: there is none; those that were looked at and are something else are named.
    """
    passed_over: list[str] = []
    found: Interpreter | None = None
    for candidate in dict.fromkeys(_candidates(version, environ)):
        if not os.access(candidate, os.X_OK) or candidate.is_dir():
            continue
        answer = _ask(candidate, environ)
        reason = answer if isinstance(answer, str) else _unfit(answer, version)
        if not isinstance(answer, Interpreter) or reason:
            passed_over.append(f"{candidate}: {reason}")
        elif answer.has_headers:
            return answer
        else:
            found = found or answer
    if found is not None:
        return found
    msg = f"Python {version} is not installed (looked on PATH, and where pyenv, uv and manylinux images keep theirs)"
    hint = f"uv python install {version} (pip install uv), or put the folder of {_name(version)} on PATH"
    raise ToolchainError(msg, hint=hint, detail="\n".join(passed_over) or None)


def _candidates(version: str, environ: Mapping[str, str]) -> Iterator[Path]:
    yield Path(sys.executable)
    name = _name(version)
    # An empty entry is the current folder (POSIX), which is somebody's project.
    folders = [Path(folder) for folder in environ.get("PATH", "").split(os.pathsep) if folder]
    yield from (folder / name for folder in folders)
    home = environ.get("HOME", "/")
    data = environ.get("XDG_DATA_HOME") or f"{home}/.local/share"
    kept = {
        environ.get("PYENV_ROOT") or f"{home}/.pyenv": f"versions/*/bin/{name}",
        environ.get("UV_PYTHON_INSTALL_DIR") or f"{data}/uv/python": f"*/bin/{name}",
        # The images' name for it is its tag: cp312-cp312, cp314-cp314t.
        "/opt/python": f"cp{version.replace('.', '').rstrip('t')}-cp{version.replace('.', '')}/bin/python",
    }
    for folder, pattern in kept.items():
        yield from sorted(Path(folder).glob(pattern), key=_age, reverse=True)
    # Last: they are rarely the one, and each that is asked takes a moment.
    yield from (folder / other for other in ("python3", "python") for folder in folders)


def _name(version: str) -> str:
    return f"python{version}" if version[:1].isdigit() else version


def _age(path: Path) -> list[int]:
    """For the newest release first: the numbers in the name of what it is installed in."""
    numbers = "".join(letter if letter.isdigit() else " " for letter in path.parent.parent.name)
    return [int(number) for number in numbers.split()]


def _ask(candidate: Path, environ: Mapping[str, str]) -> Interpreter | str:
    """What a program says it is, or why it says nothing."""
    try:
        completed = run([candidate, "-I", "-S", "-c", _ASK], env=environ, check=False, timeout=_PATIENCE)
    except (OSError, TimeoutError) as error:  # no program, or a shell script without its shell
        return str(error)
    try:
        answer = json.loads(completed.stdout)
        return Interpreter(**{**answer, "program": Path(answer["program"])})
    except (ValueError, TypeError, KeyError):
        said = completed.output.strip().splitlines()
        return f"no Python (exit status {completed.returncode}{f': {said[-1]}' if said else ''})"


def _unfit(found: Interpreter, version: str) -> str | None:
    """Why it is not the one for `version`."""
    if found.version != version:
        return f"Python {found.version}"
    if _DEBUG.match(found.abi):
        return "a debug build"
    if "musl" in found.abi or found.platform != sysconfig.get_platform():
        return f"for another system ({found.platform}, {found.abi})"
    return None
