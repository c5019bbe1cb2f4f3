"""What setup.py must not do to the machine, and what it gets to see in its place.

What it writes goes to a scratch folder, where it can read it again. Programs are not started, but for git commands
that only look; nvcc answers for the toolkit that is pretended. An audit hook (PEP 578) refuses what gets around these.
"""

from __future__ import annotations

import builtins
import io
import itertools
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from .notes import Notes

__all__ = ["Wall"]

_GIT_LOOKS = {"describe", "diff", "log", "ls-files", "rev-list", "rev-parse", "show", "status"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
# Events of PEP 578 that change files -> how many paths they have first.
_CHANGES = {
    **dict.fromkeys(("os.chmod", "os.chown", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.utime"), 1),
    **dict.fromkeys(("os.link", "os.rename", "os.symlink"), 2),
}
_MOVES = {"link", "rename", "renames", "replace", "symlink"}
_SILENT = {
    *_MOVES,
    *("chmod", "chown", "makedirs", "mkdir", "remove", "removedirs", "rmdir", "truncate", "unlink", "utime"),
}
_STARTS = {"os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "pty.spawn"}
_NETWORK = {"socket.connect", "socket.getaddrinfo", "socket.sendto"}


class Wall:
    """Around one process, for the rest of its life."""

    def __init__(self, scratch: str, nvcc: str, notes: Notes) -> None:
        self._scratch = os.path.realpath(scratch) + os.sep
        self._nvcc = nvcc
        """A file with what `nvcc --version` prints."""
        self._notes = notes
        self._written: dict[str, str] = {}
        self._starting = False

    def raise_it(self) -> None:
        """From here on setup.py may do what it likes."""
        self._replace_open()
        for name in _SILENT:
            setattr(os, name, self._unless_foreign(getattr(os, name), paths=2 if name in _MOVES else 1))
        shutil.rmtree = self._unless_foreign(shutil.rmtree, paths=1)  # type: ignore[assignment]
        os.system = self._system
        self._replace_popen()
        sys.addaudithook(self._refuse)

    def _mine(self, path: object) -> bool:
        if isinstance(path, int) or path is None:
            return True  # a file that is open already
        real = os.path.realpath(os.fsdecode(path))  # type: ignore[arg-type]
        return real == os.devnull or (real + os.sep).startswith(self._scratch)

    def _replace_open(self) -> None:
        real = io.open

        def elsewhere(file: Any, mode: str = "r", *rest: Any, **keywords: Any) -> Any:  # noqa: ANN401
            if isinstance(file, int) or self._mine(file):
                return real(file, mode, *rest, **keywords)
            path = os.path.realpath(os.fsdecode(file))
            if set(mode) & set("wax+") and path not in self._written:
                self._notes.add("writes", path)
                copy = os.path.join(self._scratch, "written", str(len(self._written)))
                if "w" not in mode and os.path.exists(path):
                    shutil.copyfile(path, copy)
                self._written[path] = copy
            return real(self._written.get(path, file), mode, *rest, **keywords)

        builtins.open = io.open = elsewhere
        Path.open = elsewhere  # type: ignore[method-assign,assignment]  # in 3.10 it has its own name for io.open

    def _unless_foreign(self, change: Callable[..., Any], *, paths: int) -> Callable[..., Any]:
        def maybe(*arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401
            if all(map(self._mine, arguments[:paths])):
                return change(*arguments, **keywords)
            if paths > 1:  # something comes to be, which the build may need
                self._notes.add("writes", os.path.abspath(os.fsdecode(arguments[1])))
            return None

        return maybe

    def _system(self, command: Any) -> int:  # noqa: ANN401
        return subprocess.Popen(os.fsdecode(command), shell=True).wait()  # noqa: S602 (what setup.py asks for, replaced below)

    def _replace_popen(self) -> None:
        wall = self

        class Popen(subprocess.Popen):  # type: ignore[type-arg]
            """Starts something harmless in place of what is asked for."""

            def __init__(self, args: Any, *rest: Any, **keywords: Any) -> None:  # noqa: ANN401
                keywords.pop("shell", None)
                keywords.pop("executable", None)
                wall._starting = True
                try:
                    super().__init__(wall._instead(args), *rest, **keywords)
                finally:
                    wall._starting = False

        subprocess.Popen = Popen  # type: ignore[misc]

    def _instead(self, args: Any) -> list[str]:  # noqa: ANN401
        words = shlex.split(args) if isinstance(args, str) else [os.fsdecode(word) for word in args]
        name = os.path.basename(words[0]) if words else ""
        if name == "nvcc":
            return ["cat", self._nvcc]
        if name == "git" and _git_command(words) in _GIT_LOOKS:
            return ["env", "GIT_OPTIONAL_LOCKS=0", *words]
        self._notes.add("runs", shlex.join(words))
        return ["true"]

    def _refuse(self, event: str, arguments: tuple[Any, ...]) -> None:
        problem = None
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITES and not self._mine(path):
                problem = f"setup.py writes {os.fsdecode(path)}"
        elif event in _CHANGES and not all(map(self._mine, arguments[: _CHANGES[event]])):
            problem = f"setup.py changes {os.fsdecode(arguments[0])} ({event})"
        elif event in _STARTS and not self._starting:
            problem = f"setup.py starts a program ({event})"
        elif event in _NETWORK:
            problem = "setup.py reaches for the network"
        if problem is not None:
            raise PermissionError(problem)


def _git_command(words: list[str]) -> str | None:
    """The verb of a git command line: "describe"."""
    plain = (word for last, word in itertools.pairwise(words) if last not in {"-C", "-c"})
    return next((word for word in plain if not word.startswith("-")), None)
