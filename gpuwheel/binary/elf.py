"""What a shared library asks of the machine and shows to it, read from its bytes (System V ABI, chapters 4 and 5).

64-bit little-endian files: those of every machine that has CUDA. The bytes may be anybody's, so each table ends where
its section ends, each chain goes forward alone, and each string has a bound; pyelftools, which other parts use on
files of the machine, follows counts that a damaged file may set to anything. The tests compare the two.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpuwheel._endings import cut, reading
from gpuwheel._limits import ELF_STRINGS, ELF_SYMBOLS, ELF_VERSIONS, SYMBOL_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gpuwheel._limits import Limit

__all__ = ["MAGIC", "ElfFile", "Import", "read_elf"]

MAGIC = b"\x7fELF"
"""The first bytes of every ELF file."""

_FILE = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_DYNAMIC = struct.Struct("<qQ")
_VERSYM = struct.Struct("<H")
_VERNEED = struct.Struct("<HHIII")
"""Version, number of versions, library, offset of the first version, offset of the next library."""
_VERNAUX = struct.Struct("<IHHII")
"""Hash, flags, index in .gnu.version, name, offset of the next version."""
_CLASS_64_LITTLE = b"\2\1"

_NULL_SECTION, _NOBITS = 0, 8
_PT_DYNAMIC, _PT_GNU_STACK = 2, 0x6474E551
_EXECUTABLE = 1
"""PF_X."""
_DT_NULL, _DT_NEEDED, _DT_SONAME, _DT_RPATH, _DT_INIT_ARRAYSZ, _DT_RUNPATH = 0, 1, 14, 15, 27, 29
_UNDEFINED, _ABSOLUTE = 0, 0xFFF1
"""SHN_UNDEF, SHN_ABS."""
_LOCAL, _WEAK = 0, 2
"""STB_LOCAL, STB_WEAK."""
_VISIBLE = {0, 3}
"""STV_DEFAULT, STV_PROTECTED."""
_VERSION_MASK = 0x7FFF
"""The top bit of a versym entry says hidden."""
_FIRST_NAMED_VERSION = 2
"""0 is local, 1 is global without a version."""
_POINTER = 8


@dataclass(frozen=True)
class Import:
    """An undefined dynamic symbol: somebody else has to provide it."""

    name: str
    weak: bool
    version: str | None = None
    """For example "GLIBC_2.34"; `None` where the symbol has no version."""
    library: str | None = None
    """The DT_NEEDED entry that the version is asked of."""


@dataclass(frozen=True)
class ElfFile:
    """The dynamic facts of one ELF file."""

    name: str
    machine: str
    """Python's word, for example "x86_64", "aarch64"; "ELF machine 40" for one that CUDA does not know."""
    soname: str | None
    needed: tuple[str, ...]
    search_path: tuple[str, ...]
    """Entries of DT_RPATH and DT_RUNPATH."""
    imports: tuple[Import, ...]
    exports: tuple[str, ...]
    """Defined dynamic symbols that others can bind to."""
    version_needs: Mapping[str, tuple[str, ...]]
    """Library -> versions that the loader looks for in it before anything runs."""
    executable_stack: bool
    constructors: int
    """Functions in DT_INIT_ARRAY: run when the library is loaded."""
    sections: Mapping[str, memoryview] = field(repr=False)
    """Contents of the sections that take space in the file; of several with one name the last."""


_LINKER_MADE = frozenset({"__bss_start", "_edata", "_end", "_fini", "_init"})
"""In every library linked without a version script; nothing binds to them."""

_MACHINES = {62: "x86_64", 183: "aarch64"}


def read_elf(data: bytes, name: str) -> ElfFile:
    """Read an ELF file; `name` is for messages.

    Raises:
        AuditError: `data` is not ELF, damaged, or passes a bound.
    """
    with reading(f"{name} is not a readable ELF file", "a shared library", hint="build the wheel again"):
        return _Reader(data).read(name)


