"""Places in sources, as `.loc` names them, with the functions that were inlined there (PTX ISA, section 11.5)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gpuwheel.testing.ptx.syntax import Place

if TYPE_CHECKING:
    from gpuwheel.testing.ptx.syntax import Module

__all__ = ["PlaceReader"]

_NUMBER = re.compile(r"\d+", re.ASCII)
_FUNCTION = re.compile(r"function_name\s+([\w$%]+)(?:\s*\+\s*(\d{1,9}))?", re.ASCII)
_CALLED = re.compile(r"inlined_at\s+(\d+)\s+(\d+)(?:\s+(\d+))?", re.ASCII)
_STRING = re.compile(r"([\w$%]+):([^:$]*)", re.ASCII)


class PlaceReader:
    """Reads the places of one function."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.found: dict[str, Place] = {}

    def read(self, text: str) -> Place:
        """The place of one `.loc`, from what stands behind it, e.g. `1 20 5, function_name $L__info_string0`."""
        place = self.found.get(text)
        if place is None:
            file, line, column, *_ = (*_NUMBER.findall(text.partition(",")[0]), "0")
            called = _CALLED.search(text)
            at = Place(int(called[1]), int(called[2]), int(called[3] or 0)) if called else None
            name = _FUNCTION.search(text)
            inlined = _debug_string(self.module, name[1], int(name[2] or 0)) if name else None
            place = self.found[text] = Place(int(file), int(line), int(column), inlined, at)
        return place


def _debug_string(module: Module, label: str, offset: int) -> str | None:
    """A string of `.section .debug_str`."""
    if module.debug_strings is None:
        starts, blob = {}, bytearray()
        start, end = module.debug_span
        for name, values in _STRING.findall(module.text[start:end]):
            starts[name] = len(blob)
            numbers = _NUMBER.findall(values.replace(".b8", " "))
            blob += bytes(int(number) & 0xFF for number in numbers if len(number) <= 3)  # noqa: PLR2004 (a byte)
        module.debug_strings = {name: _text(blob, at) for name, at in starts.items()}
    known = module.debug_strings.get(label)
    return known[offset:] if known is not None else None


def _text(blob: bytearray, at: int) -> str:
    end = blob.find(b"\0", at)
    return blob[at : end if end >= 0 else len(blob)].decode("utf-8", "replace")
