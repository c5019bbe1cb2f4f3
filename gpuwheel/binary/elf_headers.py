"""The headers of an ELF file: sections as linkers read them, segments as the loader does, and tables of names.

System V ABI, chapters 4 and 5; 64-bit little-endian files: those of every machine that has CUDA, and of the GPUs
themselves. The bytes may be anybody's, so each table ends where the file or its mapping ends, and each string has a
bound.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from gpuwheel._endings import cut
from gpuwheel._limits import ELF_STRINGS, SYMBOL_NAME
from gpuwheel.binary.extent import Extent, extent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gpuwheel._limits import Limit

__all__ = [
    "FILE_HEADER",
    "MACHINES",
    "MAGIC",
    "NOTHING",
    "SECTION_HEADER",
    "SEGMENT_HEADER",
    "Headers",
    "Section",
    "Segment",
    "Strings",
    "hold",
]

MAGIC = b"\x7fELF"
"""The first bytes of every ELF file."""
MACHINES = {"x86_64": 62, "aarch64": 183}
"""`platform.machine()` -> e_machine (EM_X86_64, EM_AARCH64)."""

# gABI chapter 4, "ELF Header": e_ident, e_type, e_machine, e_version, e_entry, e_phoff, e_shoff, e_flags, e_ehsize,
# e_phentsize, e_phnum, e_shentsize, e_shnum, e_shstrndx.
FILE_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
# "Sections": sh_name, sh_type, sh_flags, sh_addr, sh_offset, sh_size, sh_link, sh_info, sh_addralign, sh_entsize.
SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
# Chapter 5, "Program Header": p_type, p_flags, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align.
SEGMENT_HEADER = struct.Struct("<IIQQQQQQ")
_CLASS_64_LITTLE = b"\2\1"
_NULL_SECTION, _NOBITS, _EXTENDED = 0, 8, 0xFFFF
# What debuggers are told of shared memory (.nv_debug.shared) has a size and, as with SHT_NOBITS, no bytes: nvcc 11
# wrote it into cubins in public wheels.
_EM_CUDA, _CUDA_SHARED = 190, 0x7000000A
_PT_LOAD = 1
_FIRST = itemgetter(0)


class Section(NamedTuple):
    """One section of an ELF file."""

    extent: Extent
    """Empty for one that takes no space in the file (SHT_NOBITS)."""
    size: int
    """In bytes; in memory, where that is more than in the file."""
    kind: int
    """SHT_*."""
    link: int
    """For most kinds the number of the section with its strings."""

    @property
    def data(self) -> memoryview:
        """What it holds, read anew each time."""
        return memoryview(self.extent.read())

    @property
    def in_file(self) -> bool:
        """Whether it takes space in the file (it is not SHT_NOBITS)."""
        return self.kind != _NOBITS


NOTHING = Section(extent(b""), 0, _NULL_SECTION, 0)
"""In place of a section that a file lacks."""


class Segment(NamedTuple):
    """One program header."""

    kind: int
    """PT_*."""
    flags: int
    """PF_*."""
    offset: int
    address: int
    size: int
    """Bytes in the file."""


class Strings:
    """A table of names; the loader knows where it begins, and believes no one where it ends."""

    def __init__(self, table: Extent, size: int) -> None:
        self._table = table
        self._held = bytes(table.read(0, min(size, ELF_STRINGS.value)))

    def at(self, place: int) -> bytes:
        """The name at a byte of it."""
        end = self._held.find(b"\0", place) if place < len(self._held) else -1
        if end < 0:
            return self._beyond(place)
        if end - place > SYMBOL_NAME.value:
            msg = f"a name without an end ({SYMBOL_NAME.passed('more')})"
            raise ValueError(msg)
        return self._held[place:end]

    def several(self, places: Iterable[int]) -> list[bytes]:
        """As `at`, for the many sections of many files."""
        held, find = self._held, self._held.find
        found: list[bytes] = []
        total = 0
        for place in places:
            end = find(b"\0", place)
            name = held[place:end] if 0 <= end - place <= SYMBOL_NAME.value else self.at(place)
            found.append(name)
            total += len(name)
            if total > ELF_STRINGS.value:  # before one long string is there for ever
                hold(ELF_STRINGS, total)
        return found

    def hold_all(self, headers: Sequence[Sequence[int]]) -> bool:
        """Whether the first number of each is the place of a name, and all of them together are within bounds."""
        held = self._held
        longest = min(SYMBOL_NAME.value, ELF_STRINGS.value // len(headers))
        return held[-1:] == b"\0" and len(held) <= longest and max(map(_FIRST, headers)) < len(held)

    def places(self, name: bytes) -> Iterator[int]:
        """Where in the table this name begins, as a whole or at the end of a longer one."""
        held, whole = self._held, name + b"\0"
        at = held.find(whole)
        while at >= 0:
            yield at
            at = held.find(whole, at + 1)

    def _beyond(self, place: int) -> bytes:
        if place >= len(self._table):
            if place == 0:
                return b""
            msg = f"a name at byte {place} of a table of {len(self._table)}"
            raise ValueError(msg)
        # Most names are short: a longer look, which costs a copy, is taken only where one is not.
        for length in (256, 1 << 12, 1 << 16, SYMBOL_NAME.value):
            text, end, _ = bytes(self._table.read(place, length)).partition(b"\0")
            if end:
                return text
        msg = f"a name without an end ({SYMBOL_NAME.passed('more')})"
        raise ValueError(msg)


class Headers:
    """An ELF file, opened.

    Its methods raise what `_endings.DAMAGE` lists: whoever opens one does so inside of `_endings.reading`.

    Args:
        data: the file.
        errors: what becomes of names that are no UTF-8, as `bytes.decode` takes it.

    Attributes:
        machine: e_machine (EM_*).
        kind: e_type (ET_*).
        flags: e_flags, whose meaning is the machine's.
        abi: EI_OSABI and EI_ABIVERSION.
        segments: in their order.
    """

    def __init__(self, data: bytes | memoryview | Extent, *, errors: str = "strict") -> None:
        self._file = extent(data)
        self._errors = errors
        self._named = 0
        """How much of the file was taken for names: tables that overlap could name one long string for ever."""
        head = self._file.read(0, FILE_HEADER.size)
        if head[:4] != MAGIC or head[4:6] != _CLASS_64_LITTLE:
            msg = "no 64-bit little-endian ELF header"
            raise ValueError(msg)
        fields = FILE_HEADER.unpack_from(head)
        self.kind: int = fields[1]
        self.machine: int = fields[2]
        self.flags: int = fields[7]
        self.abi = (fields[0][7], fields[0][8])
        segment_size, segment_count, *self._section_facts = fields[9:14]
        self._sections_at: int = fields[6]
        self.segments = tuple(
            Segment(row[0], row[1], row[2], row[3], row[5])
            for row in self._table(SEGMENT_HEADER, fields[5], segment_size, segment_count)
        )

    # Sections ---------------------------------------------------------------------------------------------------------

    @cached_property
    def _headers(self) -> tuple[Sequence[tuple[int, ...]], int]:
        """Section headers, and the number of the one with their names."""
        size, count, names = self._section_facts
        if self._sections_at and not count:
            # 0xff00 sections or more (gABI, e_shnum): header 0 says how many.
            (first,) = self._table(SECTION_HEADER, self._sections_at, size, 1)
            count, names = first[5], first[6] if names == _EXTENDED else names
        return tuple(self._table(SECTION_HEADER, self._sections_at, size, count)) if self._sections_at else (), names

    @cached_property
    def sections(self) -> Mapping[str, Section]:
        """By name; of several with one name the last. An error where one is not in the file."""
        return {name: self._section(header) for name, header in self._named_headers.items()}

    def section(self, name: str) -> Section | None:
        """That of `sections` alone, which costs less where there are many."""
        header = self._header_of(name.encode())
        return None if header is None else self._section(header)

    def _header_of(self, name: bytes) -> Sequence[int] | None:
        """The last header of that name, found without taking every name out of the table; errors as `sections` has."""
        headers, names = self._checked_headers
        if names is None or self._errors == "strict":
            return self._named_headers.get(name.decode())
        places = frozenset(names.places(name))
        return next((header for header in reversed(headers) if header[0] in places), None) if places else None

    @cached_property
    def _checked_headers(self) -> tuple[Sequence[Sequence[int]], Strings | None]:
        """Headers whose sections are all in the file, and their names; `None` where each name is to be looked at."""
        headers, names_index = self._headers
        if not headers:
            return (), Strings(NOTHING.extent, 0)
        names = self.strings(self.at(names_index))
        if not names.hold_all(headers):
            return headers, None
        for header in headers:
            if header[4] + header[5] > self._file.size:
                self._takes_space(header)
        return headers, names

    @cached_property
    def _named_headers(self) -> Mapping[str, Sequence[int]]:
        headers, names_index = self._headers
        if not headers:
            return {}
        names = self.strings(self.at(names_index)).several([header[0] for header in headers])
        self._count(sum(map(len, names)))
        for header in headers:
            self._takes_space(header)
        return {name.decode(errors=self._errors): header for name, header in zip(names, headers, strict=True)}

    @cached_property
    def told_sections(self) -> Mapping[str, Section]:
        """As `sections`, without those that are not in the file, and without any where their table is damaged."""
        try:
            headers, names_index = self._headers
            names = self.strings(self.at(names_index)) if headers else None
        except (ValueError, struct.error):
            return {}
        found = {}
        for header in headers:
            with suppress(ValueError):
                found[self.text(names, header[0])] = self._section(header)
        return found

    def at(self, index: int) -> Section:
        """The section of a number."""
        headers, _ = self._headers
        # Section 0 is the undefined one: a file without section headers still refers to it.
        if index >= len(headers):
            if index == 0:
                return NOTHING
            msg = f"section {index} of {len(headers)}"
            raise ValueError(msg)
        return self._section(headers[index])

    def _section(self, header: Sequence[int]) -> Section:
        _, kind, _, _, at, size, link, *_ = header
        return Section(self._file.part(at, size) if self._takes_space(header) else NOTHING.extent, size, kind, link)

    def _takes_space(self, header: Sequence[int]) -> bool:
        """Whether the section is in the file; an error where it should be, and is not."""
        kind, at, size = header[1], header[4], header[5]
        if kind in {_NULL_SECTION, _NOBITS} or (kind == _CUDA_SHARED and self.machine == _EM_CUDA):
            return False
        if at + size > self._file.size:
            msg = f"a section ends at byte {at + size} of {self._file.size}"
            raise ValueError(msg)
        return True

    def strings(self, section: Section) -> Strings:
        """The names in a section."""
        return Strings(section.extent, len(section.extent))

    # Segments ---------------------------------------------------------------------------------------------------------

    def mapped(self, address: int) -> Extent:
        """What of the file the loader puts at an address, up to the end of that segment."""
        # Of segments that overlap the last one is mapped over the others.
        for segment in reversed(self.segments):
            if segment.kind == _PT_LOAD and segment.address <= address < segment.address + segment.size:
                if segment.offset + segment.size > len(self._file):
                    msg = f"a segment ends at byte {segment.offset + segment.size} of {len(self._file)}"
                    raise ValueError(msg)
                skipped = address - segment.address
                return self._file.part(segment.offset + skipped, segment.size - skipped)
        msg = f"nothing of the file is at address {address:#x}"
        raise ValueError(msg)

    def content(self, segment: Segment) -> Extent:
        """The bytes of a segment in the file."""
        return self._file.part(segment.offset, segment.size)

    def text(self, strings: Strings | None, place: int) -> str:
        """A name of a table, decoded and counted."""
        if strings is None:
            return ""
        text = strings.at(place)
        self._count(len(text))
        return text.decode(errors=self._errors)

    def _count(self, size: int) -> None:
        self._named += size
        if self._named > ELF_STRINGS.value:
            hold(ELF_STRINGS, self._named)

    def _table(self, entry: struct.Struct, at: int, stated: int, count: int) -> Iterator[tuple[int, ...]]:
        """The headers of segments or sections, which lie one after the other."""
        # A format may grow its entries; none has in thirty years, and another size could lead anywhere.
        if count and stated != entry.size:
            msg = f"headers of {stated} bytes"
            raise ValueError(msg)
        if at + count * entry.size > len(self._file):
            msg = f"{count} headers at byte {at} end behind the file"
            raise ValueError(msg)
        return entry.iter_unpack(self._file.read(at, count * entry.size))


def hold(limit: Limit, found: int) -> None:
    """Raise `ValueError` where a bound is passed."""
    if found > limit.value:
        msg = f"{cut(limit.bounds)}: {limit.passed(f'{found:,}')}"
        raise ValueError(msg)
