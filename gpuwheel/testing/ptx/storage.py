"""Where the values of a program are: slots of registers, constants, special registers, shared and local variables."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpuwheel.testing.ptx.syntax import Variable

__all__ = ["SPECIALS", "Storage"]

_LANES = 32
_SLOT_ALIGN = 64
_CONSTANT = struct.Struct("<IIQ")
_VALUE, _OF_PARAMETERS, _OF_SHARED, _OF_VARIABLE, _GAP, _ZEROS = range(6)
_GAP_BYTES = 128  # of shared memory, after each variable: a warp of words
_DIMENSIONS = "xyz"

SPECIALS = (
    *(f"{name}.{axis}" for name in ("tid", "ntid", "ctaid", "nctaid") for axis in _DIMENSIONS),
    *("laneid", "warpid", "nwarpid", "smid", "nsmid", "gridid"),
    *(f"lanemask_{which}" for which in ("eq", "le", "lt", "ge", "gt")),
    *("dynamic_smem_size", "total_smem_size"),
    *(f"{name}.{axis}" for name in ("clusterid", "nclusterid") for axis in _DIMENSIONS),
    *(f"{name}.{axis}" for name in ("cluster_ctaid", "cluster_nctaid") for axis in _DIMENSIONS),
    *("cluster_ctarank", "cluster_nctarank", "is_explicit_cluster", "envreg1", "envreg2", "local_base", "zero"),
)
"""`SpecialKind` of native/machine.h, in its order."""


def aligned(at: int, align: int) -> int:
    """The next multiple of `align`."""
    return -(-at // max(align, 1)) * max(align, 1)


class Storage:
    """What one program has; each is given its place when it is first asked for."""

    def __init__(self) -> None:
        self.register_bytes = 0
        self.local_bytes = 0
        self.shared_bytes = 0
        self.variables: dict[str, int] = {}
        """The number of each variable of the module in `Launch.variables`."""
        self._slots: dict[str, tuple[int, int]] = {}
        self._specials: dict[str, int] = {}
        self._constants: list[tuple[int, int, int]] = []
        self._known: dict[tuple[int, int, int], int] = {}
        self._shared: dict[str, int] = {}
        self._dynamic_align = 1

    def slot(self, name: str, size: int) -> int:
        """The slot of a register: 32 values of `size` bytes."""
        if name not in self._slots:
            self._slots[name] = self._new_slot(size), size
        return self._slots[name][0]

    def slots_of(self, prefix: str) -> list[tuple[int, int]]:
        """The slots of the registers whose names begin so, and the bytes of a value in each."""
        return [found for name, found in self._slots.items() if name.startswith(prefix)]

    def special(self, name: str) -> int:
        """The slot of a special register, which a launch fills.

        Raises:
            KeyError: there is no such special register.
        """
        if name not in self._specials:
            if name not in SPECIALS:
                raise KeyError(name)
            self._specials[name] = self._new_slot(8 if name == "local_base" else 4)
        return self._specials[name]

    def _new_slot(self, size: int) -> int:
        at = aligned(self.register_bytes, _SLOT_ALIGN)
        self.register_bytes = at + _LANES * size
        return at

    def value(self, bits: int) -> int:
        """The index of a constant of these 64 bits."""
        return self._constant(_VALUE, 0, bits)

    def parameter(self, offset: int) -> int:
        """The index of the constant that is the address of a parameter."""
        return self._constant(_OF_PARAMETERS, 0, offset)

    def shared(self, variable: Variable, offset: int) -> int:
        """The index of the constant that is an address in shared memory; dynamic memory comes after what is static."""
        if variable.external or not variable.size:
            self._dynamic_align = max(self._dynamic_align, variable.align)
            return self._constant(_OF_SHARED, 1, offset)
        if variable.name not in self._shared:
            self._shared[variable.name] = self._after_gap(variable.align)
            self.shared_bytes = self._shared[variable.name] + variable.size
            if variable.initial is not None:  # of no variable of PTX: zeros
                self._constants.append((_ZEROS, self._shared[variable.name], variable.size))
        return self._constant(_OF_SHARED, 0, self._shared[variable.name] + offset)

    def _after_gap(self, align: int) -> int:
        """The next place for shared memory: the checks hear of what is too far for the variable before."""
        start = self.shared_bytes
        if start == 0:
            return 0
        at = aligned(start + _GAP_BYTES, align)
        self._constants.append((_GAP, start, at - start))
        return at

    def variable(self, name: str, offset: int) -> int:
        """The index of the constant that is the address of a variable of the module."""
        return self._constant(_OF_VARIABLE, self.variables.setdefault(name, len(self.variables)), offset)

    def _constant(self, kind: int, index: int, value: int) -> int:
        key = (kind, index, value & (1 << 64) - 1)
        if key not in self._known:
            self._known[key] = len(self._constants)
            self._constants.append(key)
        return self._known[key]

    def list_of(self, count: int) -> int:
        """The index of the first of `count` constants in a row, which `fill` gives their values."""
        self._constants += [(_VALUE, 0, 0)] * count
        return len(self._constants) - count

    def fill(self, index: int, values: Iterable[int]) -> None:
        """Give the constants of a list their values."""
        for at, value in enumerate(values, index):
            self._constants[at] = (_VALUE, 0, value)

    def local(self, variable: Variable) -> int:
        """Room for a variable in the frame of a thread."""
        at = aligned(self.local_bytes, variable.align)
        self.local_bytes = at + variable.size
        return at

    def settle(self) -> None:
        """Everything is known: dynamic shared memory gets its place."""
        if any(kind == _OF_SHARED and dynamic for kind, dynamic, _ in self._constants):
            self.shared_bytes = self._after_gap(self._dynamic_align)
        for index, (kind, dynamic, value) in enumerate(self._constants):
            if kind == _OF_SHARED and dynamic:
                self._constants[index] = (_OF_SHARED, 0, value + self.shared_bytes)

    @property
    def counts(self) -> tuple[int, int]:
        """Of the constants and of the special registers."""
        return len(self._constants), len(self._specials)

    def tables(self) -> bytes:
        """The constants, then the special registers, as native/program.c reads them."""
        specials = sorted(self._specials.items(), key=lambda item: item[1])
        return b"".join(
            [
                *(_CONSTANT.pack(*each) for each in self._constants),
                *(struct.pack("<II", SPECIALS.index(name), slot) for name, slot in specials),
            ]
        )
