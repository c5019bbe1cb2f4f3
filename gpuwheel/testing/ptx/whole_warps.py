"""Ways of a handler ahead of the one by lanes: a whole warp touches memory side by side, at one place, or in step."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpuwheel.testing.ptx.syntax import size_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["whole_warp"]

_LOOK_UP = re.compile(
    r"(?P<space>at_global|at_shared|at_parameter)\(w, i, lane, a, (?P<count>\d+) \* sizeof (?P<of>\w+), [^,]+, "
    r"\(Access\)\((?P<kind>READ|WRITE)(?: \| ORDER_)?\)\)"
)
_POINTER = 8  # bytes


def whole_warp(text: str, register: int | None, types: Mapping[str, str]) -> list[str]:
    """Statements of C that end the handler where they apply.

    Args:
        text: what is done for a lane; `a` is the address.
        register: the bytes of the register that holds it; None: it is a constant.
        types: of the operands.
    """
    found = _LOOK_UP.search(text)
    if found is None:
        return []
    size, reads = int(found["count"]) * size_of(types[found["of"]]), found["kind"] == "READ"

    def lanes(place: str) -> str:
        return f"{{ SIDE_LANES({{ {text.replace(found[0], place)} }}) return; }}"

    match found["space"]:
        case "at_parameter" if reads and register is None:
            look_up = f"at_parameter(w, i, 0, a_ + (u64)(s64)i->offset, {size}, {size}, READ)"
            ways = [f"const u8* const first_ = on == ~0u ? {look_up} : NULL;", f"if (first_ != NULL) {lanes('first_')}"]
        case "at_shared" if reads and register is not None:
            reading = f"shared_reads_{register}(w, i, a_, {size}, offsets_)"
            there = lanes("w->block->shared + offsets_[lane]")
            ways = ["u32 offsets_[LANES];", f"if (on == ~0u && {reading}) {there}"]
        case "at_global" if register == _POINTER:
            pattern = f"on == ~0u ? pattern_of(w, i, a_, {size}, {found['kind']}) : SCATTERED"
            ways = [f"const Pattern pattern_ = {pattern};", "u8* const first_ = (u8*)(a_[0] + (u64)(s64)i->offset);"]
            ways.append(f"if (pattern_ == SIDE_BY_SIDE) {lanes(f'first_ + lane * {size}')}")
            ways += [f"if (pattern_ == AT_ONE_PLACE) {lanes('first_')}"] if reads else []
        case _:
            ways = []
    return [f"  {way}" for way in ways]
