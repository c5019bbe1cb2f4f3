"""What setup.py does not get to do to the machine, and what it gets to see in its place.

What it writes goes to a scratch folder, where it can read it again. Programs are not started, but for those that only
look; compilers answer for the machine that is pretended. An audit hook (PEP 578) refuses what gets around these. That
keeps a setup.py from its usual deeds. It is no sandbox: code that wants out gets out.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import multiprocessing
import os
import pathlib
import posix
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .git_commands import git_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from .notes import Notes
    from .programs import Programs

__all__ = ["Wall"]

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
# Events of PEP 578 that change files -> positions of paths, each with that of the folder's descriptor (none: -1).
_CHANGES = {
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.mkdir": ((0, 2),),
    "os.utime": ((0, 3),),
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.truncate": ((0, -1),),
    "os.setxattr": ((0, -1),),
    "os.link": ((1, 3),),
    "os.rename": ((0, 2), (1, 3)),
    "os.symlink": ((1, 2),),
}
_MOVES = {"link", "rename", "renames", "replace", "symlink"}
_SILENT = {
    *_MOVES,
    *("chmod", "chown", "makedirs", "mkdir", "remove", "removedirs", "rmdir", "truncate", "unlink", "utime"),
    *("mkfifo", "mknod"),
}
_STARTS = {"os.exec", "os.forkpty", "os.posix_spawn", "os.system", "pty.spawn"}
_NETWORK = {"socket.bind", "socket.connect", "socket.getaddrinfo", "socket.sendmsg", "socket.sendto"}


class Wall:
    """Around one process, for the rest of its life."""

    def __init__(self, scratch: str, programs: Programs, notes: Notes) -> None:
        self._scratch = os.path.realpath(scratch) + os.sep
        self._programs = programs
        self._notes = notes
        self._written: dict[str, str] = {}
        self._starting = False

    def raise_it(self) -> None:
        """From here on setup.py may do what it likes."""
        self._replace_open()
        for name in _SILENT:
            held = self._unless_foreign(getattr(os, name), name)
            for module in (os, posix, getattr(pathlib, "_NormalAccessor", None)):  # 3.10 has copies in the last
                if hasattr(module, name):
                    setattr(module, name, held)
        shutil.rmtree = self._unless_foreign(shutil.rmtree, "rmtree")  # type: ignore[assignment]
        os.system = posix.system = self._system
        self._replace_popen()
        # Forked processes are behind this wall; those of other kinds would run setup.py without it.
        multiprocessing.set_start_method("fork", force=True)
        multiprocessing.set_start_method = lambda *_, **__: None
        fork = multiprocessing.get_context("fork")
        multiprocessing.get_context = lambda *_: fork  # type: ignore[assignment]
        sys.addaudithook(self._refuse)

    def _mine(self, path: object, folder: object = None) -> bool:
        if isinstance(path, int) or path is None:
            return True  # a file that is open already
        text = os.fsdecode(path)  # type: ignore[arg-type]
        if isinstance(folder, int) and folder >= 0:
            with contextlib.suppress(OSError):
                text = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), text)
        real = os.path.realpath(text)
        return real == os.devnull or (real + os.sep).startswith(self._scratch)

    def _replace_open(self) -> None:
        real = io.open

        def elsewhere(file: Any, mode: str = "r", *rest: Any, **keywords: Any) -> Any:  # noqa: ANN401
            if isinstance(file, int) or self._mine(file):
                return real(file, mode, *rest, **keywords)
            path = os.path.realpath(os.fsdecode(file))
            if set(mode) & set("wax+") and path not in self._written:
                self._note_written(path, path if "w" not in mode and os.path.exists(path) else None)
            return real(self._written.get(path, file), mode, *rest, **keywords)

        builtins.open = io.open = elsewhere
        Path.open = elsewhere  # type: ignore[method-assign,assignment]  # in 3.10 it has its own name for io.open

    def _unless_foreign(self, change: Callable[..., Any], name: str) -> Callable[..., Any]:
        """The function where it touches what is ours; elsewhere nothing, with a note where something comes to be."""
        moves = name in _MOVES
        first = 1 if name in {"link", "symlink"} else 0  # a link may lead anywhere
        folders = ("src_dir_fd", "dst_dir_fd") if moves else ("dir_fd",)

        def maybe(*arguments: Any, **keywords: Any) -> Any:  # noqa: ANN401
            given = [keywords.get(folder, keywords.get("dir_fd")) for folder in folders]
            paths = list(zip(arguments[: 2 if moves else 1], given, strict=False))
            if all(self._mine(*pair) for pair in paths[first:]):
                return change(*arguments, **keywords)
            if moves and len(arguments) > 1:  # something comes to be, which the build may need
                self._note_written(os.path.realpath(os.fsdecode(arguments[1])), os.fsdecode(arguments[0]))
            return None

        return maybe

    def _note_written(self, path: str, source: str | None) -> None:
        """A file of the project's that is not written, and where what it would hold is to be found."""
        self._notes.add("writes", path)
        copy = os.path.join(self._scratch, "written", f"{os.getpid()}-{len(self._written)}")
        if source is not None and os.path.isfile(source):
            shutil.copyfile(source, copy)
        if source is None or os.path.isfile(source):
            self._written[path] = copy

    def _system(self, command: Any) -> int:  # noqa: ANN401
        return subprocess.Popen(os.fsdecode(command), shell=True).wait()  # noqa: S602 (what setup.py asks for, replaced below)

    def _replace_popen(self) -> None:
        wall = self

        class Popen(subprocess.Popen):  # type: ignore[type-arg]
            """Starts something harmless in place of what is asked for."""

            def __init__(self, args: Any, *rest: Any, **keywords: Any) -> None:  # noqa: ANN401
                words = wall._programs.instead(args, shell=bool(keywords.pop("shell", False)))
                keywords.pop("executable", None)
                if "git" in map(os.path.basename, words[:1]):
                    keywords["env"] = git_environment(keywords.get("env") or os.environ)
                wall._starting = True
                try:
                    super().__init__(words, *rest, **keywords)
                finally:
                    wall._starting = False
                self.args = args  # errors name them

        subprocess.Popen = Popen  # type: ignore[misc]

    def _refuse(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith("ctypes.dl"):
            self._refuse_library(event, arguments)
        problem = self._changes(event, arguments) or self._reaches(event, arguments)
        if problem is not None:
            raise PermissionError(problem)

    def _changes(self, event: str, arguments: tuple[Any, ...]) -> str | None:
        """What an event changes on the machine, in words."""
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITES and not self._mine(path):
                return f"setup.py writes {os.fsdecode(path)}"
        for path, folder in _CHANGES.get(event, ()):
            if not self._mine(arguments[path], arguments[folder] if folder >= 0 else None):
                return f"setup.py changes {os.fsdecode(arguments[path])} ({event})"
        if event == "sqlite3.connect" and arguments[0] not in {":memory:", ""} and not self._mine(arguments[0]):
            return f"setup.py opens the database {arguments[0]}"
        return None

    def _reaches(self, event: str, arguments: tuple[Any, ...]) -> str | None:
        """What an event reaches outside of this process, in words."""
        if event in _STARTS and not self._starting:
            return f"setup.py starts a program ({event})"
        if event in _NETWORK:
            return "setup.py reaches for the network"
        if event == "os.kill" and arguments[1] and not _is_child(arguments[0]):
            return f"setup.py sends {signal.Signals(arguments[1]).name} to process {arguments[0]}"
        return None

    def _refuse_library(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Libraries are those of a machine without GPU: a setup.py that asks for the driver has to do without."""
        if event == "ctypes.dlopen":
            if arguments[0] is None:  # Python itself
                return
            msg = f"{os.fsdecode(arguments[0])}: cannot open shared object file: No such file or directory"
            raise OSError(msg)
        if (
            event.startswith("ctypes.dlsym")
            and isinstance(arguments[1], str)
            and not arguments[1].lstrip("_").startswith("Py")
        ):
            msg = f"setup.py calls {arguments[1]} of a library"
            raise PermissionError(msg)


def _is_child(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1]) == os.getpid()
    except (OSError, ValueError, IndexError):
        return False
