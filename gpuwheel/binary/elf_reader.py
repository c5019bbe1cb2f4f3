"""The tables of an ELF file: symbols and their versions, and what a library asks for, as the loader reads it.

System V ABI, chapters 4 and 5, and the Linux Standard Base for versions. What a library asks for and shows comes from
PT_DYNAMIC, by addresses: section headers, which nothing checks, may be gone, renamed or wrong in a library that loads.
They tell only what nothing else does (`.symtab`, `.nv_fatbin`, `.debug_info`).

Each table ends where its mapping ends, and each chain goes forward alone; pyelftools follows counts that a damaged file
may set to anything, which is why it is in the tests alone, to compare. A table is read when it is asked for: of a
library of half a gigabyte, only a few pages are touched.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from gpuwheel._limits import ELF_SYMBOLS, ELF_VERSIONS
from gpuwheel.binary.elf_headers import NOTHING, Headers, Strings, hold

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gpuwheel.binary.extent import Extent

__all__ = ["Elf", "Symbol"]

# Chapter 4, "Symbol Table": st_name, st_info, st_other, st_shndx, st_value, st_size.
_SYMBOL = struct.Struct("<IBBHQQ")
_DYNAMIC = struct.Struct("<qQ")
_VERNEED = struct.Struct("<HHIII")
"""Version, number of versions, library, offset of the first version, offset of the next library."""
_VERNAUX = struct.Struct("<IHHII")
"""Hash, flags, index in .gnu.version, name, offset of the next version."""
_VERDEF = struct.Struct("<HHHHIII")
"""Version, flags, index in .gnu.version, number of names, hash, offset of the first name, offset of the next."""
_WORD = struct.Struct("<I")
_HASH = struct.Struct("<II")
"""DT_HASH: buckets, symbols."""
_GNU_HASH = struct.Struct("<IIII")
"""DT_GNU_HASH: buckets, the first symbol that is in them, words of the filter, its shift."""
_PT_DYNAMIC = 2
_DT_NULL, _DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_RELA, _DT_RELASZ, _DT_STRSZ = 0, 4, 5, 6, 7, 8, 10
_DT_PLTRELSZ, _DT_JMPREL = 2, 23
_DT_GNU_HASH, _DT_VERSYM, _DT_VERDEF, _DT_VERNEED = 0x6FFFFEF5, 0x6FFFFFF0, 0x6FFFFFFC, 0x6FFFFFFE
_UNDEFINED, _ABSOLUTE = 0, 0xFFF1
"""SHN_UNDEF, SHN_ABS."""
_LOCAL, _WEAK = 0, 2
"""STB_LOCAL, STB_WEAK."""
# Bit 15 of a row of .gnu.version: only references that name the version bind to it (LSB, "Symbol Version Table").
_HIDDEN_VERSION = 0x8000
_UNVERSIONED = 1
"""0 is local, 1 is global without a version."""
_RELOCATION = 24
"""Elf64_Rela: place, symbol and kind, addend."""


class Symbol(NamedTuple):
    """One named row of a symbol table."""

    place: int
    """Its number in the table."""
    name: str
    kind: int
    """STT_*."""
    binding: int
    """STB_*."""
    visibility: int
    """STV_*."""
    home: int
    """The number of the section that defines it, or SHN_*."""
    value: int
    """Its address; in an object file, its place in that section."""
    size: int
    """In bytes."""
    versym: int
    """As it stands in .gnu.version, with the bit that says hidden."""

    @property
    def version(self) -> int:
        """The number of its version in .gnu.version_r or .gnu.version_d."""
        return self.versym & ~_HIDDEN_VERSION

    @property
    def default(self) -> bool:
        """Whether a reference without a version gets it."""
        return not self.versym & _HIDDEN_VERSION

    @property
    def local(self) -> bool:
        """Whether other files cannot see it."""
        return self.binding == _LOCAL

    @property
    def weak(self) -> bool:
        """Whether the loader goes on if nobody provides it."""
        return self.binding == _WEAK

    @property
    def undefined(self) -> bool:
        """Whether somebody else has to provide it."""
        return self.home == _UNDEFINED

    @property
    def absolute(self) -> bool:
        """Whether it has no section: in libraries, the name of one of their own versions."""
        return self.home == _ABSOLUTE


class Elf(Headers):
    """An ELF file, opened: its headers, and the tables of symbols and versions."""

    @cached_property
    def dynamic(self) -> Mapping[int, Sequence[int]]:
        """DT_* -> values, in their order, as the loader finds them: by the address of PT_DYNAMIC."""
        found: dict[int, list[int]] = defaultdict(list)
        # glibc takes the last of several (elf/dl-load.c), and reads until DT_NULL.
        for segment in [it for it in self.segments if it.kind == _PT_DYNAMIC and it.size][-1:]:
            data = memoryview(self.mapped(segment.address).read(0, segment.size))
            for tag, value in _DYNAMIC.iter_unpack(data[: len(data) // _DYNAMIC.size * _DYNAMIC.size]):
                if tag == _DT_NULL:
                    break
                found[tag].append(value)
        return dict(found)

    def named(self, tag: int) -> tuple[str, ...]:
        """The names of entries of one kind (DT_NEEDED, DT_RUNPATH)."""
        return tuple(self.text(self._dynamic_strings, value) for value in self.dynamic.get(tag, ()))

    @cached_property
    def _dynamic_strings(self) -> Strings:
        table = self._by_tag(_DT_STRTAB)
        return Strings(table, self._last(_DT_STRSZ, len(table)))

    def _last(self, tag: int, default: int = 0) -> int:
        return self.dynamic.get(tag, (default,))[-1]

    def _by_tag(self, tag: int) -> Extent:
        """The table that an entry leads to; empty where there is none."""
        return self.mapped(self._last(tag)) if tag in self.dynamic else NOTHING.extent

    # Symbols ----------------------------------------------------------------------------------------------------------

    def symbols(self, name: str) -> Iterator[Symbol]:
        """The symbols of one table (".dynsym", ".symtab"), local ones included, in its order."""
        versions: bytes | memoryview = b""
        if name == ".dynsym":
            table, count = self._by_tag(_DT_SYMTAB), self._dynamic_symbols()
            hold(ELF_SYMBOLS, count)
            strings = self._dynamic_strings if count else None
            if count * _SYMBOL.size > len(table):
                msg = f"{count} dynamic symbols in a table of {len(table)} bytes"
                raise ValueError(msg)
            # Rows go with those of symbols; the other table has no versions.
            versions = self._by_tag(_DT_VERSYM).read(0, 2 * count)
        else:
            section = self.sections.get(name, NOTHING)
            table, count, strings = (
                section.extent,
                len(section.extent) // _SYMBOL.size,
                self.strings(self.at(section.link)),
            )
            hold(ELF_SYMBOLS, count)
        numbers = struct.unpack(f"<{count}H", versions) if versions else None
        for index, row in enumerate(_SYMBOL.iter_unpack(table.read(0, count * _SYMBOL.size))):
            name_at, info, other, home, value, size = row
            text = self.text(strings, name_at) if name_at else ""
            if text:
                # st_info holds type and binding, the low two bits of st_other the visibility.
                versym = numbers[index] if numbers else _UNVERSIONED
                yield Symbol(index, text, info & 0xF, info >> 4, other & 3, home, value, size, versym)

    def _dynamic_symbols(self) -> int:
        """How many there are, which nothing says outright."""
        if _DT_SYMTAB not in self.dynamic:
            return 0
        if _DT_HASH in self.dynamic:
            return int(_HASH.unpack_from(self._by_tag(_DT_HASH).read(0, _HASH.size))[1])
        hashed = self._hashed_symbols() if _DT_GNU_HASH in self.dynamic else 0
        # A hash table without entries says nothing of undefined symbols: those count that something refers to.
        return hashed or max(self._referred(_DT_RELA, _DT_RELASZ), self._referred(_DT_JMPREL, _DT_PLTRELSZ)) + 1

    def _hashed_symbols(self) -> int:
        """One more than the last symbol of DT_GNU_HASH; 0 where that has none."""
        table = self._by_tag(_DT_GNU_HASH)
        buckets, first, words, _ = _GNU_HASH.unpack_from(table.read(0, _GNU_HASH.size))
        hold(ELF_SYMBOLS, max(buckets, words))
        chains_at = _GNU_HASH.size + 8 * words + 4 * buckets
        heads = struct.unpack(f"<{buckets}I", table.read(chains_at - 4 * buckets, 4 * buckets))
        last = max(heads, default=0)
        if last < max(first, 1):
            return 0
        # The last symbol of each chain has the low bit of its hash set.
        while True:
            hold(ELF_SYMBOLS, last)
            block = table.read(chains_at + 4 * (last - first), 1 << 12)
            for (value,) in _WORD.iter_unpack(block[: len(block) // 4 * 4]):
                last += 1
                if value & 1:
                    return last
            if len(block) < _WORD.size:
                msg = "a chain of DT_GNU_HASH has no end"
                raise ValueError(msg)

    def _referred(self, table: int, size: int) -> int:
        """The largest number of a symbol that relocations name."""
        rows = self._by_tag(table)
        left = min(self._last(size), len(rows)) // _RELOCATION * _RELOCATION
        largest, at, step = [0], 0, _RELOCATION << 15
        while at < left:
            data = rows.read(at, min(step, left - at))
            # The upper half of the second word of eight bytes.
            largest.append(max(memoryview(data).cast("I")[3::6]))
            at += step
        return max(largest)

    # Versions ---------------------------------------------------------------------------------------------------------

    def version_needs(self) -> Iterator[tuple[str, str, int]]:
        """`(library, version, its number)` of every version that the file asks for.

        Chains are followed by their offsets, which lead forward: a chain ends, whatever counts are stated.
        """
        table, at, libraries, versions = self._by_tag(_DT_VERNEED), 0, 0, 0
        while len(table):
            libraries += 1
            hold(ELF_VERSIONS, libraries)  # of some, no version may be asked
            _, count, file, first, following = _VERNEED.unpack_from(table.read(at, _VERNEED.size))
            library, aux = self.text(self._dynamic_strings, file), at + first
            for _ in range(count):
                versions += 1
                hold(ELF_VERSIONS, versions)
                _, _, other, name, further = _VERNAUX.unpack_from(table.read(aux, _VERNAUX.size))
                yield library, self.text(self._dynamic_strings, name), other & ~_HIDDEN_VERSION
                if not further:
                    break
                aux += further
            if not following:
                return
            at += following

    def version_definitions(self) -> Iterator[tuple[str, int]]:
        """`(version, its number)` of every version that the file defines; number 1 is the library itself."""
        table, at, versions = self._by_tag(_DT_VERDEF), 0, 0
        while len(table):
            versions += 1
            hold(ELF_VERSIONS, versions)
            _, _, number, _, _, first, following = _VERDEF.unpack_from(table.read(at, _VERDEF.size))
            (name,) = _WORD.unpack_from(table.read(at + first, _WORD.size))
            yield self.text(self._dynamic_strings, name), number
            if not following:
                return
            at += following
