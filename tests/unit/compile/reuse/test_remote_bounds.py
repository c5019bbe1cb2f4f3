"""What a remote sends is bounded by what it said it would send."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gpuwheel._limits import REMOTE_RATE
from gpuwheel.compile.reuse.remote.bucket import AT_ONCE, BucketError, patience, read_stated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Endless:
    """A server that never stops."""

    def __init__(self) -> None:
        self.sent = 0

    async def pieces(self) -> AsyncIterator[bytes]:
        while self.sent < 1000:
            self.sent += 1
            yield b"12345"


def test_what_is_longer_than_was_said_ends_at_once_and_earns_no_time() -> None:
    server, moved = Endless(), list[int]()
    with pytest.raises(BucketError, match="more than it says"):
        asyncio.run(read_stated(server.pieces(), 10, moved.append))
    assert server.sent == 3
    assert sum(moved) == 10


def test_what_is_as_long_as_was_said_is_taken() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"12345"
        yield b"67890"

    assert asyncio.run(read_stated(pieces(), 10, lambda _: None)) == b"1234567890"


def test_entries_that_share_a_line_which_is_fast_enough_have_the_time_that_they_take() -> None:
    size = 10_000_000
    assert patience(size) > AT_ONCE * size / REMOTE_RATE.value