@dataclass(frozen=True)
class _Section:
    data: memoryview
    """Empty for one that takes no space in the file."""
    kind: int
    link: int
    """For most kinds the section with its strings."""


_NOTHING = _Section(memoryview(b""), _NULL_SECTION, 0)


class _Reader:
    """One file, and how much of it was taken for strings."""

    def __init__(self, data: bytes) -> None:
        self._view = memoryview(data)
        self._data = data
        self._strings = 0
        self._sections: list[_Section] = []

    def read(self, name: str) -> ElfFile:
        if self._data[:4] != MAGIC or self._data[4:6] != _CLASS_64_LITTLE:
            msg = "no 64-bit little-endian ELF header"
            raise ValueError(msg)
        fields = _FILE.unpack_from(self._data)
        machine, segments_at, sections_at = fields[2], fields[5], fields[6]
        segment_size, segment_count, section_size, section_count, names_index = fields[9:14]
        headers = list(self._table(_SECTION, sections_at, section_size, section_count))
        segments = {header[0]: header for header in self._table(_SEGMENT, segments_at, segment_size, segment_count)}
        self._sections = [self._section(header) for header in headers]
        names = self._at(names_index) if headers else _NOTHING
        by_name = {
            self._string(names, header[0]): section for header, section in zip(headers, self._sections, strict=True)
        }
        if _PT_DYNAMIC in segments and ".dynamic" not in by_name:
            # `sstrip` leaves such files: they load, and a reader of sections would find nothing wrong with them.
            msg = "its section headers are stripped"
            raise ValueError(msg)
        dynamic = self._dynamic(by_name.get(".dynamic", _NOTHING))
        needs = list(self._version_needs(by_name.get(".gnu.version_r", _NOTHING)))
        imports, exports = self._symbols(by_name, {index: (library, version) for library, version, index in needs})
        per_library: dict[str, list[str]] = defaultdict(list)
        for library, version, _ in needs:
            per_library[library].append(version)
        strings = self._at(by_name.get(".dynamic", _NOTHING).link)
        paths = [self._string(strings, value) for value in (*dynamic[_DT_RPATH], *dynamic[_DT_RUNPATH])]
        stack = segments.get(_PT_GNU_STACK)
        return ElfFile(
            name=name,
            machine=_MACHINES.get(machine, f"ELF machine {machine}"),
            soname=next((self._string(strings, value) for value in dynamic[_DT_SONAME]), None),
            needed=tuple(self._string(strings, value) for value in dynamic[_DT_NEEDED]),
            search_path=tuple(entry for path in paths for entry in path.split(":") if entry),
            imports=imports,
            exports=exports,
            version_needs={library: tuple(versions) for library, versions in per_library.items()},
            # Without the header the kernel assumes the worst.
            executable_stack=stack is None or bool(stack[1] & _EXECUTABLE),
            constructors=sum(dynamic[_DT_INIT_ARRAYSZ]) // _POINTER,
            sections={key: section.data for key, section in by_name.items() if section.kind != _NOBITS},
        )

    def _table(self, entry: struct.Struct, at: int, stated: int, count: int) -> Iterator[tuple[int, ...]]:
        """The headers of segments or sections, which lie one after the other."""
        if count and stated != entry.size:
            msg = f"headers of {stated} bytes"
            raise ValueError(msg)
        if at + count * entry.size > len(self._view):
            msg = f"{count} headers at byte {at} end behind the file"
            raise ValueError(msg)
        return entry.iter_unpack(self._view[at : at + count * entry.size])

    def _section(self, header: Sequence[int]) -> _Section:
        _, kind, _, _, at, size, link, *_ = header
        if kind in {_NULL_SECTION, _NOBITS}:
            return _Section(memoryview(b""), kind, link)
        if at + size > len(self._view):
            msg = f"a section ends at byte {at + size} of {len(self._view)}"
            raise ValueError(msg)
        return _Section(self._view[at : at + size], kind, link)

    def _at(self, index: int) -> _Section:
        if index >= len(self._sections):
            if index == 0:
                return _NOTHING
            msg = f"section {index} of {len(self._sections)}"
            raise ValueError(msg)
        return self._sections[index]

    def _string(self, table: _Section, at: int) -> str:
        view = table.data
        if at >= len(view):
            if at == 0:
                return ""
            msg = f"a name at byte {at} of a table of {len(view)}"
            raise ValueError(msg)
        # Most names are short: a longer look, which costs a copy, is taken only where one is not.
        for length in (256, 1 << 12, 1 << 16, SYMBOL_NAME.value):
            text, end, _ = bytes(view[at : at + length]).partition(b"\0")
            if end:
                self._strings += len(text)
                _hold(ELF_STRINGS, self._strings)
                return text.decode(errors="replace")
        msg = f"a name without an end ({SYMBOL_NAME.passed('more')})"
        raise ValueError(msg)

    def _dynamic(self, section: _Section) -> dict[int, list[int]]:
        found: dict[int, list[int]] = defaultdict(list)
        whole = len(section.data) // _DYNAMIC.size * _DYNAMIC.size
        for tag, value in _DYNAMIC.iter_unpack(section.data[:whole]):
            if tag == _DT_NULL:
                break
            found[tag].append(value)
        return found

    def _version_needs(self, section: _Section) -> Iterator[tuple[str, str, int]]:
        """`(library, version, index in .gnu.version)` of every needed version.

        Chains are followed by their offsets, which lead forward: a chain ends, whatever counts are stated.
        """
        strings, at, libraries, versions = self._at(section.link), 0, 0, 0
        while section.data:
            libraries += 1
            _hold(ELF_VERSIONS, libraries)  # of some, no version may be asked
            _, count, file, first, following = _VERNEED.unpack_from(section.data, at)
            library, aux = self._string(strings, file), at + first
            for _ in range(count):
                versions += 1
                _hold(ELF_VERSIONS, versions)
                _, _, other, name, further = _VERNAUX.unpack_from(section.data, aux)
                yield library, self._string(strings, name), other & _VERSION_MASK
                if not further:
                    break
                aux += further
            if not following:
                return
            at += following

    def _symbols(
        self, sections: Mapping[str, _Section], versions: Mapping[int, tuple[str, str]]
    ) -> tuple[tuple[Import, ...], tuple[str, ...]]:
        table = sections.get(".dynsym", _NOTHING)
        versym = sections.get(".gnu.version", _NOTHING).data
        strings, count = self._at(table.link), len(table.data) // _SYMBOL.size
        _hold(ELF_SYMBOLS, count)
        imports: list[Import] = []
        exports: list[str] = []
        for index, symbol in enumerate(_SYMBOL.iter_unpack(table.data[: count * _SYMBOL.size])):
            name_at, info, other, home, _, _ = symbol
            binding, visibility = info >> 4, other & 3
            # Absolute symbols are the names of the library's own versions.
            if not name_at or binding == _LOCAL or home == _ABSOLUTE:
                continue
            name = self._string(strings, name_at)
            if not name:
                continue
            if home == _UNDEFINED:
                number = _VERSYM.unpack_from(versym, 2 * index)[0] & _VERSION_MASK if versym else 0
                named = versions.get(number) if number >= _FIRST_NAMED_VERSION else None
                library, version = named or (None, None)
                imports.append(Import(name, binding == _WEAK, version, library))
            elif visibility in _VISIBLE and name not in _LINKER_MADE:
                exports.append(name)
        return tuple(imports), tuple(exports)


def _hold(limit: Limit, found: int) -> None:
    if found > limit.value:
        msg = f"{cut(limit.bounds)}: {limit.passed(f'{found:,}')}"
        raise ValueError(msg)
