"""`load_torch_symbols`: which names the libraries of each torch export, from `data/torch_symbols.bin`.

The names would take 20 MB, so the table holds 32 bits of a digest of each: a name that torch has is always found, and
one that it lacks is taken for one that it has in 2 of 100,000 cases. Names that are not made after torch's namespaces
(templates of the standard library, parts of libraries that torch swallowed) are kept without their torch, by 24 bits.

Layout, after zlib: the length of a JSON head (4 bytes, little-endian), the head, then of each of the two lists how many
rows begin with each of 65,536 two-byte prefixes, and the rest of each row; of the first list also which torches have
the row, as a number of `sets` in the head. `ci/tables/update_torch_symbols.py` writes it.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zlib
from array import array
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

from gpuwheel._resources import resource
from gpuwheel.errors import DataError
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["TABLE", "TorchSymbols", "digest", "load_torch_symbols", "unpacked"]

TABLE = "torch_symbols.bin"
_PREFIXES = 1 << 16
_LENGTH = 4


def digest(name: str) -> int:
    """What stands for a symbol in the table."""
    return int.from_bytes(hashlib.blake2b(name.encode(errors="replace"), digest_size=4).digest(), "big")


@dataclass(frozen=True)
class TorchSymbols:
    """The C++ names that the libraries of torch export, by minor."""

    wheels: Mapping[MinorVersion, str]
    """Minor -> the wheel that was read: of its newest release, for Linux x86_64, with CUDA."""
    sets: Sequence[frozenset[MinorVersion]]
    counts: bytes
    """Rows by the first two bytes of their digest."""
    rests: Sequence[int]
    """The last two bytes of each row, sorted within a prefix."""
    of: Sequence[int]
    """Row -> its place in `sets`."""
    further_counts: bytes
    further_rests: bytes

    @property
    def minors(self) -> frozenset[MinorVersion]:
        """Every torch that was read."""
        return frozenset(self.wheels)

    def having(self, name: str) -> frozenset[MinorVersion]:
        """The torches of `minors` that export a C++ name in a namespace of torch's; empty: none does."""
        row = digest(name)
        prefix, rest = row >> 16, row & 0xFFFF
        start, end = self._starts[prefix], self._starts[prefix + 1]
        found = [self.sets[self.of[at]] for at in range(start, end) if self.rests[at] == rest]
        return frozenset[MinorVersion]().union(*found)

    def exports(self, name: str) -> bool:
        """Whether a library of some torch exports a name, whatever it is."""
        row = digest(name)
        prefix, rest = row >> 16, row >> 8 & 0xFF
        start, end = self._further_starts[prefix], self._further_starts[prefix + 1]
        return rest in self.further_rests[start:end] or bool(self.having(name))

    @cached_property
    def _starts(self) -> Sequence[int]:
        return [0, *accumulate(self.counts)]

    @cached_property
    def _further_starts(self) -> Sequence[int]:
        return [0, *accumulate(self.further_counts)]


@cache
def load_torch_symbols() -> TorchSymbols:
    """The table.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        return unpacked(resource("data", TABLE).read_bytes())
    except (OSError, ValueError, KeyError, zlib.error) as error:
        msg = f"{TABLE} cannot be read ({error}, expected a table of gpuwheel)"
        raise DataError(msg, hint="reinstall gpuwheel") from error


def unpacked(packed: bytes) -> TorchSymbols:
    """The table in the bytes of its file.

    Raises:
        ValueError, KeyError, zlib.error: they are no such table.
    """
    data = memoryview(zlib.decompress(packed))
    length = int.from_bytes(data[:_LENGTH], "little")
    head = json.loads(bytes(data[_LENGTH : _LENGTH + length]))
    wheels = {MinorVersion.parse(minor): wheel for minor, wheel in head["wheels"].items()}
    sets = tuple(frozenset(MinorVersion.parse(minor) for minor in minors) for minors in head["sets"])
    rows, further = head["rows"], head["further"]
    parts, at = [], _LENGTH + length
    for size in (_PREFIXES, 2 * rows, 2 * rows, _PREFIXES, further):
        parts.append(bytes(data[at : at + size]))
        at += size
    counts, rests, of, further_counts, further_rests = parts
    if at != len(data) or sum(counts) != rows or sum(further_counts) != further:
        msg = f"{len(data)} bytes, expected {at}"
        raise ValueError(msg)
    return TorchSymbols(wheels, sets, counts, _words(rests), _words(of), further_counts, further_rests)


def _words(data: bytes) -> Sequence[int]:
    words = array("H", data)
    if sys.byteorder == "big":
        words.byteswap()
    return words
