"""Which vector instructions of x86-64 a piece of machine code has: counted by their bytes, without taking code apart.

Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2: SSE instructions have a mandatory prefix and
0F (2.1), those of AVX begin with C5 or C4 (2.3.5, VEX), those of AVX-512 with 62 (2.7, EVEX). A few common opcodes are
looked for. By chance other bytes look so a few times in a megabyte: what is counted is no proof of one instruction, and
hundreds against none tell with which options a compiler wrote the code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpuwheel.binary.extent import Extent

__all__ = ["VectorCode", "vector_code"]

_WINDOW, _WINDOWS = 1 << 16, 8
"""Of longer code, so many pieces of so many bytes are looked at, evenly spread: that takes some milliseconds."""
_OPCODES = bytes.fromhex("10112829545758595c5e6e6f7e7fd6ef")
"""Moves, arithmetic and logic of floats and integers: MOVUPS ... PXOR (volume 2, tables A-3 and 2-17)."""


def _one_of(values: Iterable[int]) -> bytes:
    return b"[" + b"".join(re.escape(bytes([value])) for value in values) + b"]"


_OPCODE = _one_of(_OPCODES)
_REX = rb"[\x40-\x4f]?"
_SSE = re.compile(rb"[\x66\xf2\xf3]" + _REX + rb"\x0f" + _OPCODE, re.DOTALL)
# Two bytes: all with vvvv unused (1111b) but for the register bit; three: map 0F, the same.
_AVX = re.compile(rb"\xc5[\x78-\x7f\xf8-\xff]" + _OPCODE, re.DOTALL)
_LENGTH, _OF_512 = 0x60, 0x40
"""L'L in P2, and its value for vectors of 512 bits."""
# P0: bit 3 is 0, map 1; P1: bit 2 is 1.
_AVX512 = re.compile(
    rb"\x62"
    + _one_of(value for value in range(256) if value & 0x0F == 1)
    + _one_of(value for value in range(256) if value & 0x04)
    + _one_of(value for value in range(256) if value & _LENGTH == _OF_512)
    + _OPCODE,
    re.DOTALL,
)
_CPUID = re.compile(rb"\x0f\xa2|\x0f\x01\xd0", re.DOTALL)
"""CPUID and XGETBV: code that asks what the CPU has."""


@dataclass(frozen=True)
class VectorCode:
    """How often some instructions were seen in the pieces that were looked at."""

    sse: int = 0
    avx: int = 0
    avx512: int = 0
    """Of those with 512 bits."""
    asking: int = 0
    """What asks for the features of the CPU."""
    looked_at: int = 0
    """Bytes."""


def vector_code(code: Extent) -> VectorCode:
    """Count in a piece of machine code."""
    step = max(_WINDOW, code.size // _WINDOWS)
    counts = [0, 0, 0, 0, 0]
    for at in range(0, min(code.size, step * _WINDOWS), step):
        piece = bytes(code.read(at, _WINDOW))
        for place, pattern in enumerate((_SSE, _AVX, _AVX512, _CPUID)):
            counts[place] += sum(1 for _ in pattern.finditer(piece))
        counts[4] += len(piece)
    return VectorCode(*counts)
