"""What programs print, shown at once and kept too.

Compilers are started by CMake's tools, which inherit the descriptors of this process: those are what is watched. A
terminal stays one for them (by a pseudoterminal), so colours and Ninja's one line of progress are as they were.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Kept", "teed"]

_MOST_BYTES = 16 << 20
"""Of the output that are kept: errors come first, and what follows is more of the same."""
_STEP = 1 << 16
_REST_SECONDS = 0.2
"""How long to wait for more when all is over: a server that a compiler started (sccache) may hold on to the pipe."""


class Kept:
    """What was printed."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        """Keep it, if there is room."""
        if self._size < _MOST_BYTES:
            self._pieces.append(piece)
            self._size += len(piece)

    @property
    def text(self) -> str:
        """All that was printed and kept."""
        return b"".join(self._pieces).decode("utf-8", "replace")


@contextmanager
def teed() -> Iterator[Kept]:
    """Keep what this process and those it starts print meanwhile, on both streams; it is printed as ever."""
    kept = Kept()
    with ExitStack() as stack:
        for number, stream in ((1, sys.stdout), (2, sys.stderr)):
            with suppress(OSError):  # closed: there is nothing to watch
                stack.enter_context(_watched(number, stream, kept))
        yield kept


@contextmanager
def _watched(number: int, stream: object, kept: Kept) -> Iterator[None]:
    # What stood there before: output goes on to it, and it is put back at the end.
    shown = os.dup(number)
    reading, writing = _channel(shown)
    is_over = threading.Event()
    # A thread, as a pipe holds 64 KiB: whoever writes more waits until somebody reads.
    reader = threading.Thread(target=_pass_on, args=(reading, shown, kept, is_over), daemon=True)
    _flush(stream)
    os.dup2(writing, number)
    os.close(writing)
    reader.start()
    try:
        yield
    finally:
        _flush(stream)
        os.dup2(shown, number)
        is_over.set()
        reader.join()
        os.close(reading)
        os.close(shown)


def _channel(shown: int) -> tuple[int, int]:
    """Both ends of what stands for `shown`."""
    # Compilers colour, and Ninja overwrites its line, only for a terminal.
    if os.isatty(shown):
        with suppress(OSError, ImportError):
            return _terminal(shown)
    return os.pipe()


def _terminal(shown: int) -> tuple[int, int]:
    import fcntl  # noqa: PLC0415 (POSIX)
    import termios  # noqa: PLC0415
    import tty  # noqa: PLC0415

    reading, writing = os.openpty()
    try:
        tty.setraw(writing)  # what is written arrives as it is
        attributes = termios.tcgetattr(writing)
        # No OPOST here: the real terminal turns "\n" into "\r\n" by itself.
        attributes[1] = termios.tcgetattr(shown)[1] & ~termios.OPOST
        termios.tcsetattr(writing, termios.TCSANOW, attributes)
        fcntl.ioctl(writing, termios.TIOCSWINSZ, fcntl.ioctl(shown, termios.TIOCGWINSZ, bytes(8)))
    except (OSError, termios.error) as error:
        os.close(reading)
        os.close(writing)
        raise OSError(str(error)) from error
    return reading, writing


def _pass_on(reading: int, shown: int, kept: Kept, is_over: threading.Event) -> None:
    while True:
        ready, _, _ = select.select([reading], [], [], _REST_SECONDS)
        if not ready:
            if is_over.is_set():
                return
            continue
        try:
            piece = os.read(reading, _STEP)
        except OSError:  # the other end of a terminal is closed
            return
        if not piece:
            return
        kept.add(piece)
        _write(shown, piece)


def _write(shown: int, piece: bytes) -> None:
    left = memoryview(piece)
    with suppress(OSError):  # who was looking is gone; the build goes on
        while left:
            left = left[os.write(shown, left) :]


def _flush(stream: object) -> None:
    with suppress(AttributeError, ValueError, OSError):
        stream.flush()  # type: ignore[attr-defined]
