"""Write a shared library that a linker accepts and that holds no code: a name to depend on, and names of symbols.

Linking asks a library for nothing but its SONAME and its dynamic symbols with their versions, so a file with just
these stands in for the real one: for torch's (an extension needs `libtorch.so` in its DT_NEEDED and nothing from the
file), and for the C and C++ libraries of an older system.

Layout after the System V ABI (gABI chapters 4 and 5) and the Linux Standard Base (symbol versions): ELF header, program
headers, the dynamic sections, `.shstrtab`, section headers; everything in one read-only segment.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.binary.elf import MACHINES, MAGIC
from gpuwheel.model.symbols import SymbolKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gpuwheel.model.symbols import LibrarySymbol

__all__ = ["stub_library"]

_HEADER, _SEGMENT = 64, 56
_PAGE = 0x10000  # the largest page size of either machine
_PT_LOAD, _PT_DYNAMIC = 1, 2
_SHT_STRTAB, _SHT_HASH, _SHT_DYNAMIC, _SHT_NOBITS, _SHT_DYNSYM = 3, 5, 6, 8, 11
_SHT_VERDEF, _SHT_VERSYM = 0x6FFFFFFD, 0x6FFFFFFF
_WRITE, _ALLOC, _CODE, _THREAD = 1, 2, 4, 0x400  # section flags
_DT_NULL, _DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_STRSZ, _DT_SYMENT, _DT_SONAME = 0, 4, 5, 6, 10, 11, 14
_DT_VERSYM, _DT_VERDEF, _DT_VERDEFNUM = 0x6FFFFFF0, 0x6FFFFFFC, 0x6FFFFFFD
_STB_GLOBAL, _STB_WEAK = 1, 2
_HIDDEN_VERSION = 0x8000
_FIRST_VERSION = 2  # 0 is local, 1 is the library itself

# Where symbols are said to be: in sections that take no space in the file. Numbers as `_sections` puts them.
_HOME = {SymbolKind.FUNCTION: 1, SymbolKind.OBJECT: 2, SymbolKind.THREAD_LOCAL: 3}
_HOMES = (".text", _ALLOC | _CODE), (".bss", _ALLOC | _WRITE), (".tbss", _ALLOC | _WRITE | _THREAD)
_ROOM = 1 << 24  # for each of them
_GRAIN = 64  # alignment of each symbol


class _Strings:
    """A string table; each text once."""

    def __init__(self) -> None:
        self.data = bytearray(1)
        self._at = {"": 0}

    def add(self, text: str) -> int:
        if text not in self._at:
            self._at[text] = len(self.data)
            self.data += text.encode("ascii") + b"\0"
        return self._at[text]


@dataclass
class _Section:
    name: str
    kind: int
    flags: int
    data: bytes = b""
    link: int = 0
    info: int = 0
    alignment: int = 1
    entry: int = 0
    size: int = 0
    """Of a section without data."""
    address: int = 0
    offset: int = 0


def stub_library(soname: str, machine: str, symbols: Iterable[LibrarySymbol] = ()) -> bytes:
    """The bytes of an ELF64 shared object with DT_SONAME `soname` that exports `symbols`.

    Same arguments, same bytes, on every machine.

    Raises:
        KeyError: `machine` is not in `elf.MACHINES`.
    """
    code = MACHINES[machine]
    # The order is the file's alone: the bytes become a key of caches and a digest in lock files.
    ordered = sorted(symbols, key=lambda symbol: (symbol.name, symbol.version or ""))
    sections = _sections(soname, ordered)
    by_name = {section.name: section for section in sections}
    strings = by_name[".dynstr"]

    # Offsets and addresses are the same number: one segment, loaded at 0, needs no two.
    end = _HEADER + 2 * _SEGMENT
    for section in sections[1:]:
        section.offset = _aligned(end)
        if section.kind != _SHT_NOBITS:
            end = section.offset + len(section.data)
            section.address = section.offset if section.flags else 0
    dynamic = by_name[".dynamic"]
    dynamic.data = _dynamic(by_name, soname_at=bytes(strings.data).index(b"\0" + soname.encode() + b"\0") + 1)

    # The last section with data, outside of the segment: only readers of section headers want it.
    names = by_name[".shstrtab"]
    at_sections = _aligned(names.offset + len(names.data))
    identification = MAGIC + bytes((2, 1, 1)) + bytes(9)  # 64 bits, little endian, version 1, System V
    image = bytearray(identification)
    image += struct.pack(
        "<HHIQQQIHHHHHH",
        *(3, code, 1, 0, _HEADER, at_sections, 0),  # ET_DYN
        *(_HEADER, _SEGMENT, 2, 64, len(sections), len(sections) - 1),
    )
    for segment in (
        # type, flags (read only), offset, address, physical address, size in file, size in memory, alignment
        (_PT_LOAD, 4, 0, 0, 0, names.offset, names.offset, _PAGE),
        (_PT_DYNAMIC, 4, *(dynamic.offset,) * 3, len(dynamic.data), len(dynamic.data), 8),
    ):
        image += struct.pack("<IIQQQQQQ", *segment)
    for section in sections[1:]:
        if section.kind != _SHT_NOBITS:
            image += bytes(section.offset - len(image)) + section.data
    image += bytes(at_sections - len(image))
    for section in sections:
        at_name = names.data.index(b"\0" + section.name.encode() + b"\0") + 1 if section.name else 0
        image += struct.pack(
            "<IIQQQQIIQQ",
            *(at_name, section.kind, section.flags),
            *(section.address, section.offset, section.size or len(section.data)),
            *(section.link, section.info, section.alignment, section.entry),
        )
    return bytes(image)


def _sections(soname: str, symbols: Sequence[LibrarySymbol]) -> list[_Section]:
    """Everything but offsets and the dynamic section, which needs them."""
    strings = _Strings()
    strings.add(soname)
    versions = sorted({symbol.version for symbol in symbols if symbol.version})
    number = {version: index for index, version in enumerate(versions, _FIRST_VERSION)}
    homes = [
        _Section(name, _SHT_NOBITS, flags, alignment=_GRAIN, size=_GRAIN, address=_ROOM * place)
        for place, (name, flags) in enumerate(_HOMES, 1)
    ]
    table, indices = bytearray(24), [0]
    for symbol in symbols:
        # Each symbol has an address of its own: of two with one address, GNU ld takes a weak one for another name of
        # the other.
        home = homes[_HOME[symbol.kind] - 1]
        value = home.size if symbol.kind is SymbolKind.THREAD_LOCAL else home.address + home.size
        home.size += -(-max(symbol.size, 1) // _GRAIN) * _GRAIN
        info = (_STB_WEAK if symbol.weak else _STB_GLOBAL) << 4 | symbol.kind.value
        table += struct.pack(
            "<IBBHQQ", strings.add(symbol.name), info, 0, _HOME[symbol.kind], value, max(symbol.size, 1)
        )
        index = number[symbol.version] if symbol.version else 1
        indices.append(index if symbol.default else index | _HIDDEN_VERSION)
    versioned = [
        _Section(".gnu.version", _SHT_VERSYM, _ALLOC, struct.pack(f"<{len(indices)}H", *indices), 5, 0, 2, 2),
        _Section(
            ".gnu.version_d", _SHT_VERDEF, _ALLOC, _definitions(soname, versions, strings), 6, len(versions) + 1, 8
        ),
    ]
    count = len(indices)
    # One bucket that leads through all symbols: nobody looks anything up here.
    chain = [1, count, 1 if symbols else 0, 0, *((index + 1) % count for index in range(1, count))]
    sections = [
        _Section("", 0, 0, alignment=0),
        *homes,
        _Section(".hash", _SHT_HASH, _ALLOC, struct.pack(f"<{len(chain)}I", *chain), 5, 0, 8, 4),
        _Section(".dynsym", _SHT_DYNSYM, _ALLOC, bytes(table), 6, 1, 8, 24),
        _Section(".dynstr", _SHT_STRTAB, _ALLOC, bytes(strings.data)),
        *(versioned if versions else ()),
    ]
    entries = 7 + (3 if versions else 0)
    sections.append(_Section(".dynamic", _SHT_DYNAMIC, _ALLOC, bytes(16 * entries), 6, 0, 8, 16))
    # The first name is empty, as string tables begin (gABI, "String Table").
    names = "\0".join([*(section.name for section in sections), ".shstrtab", ""])
    return [*sections, _Section(".shstrtab", _SHT_STRTAB, 0, names.encode("ascii"))]


def _definitions(soname: str, versions: Sequence[str], strings: _Strings) -> bytes:
    """`.gnu.version_d`: the library itself, then each version."""
    data = bytearray()
    names = [soname, *versions]
    for index, name in enumerate(names, 1):
        is_base = int(index == 1)
        following = 28 if index < len(names) else 0
        data += struct.pack("<HHHHIII", 1, is_base, index, 1, _elf_hash(name), 20, following)
        data += struct.pack("<II", strings.add(name), 0)
    return bytes(data)


def _dynamic(sections: dict[str, _Section], *, soname_at: int) -> bytes:
    entries = [
        (_DT_SONAME, soname_at),
        (_DT_HASH, sections[".hash"].offset),
        (_DT_STRTAB, sections[".dynstr"].offset),
        (_DT_SYMTAB, sections[".dynsym"].offset),
        (_DT_STRSZ, len(sections[".dynstr"].data)),
        (_DT_SYMENT, 24),
    ]
    if ".gnu.version_d" in sections:
        entries += [
            (_DT_VERSYM, sections[".gnu.version"].offset),
            (_DT_VERDEF, sections[".gnu.version_d"].offset),
            (_DT_VERDEFNUM, sections[".gnu.version_d"].info),
        ]
    return b"".join(struct.pack("<QQ", *entry) for entry in [*entries, (_DT_NULL, 0)])


def _elf_hash(name: str) -> int:
    """The hash function of the System V ABI (chapter 5, "Hash Table")."""
    value = 0
    for byte in name.encode("ascii"):
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ high >> 24) & ~high
    return value


def _aligned(offset: int) -> int:
    return -(-offset // 8) * 8
