"""How everything ends: what lower layers raise becomes an error of ours, and a signal ends what was started.

A reader wraps its parser in `reading`, which knows the subject. What escapes all of them meets `as_ours` at the edges
(`backend`, `cli`): a mistake of the world becomes words; what is left is a bug of ours, and says so.
"""

from __future__ import annotations

import csv
import errno
import os
import signal
import struct
import threading
import zipfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from gpuwheel._deflate import ERRORS as DEFLATE_ERRORS
from gpuwheel._limits import SHOWN_TEXT
from gpuwheel.errors import AuditError, BugError, FileError, GpuwheelError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["DAMAGE", "StoppedError", "as_ours", "because", "cut", "reading", "stopped_by_signals"]

DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,  # UnicodeDecodeError, JSON, TOML and others are kinds of it
    csv.Error,
    struct.error,
    zipfile.BadZipFile,
    *DEFLATE_ERRORS,
)
"""What parsers raise on damaged data, whether they mean to or not. Each is chained to our error, for `--debug`."""

_REASONS = {
    errno.ENOSPC: ("no space left on its disk", "free some space, or choose a folder on another disk"),
    errno.EDQUOT: ("over the disk quota", "free some space, or choose a folder on another disk"),
    errno.EFBIG: ("larger than files may be here", "raise the limit (ulimit -f), or choose a folder on another disk"),
    errno.EROFS: ("on a read-only file system", "choose a folder that can be written"),
    errno.EACCES: ("no permission", "choose a folder that this user may write, or change its permissions"),
    errno.EPERM: ("no permission", "choose a folder that this user may write, or change its permissions"),
    errno.ENOENT: ("no such file or folder", "make the folder, or correct the path"),
    errno.ENOTDIR: ("a part of its path is a file", "correct the path"),
    errno.EISDIR: ("a folder, not a file", "correct the path"),
    errno.EEXIST: ("already there", "remove it, or choose another name"),
    errno.ENAMETOOLONG: ("its name is too long", "choose a shorter name"),
    errno.ELOOP: ("links that lead in a circle", "correct the links"),
    errno.EMFILE: ("too many open files", "raise the limit: ulimit -n 4096"),
    errno.ENFILE: ("too many open files on this machine", "end other programs"),
    errno.EIO: ("the disk reports an error", "check the disk"),
    errno.ENOMEM: ("not enough memory", "end other programs, or set MAX_JOBS=1"),
    errno.EAGAIN: ("too many processes, or not enough memory", "set MAX_JOBS=1, or raise the limit (ulimit -u)"),
    errno.ENOEXEC: ("not a program that this machine runs", "correct the variable or path that names it"),
    errno.ETXTBSY: ("a program that is being written", "try again"),
}
_LOOK = "GPUWHEEL_DEBUG=1 shows where it was met"
_REPORT = (
    "report it with the lines above, the output of `gpuwheel doctor --json`, and if you can the project or file that "
    "shows it"
)


def cut(text: object) -> str:
    """A value from outside for a message: on one line, which steers no terminal, cut where nobody would read on."""
    try:
        line = " ".join(str(text).split())
    except (RecursionError, ValueError) as error:  # nested lists; integers of more than 4,300 digits
        return f"a {type(text).__name__} that cannot be shown, {because(error)}"
    shown = line[: SHOWN_TEXT.value]
    if not shown.isprintable():
        shown = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in shown)
    return shown if len(line) <= SHOWN_TEXT.value else f"{shown}... ({len(line)} characters)"


def because(error: BaseException) -> str:
    """The reason in an exception, in a few words."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, MemoryError):
        return "more than fits into memory"
    if isinstance(error, KeyError):
        return f"lacks {cut(error)}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, UnicodeDecodeError):
        return f"not {error.encoding} text at byte {error.start}"
    return cut(error) or type(error).__name__


@contextmanager
def reading(
    subject: str, expected: str, *, error: type[GpuwheelError] = AuditError, hint: str | None = None
) -> Iterator[None]:
    """Whatever a parser raises inside becomes `error`: `subject` is not readable, why, and what was `expected`.

    Errors of ours pass, and so do those of files and programs (`OSError`).
    """
    try:
        yield
    except GpuwheelError:
        raise
    except DAMAGE as damage:
        msg = f"{subject} ({because(damage)}, expected {expected})"
        raise error(msg, hint=hint) from damage


def as_ours(error: Exception) -> GpuwheelError:
    """The error of ours for what escaped to an edge; a `BugError` where nothing else explains it."""
    if isinstance(error, GpuwheelError):
        return error
    if isinstance(error, OSError) and not isinstance(error, TimeoutError):
        return _of_system(error)
    if isinstance(error, MemoryError):
        return FileError("memory ran out", hint="set MAX_JOBS=1, close other programs, or use a machine with more")
    inner = _single(error)
    if inner is not error:
        return as_ours(inner)
    msg = f"gpuwheel failed where it must not ({type(error).__name__}: {because(error)}): this is a bug of gpuwheel"
    return BugError(msg, hint=_REPORT)


def _single(error: Exception) -> Exception:
    """The one error in a group (Python 3.11), or the error."""
    inside = list(getattr(error, "exceptions", ()))
    return inside[0] if len(inside) == 1 and isinstance(inside[0], Exception) else error


def _of_system(error: OSError) -> FileError:
    reason, hint = _REASONS.get(error.errno or 0, (because(error), _LOOK))
    if error.filename is None and _folder_is_gone():
        return FileError(
            "the current folder does not exist any more (found none, expected the project)",
            hint="cd to a folder that exists",
        )
    name = "a file or folder" if error.filename is None else os.fsdecode(error.filename)
    with suppress(ValueError, OSError):
        name = f"{Path(name).relative_to(Path.cwd())}" if Path(name).is_absolute() else name
    target = f" or {cut(os.fsdecode(error.filename2))}" if error.filename2 is not None else ""
    return FileError(f"{cut(name)}{target} cannot be read or written ({reason})", hint=hint)


def _folder_is_gone() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


class StoppedError(BaseException):
    """A signal asks to end; like `KeyboardInterrupt` no error, so that nothing on the way takes it for one."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_code = 128 + number


_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Inside, SIGINT, SIGTERM and SIGHUP end every program that was started, then raise `StoppedError`.

    Folders of ours go as the exception passes them. A second signal does not disturb that; a third ends at once.
    Outside of the main thread, and for signals that the caller has ignored (nohup), nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    count = 0

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        nonlocal count
        count += 1
        _end_descendants()
        if count == 1:
            raise StoppedError(number)
        if count > 2:  # noqa: PLR2004  # the third: whoever sends it does not want to wait
            _end_at_once(number)

    former = {
        number: signal.signal(number, stop) for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    except StoppedError:
        _end_descendants()  # what other threads started meanwhile
        raise
    finally:
        for number, handler in former.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _end_at_once(number: int) -> NoReturn:
    # Without any cleaning up, which is what the first two signals wait for.
    os._exit(128 + number)


def _end_descendants() -> None:
    """Kill the programs that this process started, and those that they started, whatever groups they are in.

    Linux alone tells who started whom (/proc); a server that has left its parent (ccache's, sccache's) is nobody's.
    """
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            # The name stands in brackets and may hold anything.
            parent = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    waiting = [os.getpid()]
    while waiting:
        for child in children.pop(waiting.pop(), ()):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
            waiting.append(child)
