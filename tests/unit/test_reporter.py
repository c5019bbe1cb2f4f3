"""Several that talk at once through one reporter."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gpuwheel.model.reporter import Prefixed
from gpuwheel.ui import Terminal

TALKERS, LINES = 8, 50


class _Slow(io.StringIO):
    """A stream that takes a line in pieces, as a pipe to another program may."""

    def write(self, text: str) -> int:
        for letter in text:
            super().write(letter)
            threading.Event().wait(0)  # somebody else's turn
        return len(text)


def test_lines_of_several_threads_are_told_whole_with_their_prefix() -> None:
    stream = _Slow()
    terminal = Terminal(stream, {})

    def talk(name: str) -> None:
        reporter = Prefixed(terminal, f"{name}: ")
        for number in range(LINES):
            reporter.info(f"line {number}\nand {number}")
            reporter.step(f"step {number}")
            reporter.warn(f"warning {number}")
            reporter.command(["g++", f"{number}.cpp"])

    with ThreadPoolExecutor(TALKERS) as pool:
        list(pool.map(talk, (f"cell-{number}" for number in range(TALKERS))))

    lines = stream.getvalue().splitlines()
    for name in (f"cell-{number}" for number in range(TALKERS)):
        told = [line for line in lines if f"{name}: " in line]
        assert told == [
            line
            for number in range(LINES)
            for line in (
                f"  {name}: line {number}",
                f"{name}: and {number}",
                f"* {name}: step {number}",
                f"warning: {name}: warning {number}",
                f"  {name}: > g++ {number}.cpp",
            )
        ]
    assert len(lines) == TALKERS * LINES * 5


def test_progress_of_several_threads_is_told_with_its_prefix_and_ends_with_its_error() -> None:
    stream = _Slow()
    terminal = Terminal(stream, {})

    def work(name: str) -> None:
        with Prefixed(terminal, f"{name}: ").progress("compiling", 4, unit="image") as progress:
            for _ in range(4):
                progress.advance(1)
            if name == "second":
                raise KeyError(name)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(work, "first"), pool.submit(work, "second")
        assert first.result() is None
        with pytest.raises(KeyError, match="second"):
            second.result()
    assert sorted(stream.getvalue().splitlines()) == ["  first: compiling", "  second: compiling"]


def test_who_talks_through_two_wrappers_waits_for_nobody() -> None:
    stream = io.StringIO()
    inner = Prefixed(Terminal(stream, {}), "matrix: ")
    with Prefixed(inner, "cell: ").progress("fetching", None) as progress:
        progress.advance(1)
    assert stream.getvalue() == "  matrix: cell: fetching\n"
