"""The only place that prints: talk goes to stderr, data to stdout.

Progress bars on a terminal, plain lines elsewhere (a build hook under pip). Colour where the stream is a terminal,
unless NO_COLOR is set; FORCE_COLOR turns it on elsewhere (https://no-color.org, https://force-color.org).
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import textwrap
import time
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn, TextIO

from gpuwheel._endings import as_ours
from gpuwheel.errors import BugError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tqdm import tqdm

    from gpuwheel.errors import GpuwheelError
    from gpuwheel.model.reporter import Progress

__all__ = ["Board", "Painter", "Terminal", "use_colour", "wrapped"]

_STYLES = {
    "step": "1;32",
    "ok": "1;32",
    "note": "2",
    "warning": "1;33",
    "error": "1;31",
    "hint": "1;36",
    "command": "2",
    "quiet": "2",
    "title": "1",
}
_QUIET_SECONDS = 5.0
_NARROWEST = 24  # columns of text beside what names a row


def use_colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether to colour what goes to `stream`: NO_COLOR beats FORCE_COLOR beats being a terminal."""
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and environ.get("TERM") != "dumb"


def wrapped(text: str, *, indent: int, stream: TextIO) -> list[str]:
    """`text` in lines that fit the terminal, all but the first with `indent` blanks ahead.

    It stays one line where `stream` is no terminal: programs read that. Words are never cut. `text` begins in column
    `indent` and holds no colours.
    """
    if not stream.isatty():
        return [text]
    width = max(shutil.get_terminal_size().columns - indent, _NARROWEST)
    first, *others = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
    return [first, *(f"{'':<{indent}}{line}" for line in others)]


class Painter:
    """Colours text for a stream, or leaves it as it is."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str]) -> None:
        self.colour = use_colour(stream, environ)

    def paint(self, style: str, text: str) -> str:
        """`text` in one of the styles: "ok", "warning", "error", "hint", "title", "quiet" and others."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.colour else text


class _Bar:
    def __init__(self, bar: tqdm[NoReturn]) -> None:
        self._bar = bar

    def advance(self, amount: int) -> None:
        self._bar.update(amount)


class _Lines:
    """Progress without a terminal: a line now and then, so that a log shows life."""

    def __init__(self, terminal: Terminal, label: str, total: int | None) -> None:
        self._terminal, self._label, self._total = terminal, label, total
        self._done = 0
        self._said = time.monotonic()

    def advance(self, amount: int) -> None:
        self._done += amount
        if time.monotonic() - self._said >= _QUIET_SECONDS:
            self._said = time.monotonic()
            share = f" {100 * self._done // self._total} %" if self._total else f" {self._done}"
            self._terminal.info(f"{self._label}{share}")


class Board:
    """What many are doing at once: a line for each, which changes in place, under a bar of the whole."""

    def __init__(self, label: str, total: int, stream: TextIO) -> None:
        """Show a bar of `total` units on a terminal."""
        from tqdm import tqdm  # noqa: PLC0415 (a fifth of the time that a short command takes)

        self._tqdm, self._stream = tqdm, stream
        self._whole = tqdm(desc=label, total=total, unit="wheel", file=stream, leave=False, dynamic_ncols=True)
        self._lines: dict[str, tqdm[NoReturn]] = {}

    def show(self, name: str, text: str) -> None:
        """What `name` is doing now."""
        line = self._lines.get(name)
        if line is None:
            line = self._tqdm(bar_format="  {desc}", file=self._stream, leave=False, dynamic_ncols=True)
            self._lines[name] = line
        width = shutil.get_terminal_size().columns - 4
        line.set_description_str(f"{name}  {text}"[:width])

    def done(self, name: str) -> None:
        """`name` is doing nothing more."""
        line = self._lines.pop(name, None)
        if line is not None:
            line.close()
        self._whole.update(1)

    def write(self, text: str) -> None:
        """A line that stays, above those that change."""
        self._tqdm.write(text, file=self._stream)

    def close(self) -> None:
        """Leave nothing on the terminal."""
        for line in self._lines.values():
            line.close()
        self._whole.close()


class Terminal:
    """A `Reporter` on a stream, stderr unless stated."""

    def __init__(self, stream: TextIO | None = None, environ: Mapping[str, str] | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._environ = os.environ if environ is None else environ
        self._paint = Painter(self._stream, self._environ).paint
        self._board: Board | None = None

    @contextmanager
    def board(self, label: str, total: int) -> Iterator[Board | None]:
        """What many do at once, below the lines that are said meanwhile; `None`: the stream is no terminal."""
        if not self._stream.isatty() or self._environ.get("TERM") == "dumb":
            yield None
            return
        self._board = Board(label, total, self._stream)
        try:
            yield self._board
        finally:
            self._board.close()
            self._board = None

    def _line(self, text: str) -> None:
        if self._board is not None:
            self._board.write(text)
            return
        # Flushed: pip shows a hook's output line by line, and compilers write to the same stream.
        print(text, file=self._stream, flush=True)

    def plain(self, text: str) -> None:
        """A line as it is, of what others said."""
        self._line(text)

    def step(self, text: str) -> None:
        """A stage begins."""
        self._line(f"{self._paint('step', '*')} {text}")

    def info(self, text: str) -> None:
        """A fact worth a line."""
        self._line(f"  {text}")

    def warn(self, text: str) -> None:
        """Something the user should know."""
        self._line(f"{self._paint('warning', 'warning:')} {text}")

    def command(self, argv: Sequence[str]) -> None:
        """A program is about to run."""
        self._line(self._paint("command", f"> {shlex.join(argv)}"))

    def error(self, error: GpuwheelError) -> None:
        """A mistake of the user's: what a tool said, then ours, then the hint."""
        for line in error.render().splitlines():
            for word in ("error:", "hint:"):
                if line.startswith(word):
                    self._line(self._paint(word[:-1], word) + line[len(word) :])
                    break
            else:
                self._line(line)

    def ending(self, error: Exception) -> int:
        """The last words of a command or hook that fails, and its exit status.

        A traceback comes first for a bug of ours, and where GPUWHEEL_DEBUG or `--debug` asks for it.
        """
        ours = as_ours(error)
        if isinstance(ours, BugError) or self._environ.get("GPUWHEEL_DEBUG"):
            for line in "".join(traceback.format_exception(error)).splitlines():
                self._line(line)
        self.error(ours)
        return ours.exit_code

    @contextmanager
    def progress(self, label: str, total: int | None, unit: str = "B") -> Iterator[Progress]:
        """A bar on a terminal, a line every few seconds elsewhere."""
        if not self._stream.isatty() or self._board is not None:
            self.info(label)
            yield _Lines(self, label, total)
            return
        from tqdm import tqdm  # noqa: PLC0415 (a fifth of the time that a short command takes)

        scaled = unit == "B"
        with tqdm(
            desc=label,
            total=total,
            unit=unit,
            unit_scale=scaled,
            file=self._stream,
            leave=False,
            dynamic_ncols=True,
        ) as bar:
            yield _Bar(bar)
