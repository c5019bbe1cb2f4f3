"""What a kernel spills, from its machine code: ptxas of CUDA 12.6 and newer notes each instruction that does.

EIATTR_ANNOTATIONS of `.nv.info.K` is a list of pairs, what an annotation is (`cuobjdump -elf` names them) and the place
of an instruction in `.text.K`. What that stores or loads is in its words. The sums are those that `ptxas -v` prints;
tests compare them.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from gpuwheel.model.kernels import Spilled

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ANNOTATIONS", "CUDA_API_VERSION", "MIN_STACK_SIZE", "spilled"]

MIN_STACK_SIZE = 0x12
CUDA_API_VERSION = 0x37
"""The toolkit that compiled a kernel: 126 for 12.6."""
ANNOTATIONS = 0x55
_NOTES_SPILLS = 126
_SPILL_REFILL = 1
_PAIR = struct.Struct("<II")
_INSTRUCTION = struct.Struct("<QQ")
_OPCODE = 0xFFF
# STL, LDL; STS, LDS: to and from local and shared memory, by a register.
_STORES, _LOADS = frozenset({0x387, 0x388}), frozenset({0x983, 0x984})
_WIDTH_AT, _WIDTHS = 73 - 64, (1, 1, 2, 2, 4, 8, 16, 16)


def spilled(
    attributes: Iterable[tuple[int, bytes | memoryview]], code: bytes | memoryview, stack: int | None
) -> Spilled | None:
    """What a kernel and the functions that are compiled into its section spill; `None` where the code does not say.

    Args:
        attributes: Of `.nv.info.K`.
        code: `.text.K`.
        stack: Bytes of its stack with that of all that it calls (EIATTR_MIN_STACK_SIZE), if that is known.

    Raises:
        ValueError, struct.error: an annotation leads out of the code.
    """
    notes, version = b"", 0
    for attribute, value in attributes:
        if attribute == CUDA_API_VERSION:
            (version,) = struct.unpack_from("<I", value)
        elif attribute == ANNOTATIONS:
            notes += value
    if not notes:
        # Without a stack there is nothing to spill to: code that spills to shared memory is newer, and noted.
        return Spilled(0, 0) if stack == 0 or version >= _NOTES_SPILLS else None
    stores = loads = 0
    for kind, place in _PAIR.iter_unpack(notes):
        if kind != _SPILL_REFILL:
            return None  # of another length, maybe: what follows cannot be read
        low, high = _INSTRUCTION.unpack_from(code, place)
        width = _WIDTHS[high >> _WIDTH_AT & 7]
        opcode = low & _OPCODE
        stores += width if opcode in _STORES else 0
        loads += width if opcode in _LOADS else 0
        if opcode not in _STORES | _LOADS:
            return None  # a way to spill that is not known here
    return Spilled(stores, loads)
