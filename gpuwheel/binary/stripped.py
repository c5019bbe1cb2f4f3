"""Taking debugging sections out of a shared library, in its file: nothing that is loaded changes, or moves.

System V ABI, chapter 4, "Sections": the loader reads segments alone. Sections which are in no segment and serve only
debuggers and static linkers go; what lies behind the last segment closes ranks, and a hole between segments is filled
with zeros, which a wheel holds for nothing. `strip` of binutils would do the same, and is on few machines of users.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from gpuwheel.binary.elf_headers import FILE_HEADER, SECTION_HEADER, SEGMENT_HEADER

__all__ = ["Stripped", "is_debugging", "strip_file"]

_SHARED, _EXECUTABLE = 3, 2
"""ET_DYN, ET_EXEC."""
_RELA, _NOBITS, _REL, _SYMTAB_SHNDX = 4, 8, 9, 18
_ALLOC, _INFO_LINK = 2, 0x40
"""SHF_ALLOC, SHF_INFO_LINK."""
_OF_SYMBOLS = frozenset({_REL, _RELA, _SYMTAB_SHNDX})
_BLOCK = 1 << 20
_GAP = 1 << 12
"""More than any alignment asks for, behind the last segment."""
_NAME = 256
_TABLES = frozenset({".symtab", ".strtab", ".symtab_shndx"})
_PREFIXES = (".debug_", ".zdebug_", ".gdb_index", ".stab", ".rela.debug_", ".rel.debug_")


def is_debugging(name: str) -> bool:
    """Whether a section of a library, by its name, serves debuggers and static linkers alone."""
    return name in _TABLES or name.startswith(_PREFIXES)


@dataclass(frozen=True)
class Stripped:
    """What was taken out."""

    sections: tuple[str, ...]
    """Names, in the order of the file."""
    size: int
    """Their bytes."""


@dataclass
class _Header:
    """A row of the section table, by the names of the gABI."""

    name_at: int
    kind: int
    flags: int
    address: int
    at: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int
    name: str = ""

    @property
    def is_loaded(self) -> bool:
        return bool(self.flags & _ALLOC)

    @property
    def end(self) -> int:
        return self.at if self.kind == _NOBITS else self.at + self.size

    def numbers(self) -> tuple[int, ...]:
        """The sections that it refers to."""
        return (self.link, self.info) if self.flags & _INFO_LINK or self.kind in {_REL, _RELA} else (self.link,)

    def renumber(self, numbers: dict[int, int]) -> None:
        """Refer to sections by their new numbers."""
        if len(self.numbers()) > 1:
            self.info = numbers[self.info]
        self.link = numbers[self.link]

    def packed(self) -> bytes:
        words = (self.name_at, self.kind, self.flags, self.address, self.at, self.size)
        return SECTION_HEADER.pack(*words, self.link, self.info, self.alignment, self.entry_size)


_NULL = _Header(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def strip_file(file: BinaryIO) -> Stripped | None:
    """Take debugging sections out of a shared library or program, in place.

    The caller has read it with `read_elf`, which bounds and checks its tables, and reads it again afterwards.

    Args:
        file: Open for reading and writing.

    Returns:
        What was taken; `None` where nothing can be: there is none, or the file holds bytes of no section, which a
        program may look for at its end.

    Raises:
        ValueError: a table does not hold what it says.
        OSError: the file cannot be read or written.
    """
    elf = _Strippable(file)
    dropped = elf.dropped() if elf.kind in {_SHARED, _EXECUTABLE} else []
    if not dropped or elf.has_bytes_of_nobody():
        return None
    told = Stripped(
        tuple(elf.headers[index].name for index in dropped), sum(elf.headers[index].size for index in dropped)
    )
    elf.empty(dropped)
    elf.close_ranks(dropped)
    return told


class _Strippable:
    """A file, and its tables."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = file.seek(0, 2)
        self.head = list(FILE_HEADER.unpack(self.at(0, FILE_HEADER.size)))
        self.kind, self.names_index, self.table_at = self.head[1], self.head[13], self.head[6]
        self.table_end = self.table_at + self.head[12] * SECTION_HEADER.size
        rows = self.at(self.table_at, self.table_end - self.table_at)
        self.headers = [_Header(*row) for row in SECTION_HEADER.iter_unpack(rows)]
        if self.headers:
            names = self.headers[self.names_index]
            strings = self.at(names.at, names.size)
            for header in self.headers:
                header.name = strings[header.name_at : header.name_at + _NAME].partition(b"\0")[0].decode("latin-1")
        at, size = self.head[5], self.head[10] * SEGMENT_HEADER.size
        segments = [(row[2], row[2] + row[5]) for row in SEGMENT_HEADER.iter_unpack(self.at(at, size)) if row[5]]
        self.spans = [(0, FILE_HEADER.size), (at, at + size), *segments]
        self.floor = max(end for _, end in [*self.spans, *((0, one.end) for one in self.headers if one.is_loaded)])
        """Where that ends which must stay in its place."""

    def at(self, at: int, size: int) -> bytes:
        data = b""
        if at + size <= self.size:  # of what lies beyond any file, the system says that it is no place
            self.file.seek(at)
            data = self.file.read(size)
        if len(data) != size:
            msg = f"{size} bytes at {at} end behind the file"
            raise ValueError(msg)
        return data

    def dropped(self) -> list[int]:
        """The numbers of sections that may go: no loaded one, and none that one which stays refers to."""
        free = {
            index: header
            for index, header in enumerate(self.headers)
            if index not in {0, self.names_index} and not header.is_loaded and header.kind != _NOBITS
        }
        asked = {index for index, header in free.items() if is_debugging(header.name)}
        # Relocations of what goes, which `--emit-relocs` keeps.
        asked |= {index for index, header in free.items() if header.kind in _OF_SYMBOLS and header.link in asked}
        while True:
            referred = {
                number for index, header in enumerate(self.headers) if index not in asked for number in header.numbers()
            }
            if not asked & referred:
                return sorted(asked)
            asked -= referred

    def has_bytes_of_nobody(self) -> bool:
        """Whether something was appended, or hidden between sections behind the last segment."""
        known = sorted(
            [*((one.at, one.end) for one in self.headers if one.end > one.at), (self.table_at, self.table_end)]
        )
        end = self.floor
        for start, stop in [*known, (self.size, self.size)]:  # patchelf appends a zero
            if start > end and (start - end > _GAP or self.at(end, start - end).strip(b"\0")):
                return True
            end = max(end, stop)
        return False

    def empty(self, dropped: list[int]) -> None:
        """Fill with zeros what goes and lies before the floor: others behind it keep their places."""
        kept = [
            (one.at, one.end) for index, one in enumerate(self.headers) if index not in dropped and one.end > one.at
        ]
        taken = sorted([*self.spans, *kept])
        for index in dropped:
            at, end = self.headers[index].at, min(self.headers[index].end, self.floor)
            for start, stop in taken:
                if stop > at and start < end:
                    self._zero(at, start)
                    at = stop
            self._zero(at, end)

    def close_ranks(self, dropped: list[int]) -> None:
        """Move what stays behind the floor together, and write the table of sections behind it."""
        end = self.floor
        tail = (one for index, one in enumerate(self.headers) if index not in dropped and one.at >= self.floor)
        for header in sorted((one for one in tail if one.kind not in {0, _NOBITS}), key=lambda one: one.at):
            # Never behind its old place: that was aligned alike, and what is before it only shrank.
            end += -end % max(header.alignment, 1)
            self._move(header.at, end, header.size)
            header.at, end = end, end + header.size
        # Symbols name sections by their numbers, and those that are loaded keep theirs.
        last = max((index for index, one in enumerate(self.headers) if one.is_loaded), default=0)
        numbers, rows = {0: 0}, list[_Header]()
        for index, header in enumerate(self.headers):
            if index in dropped and index > last:
                continue
            numbers[index] = len(rows)
            rows.append(_NULL if index in dropped else header)
        for header in rows:
            header.renumber(numbers)
        table_at = end + -end % 8
        self.file.seek(end)
        self.file.write(bytes(table_at - end) + b"".join(header.packed() for header in rows))
        self.file.truncate()
        self.head[6], self.head[12], self.head[13] = table_at, len(rows), numbers[self.names_index]
        self.file.seek(0)
        self.file.write(FILE_HEADER.pack(*self.head))
        self.file.flush()

    def _zero(self, at: int, end: int) -> None:
        while at < end:
            self.file.seek(at)
            at += self.file.write(bytes(min(_BLOCK, end - at)))

    def _move(self, at: int, to: int, size: int) -> None:
        while size and at != to:
            block = self.at(at, min(_BLOCK, size))
            self.file.seek(to)
            self.file.write(block)
            at, to, size = at + len(block), to + len(block), size - len(block)
