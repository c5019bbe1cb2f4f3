"""`load_static_code`: the machine code of each libcudart_static.a, by which one tells it inside of a library.

It keeps no name of its functions. `data/static_runtimes.toml` has, of each release, a run of bytes that no linker
changes, and a digest over the first bytes of every function.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from gpuwheel.compatibility.parsing import read_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpuwheel.compatibility.parsing import Reader

__all__ = ["StaticCode", "load_static_code"]

_FNV, _PRIME, _WORD = 0xCBF29CE484222325, 0x100000001B3, (1 << 64) - 1
"""FNV-1a of 64 bits."""


@dataclass(frozen=True)
class StaticCode:
    """One release, for x86_64."""

    versions: tuple[str, ...]
    """Releases with this machine code: "13.0.48", "13.0.88"."""
    size: int
    """Bytes of its code."""
    at: int
    """Where `run` is in it."""
    run: bytes
    heads: int
    entries: tuple[tuple[int, int], ...]
    """Where each function begins, and how many of its first bytes no linker changes."""

    def is_at(self, read: Callable[[int, int], bytes | memoryview], place: int) -> bool:
        """Whether this code begins at `place` of something of which `read` gives bytes."""
        code, digest = bytes(read(place, self.size)), _FNV
        if len(code) < self.size:
            return False
        for at, count in self.entries:
            for byte in code[at : at + count]:
                digest = (digest ^ byte) * _PRIME & _WORD
        return digest == self.heads


@cache
def load_static_code() -> tuple[StaticCode, ...]:
    """Every row of the table.

    Raises:
        DataError: the table is missing or damaged.
    """
    with read_table("static_runtimes.toml") as file:
        file.text("names")
        with file.table("release") as releases:
            return tuple(_row(releases, version) for version in releases.names())


def _row(releases: Reader, version: str) -> StaticCode:
    with releases.table(version) as row:
        entries = [word.partition(".") for word in row.text("entries").split() if word != "-"]
        return StaticCode(
            versions=tuple(dict.fromkeys(name.split("-")[1] for name in row.texts("wheels"))),
            size=row.integer("size"),
            at=row.integer("at"),
            run=bytes.fromhex(row.text("bytes")),
            heads=int(row.text("heads"), 16),
            entries=tuple((int(place, 16), int(count)) for place, _, count in entries),
        )
