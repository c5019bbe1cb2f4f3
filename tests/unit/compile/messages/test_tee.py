"""What is printed on descriptors 1 and 2, by whomever, is kept and still printed."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from gpuwheel.compile.messages import teed

if TYPE_CHECKING:
    import pytest


def test_both_streams_are_kept_and_shown_where_they_belong(capfd: pytest.CaptureFixture[str]) -> None:
    with teed() as kept:
        os.write(1, b"to one\n")
        os.write(2, b"to two, \xc3\xa4 and \xff\n")
    os.write(1, b"after\n")
    out, err = capfd.readouterr()
    assert out == "to one\nafter\n"
    assert err.startswith("to two")
    assert "to two, \u00e4 and \ufffd\n" in kept.text
    assert "after" not in kept.text


def test_an_error_puts_the_streams_back(capfd: pytest.CaptureFixture[str]) -> None:
    with suppress(SystemExit), teed():
        os.write(1, b"before\n")
        sys.exit(3)
    os.write(1, b"after\n")
    assert capfd.readouterr().out == "before\nafter\n"


def test_who_keeps_the_stream_open_does_not_hold_up_the_end() -> None:
    began = time.monotonic()
    with teed() as kept:
        held = os.dup(1)  # as a compiler server does that a compiler started
        os.write(1, b"said\n")
    assert time.monotonic() - began < 5
    assert kept.text == "said\n"
    os.close(held)


def test_much_output_arrives_whole_and_a_terminal_stays_one() -> None:
    reading, writing = os.openpty()
    shown: list[bytes] = []

    def collect() -> None:
        while sum(piece.count(b"x") for piece in shown) < 300 * 999:
            shown.append(os.read(reading, 65536))

    reader = threading.Thread(target=collect, daemon=True)
    reader.start()
    before = os.dup(1)
    os.dup2(writing, 1)
    try:
        with teed() as kept:
            assert os.isatty(1)
            for _ in range(300):
                os.write(1, b"x" * 999 + b"\n")
    finally:
        os.dup2(before, 1)
        for descriptor in (before, writing):
            os.close(descriptor)
    reader.join(10)
    os.close(reading)
    assert kept.text.count("x") == 300 * 999
    assert b"".join(shown).count(b"x") == 300 * 999
