"""ELF files: sections, segments, symbols and their versions, and what a shared library asks for and shows.

System V ABI, chapters 4 and 5, and the Linux Standard Base for versions; 64-bit little-endian files: those of every
machine that has CUDA, and of the GPUs. The bytes may be anybody's: each table ends where its section ends, each chain
goes forward alone, each string has a bound. A table is read when asked for: of half a gigabyte, a few pages.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from gpuwheel._endings import cut, reading
from gpuwheel._limits import ELF_STRINGS, ELF_SYMBOLS, ELF_VERSIONS, SYMBOL_NAME
from gpuwheel.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gpuwheel._limits import Limit
    from gpuwheel.errors import GpuwheelError

__all__ = ["MACHINES", "MAGIC", "NOTHING", "Elf", "ElfFile", "Import", "Section", "Symbol", "read_elf"]

MAGIC = b"\x7fELF"
"""The first bytes of every ELF file."""
MACHINES = {"x86_64": 62, "aarch64": 183}
"""`platform.machine()` -> e_machine (EM_X86_64, EM_AARCH64)."""

# gABI chapter 4, "ELF Header": e_ident, e_type, e_machine, e_version, e_entry, e_phoff, e_shoff, e_flags, e_ehsize,
# e_phentsize, e_phnum, e_shentsize, e_shnum, e_shstrndx.
_FILE = struct.Struct("<16sHHIQQQIHHHHHH")
# "Sections": sh_name, sh_type, sh_flags, sh_addr, sh_offset, sh_size, sh_link, sh_info, sh_addralign, sh_entsize.
_SECTION = struct.Struct("<IIQQQQIIQQ")
# Chapter 5, "Program Header": p_type, p_flags, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align.
_SEGMENT = struct.Struct("<IIQQQQQQ")
# Chapter 4, "Symbol Table": st_name, st_info, st_other, st_shndx, st_value, st_size.
_SYMBOL = struct.Struct("<IBBHQQ")
_DYNAMIC = struct.Struct("<qQ")
_VERSYM = struct.Struct("<H")
_VERNEED = struct.Struct("<HHIII")
"""Version, number of versions, library, offset of the first version, offset of the next library."""
_VERNAUX = struct.Struct("<IHHII")
"""Hash, flags, index in .gnu.version, name, offset of the next version."""
_VERDEF = struct.Struct("<HHHHIII")
"""Version, flags, index in .gnu.version, number of names, hash, offset of the first name, offset of the next."""
_NAME = struct.Struct("<I")
_CLASS_64_LITTLE = b"\2\1"

_NULL_SECTION, _NOBITS = 0, 8
_PT_DYNAMIC, _PT_INTERP, _PT_GNU_STACK = 2, 3, 0x6474E551
_EXECUTABLE = 1  # PF_X
_DT_NULL, _DT_NEEDED, _DT_SONAME, _DT_RPATH, _DT_INIT_ARRAYSZ, _DT_RUNPATH = 0, 1, 14, 15, 27, 29
_UNDEFINED, _ABSOLUTE = 0, 0xFFF1  # SHN_UNDEF, SHN_ABS
_LOCAL, _WEAK = 0, 2  # STB_LOCAL, STB_WEAK
# STV_INTERNAL (1) and STV_HIDDEN (2) stay inside of their library ("Symbol Visibility").
_VISIBLE = {0, 3}  # STV_DEFAULT, STV_PROTECTED
# Bit 15 of a row of .gnu.version: only references that name the version bind to it (LSB, "Symbol Version Table").
_HIDDEN_VERSION = 0x8000
_UNVERSIONED, _FIRST_NAMED_VERSION = 1, 2  # 0 is local, 1 is global without a version
_POINTER = 8


class Section(NamedTuple):
    """One section of an ELF file."""

    data: memoryview
    """Empty for one that takes no space in the file (SHT_NOBITS)."""
    size: int
    """In bytes; in memory, where that is more than in the file."""
    kind: int
    """SHT_*."""
    link: int
    """For most kinds the number of the section with its strings."""


NOTHING = Section(memoryview(b""), 0, _NULL_SECTION, 0)
"""In place of a section that a file lacks."""


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


class Elf:
    """An ELF file, opened.

    Its methods raise what `_endings.DAMAGE` lists: whoever opens one does so inside of `_endings.reading`.

    Args:
        data: the file.
        errors: what becomes of names that are no UTF-8, as `bytes.decode` takes it.

    Attributes:
        machine: e_machine (EM_*).
        sections: by name; of several with one name the last.
    """

    def __init__(self, data: bytes | memoryview, *, errors: str = "strict") -> None:
        self._view = memoryview(data)
        self._errors = errors
        self._strings = 0
        """How much of the file was taken for strings: tables that overlap could name one long string for ever."""
        if self._view[:4] != MAGIC or self._view[4:6] != _CLASS_64_LITTLE:
            msg = "no 64-bit little-endian ELF header"
            raise ValueError(msg)
        fields = _FILE.unpack_from(self._view)
        self.machine: int = fields[2]
        segments_at, sections_at = fields[5], fields[6]
        # 0xff00 sections or more are said elsewhere, and a 0 here (gABI, e_shnum): no library has them, and one that
        # did would be refused as if its section headers were stripped.
        segment_size, segment_count, section_size, section_count, names_index = fields[9:14]
        self._segments = segments_at, segment_size, segment_count
        headers = list(self._table(_SECTION, sections_at, section_size, section_count))
        self._numbered = [self._section(header) for header in headers]
        names = self.at(names_index) if headers else NOTHING
        self.sections: Mapping[str, Section] = {
            self.string(names, header[0]): section for header, section in zip(headers, self._numbered, strict=True)
        }

    def at(self, index: int) -> Section:
        """The section of a number."""
        # Section 0 is the undefined one: a file without section headers still refers to it.
        if index >= len(self._numbered):
            if index == 0:
                return NOTHING
            msg = f"section {index} of {len(self._numbered)}"
            raise ValueError(msg)
        return self._numbered[index]

    def string(self, table: Section, at: int) -> str:
        """The name at a byte of a table of strings."""
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
                return text.decode(errors=self._errors)
        msg = f"a name without an end ({SYMBOL_NAME.passed('more')})"
        raise ValueError(msg)

    def segments(self) -> dict[int, int]:
        """PT_* of each segment -> its flags (PF_*); of several of a kind the last."""
        return {header[0]: header[1] for header in self._table(_SEGMENT, *self._segments)}

    def dynamic(self) -> Mapping[int, list[int]]:
        """DT_* -> values, in their order."""
        data = self.sections.get(".dynamic", NOTHING).data
        found: dict[int, list[int]] = defaultdict(list)
        # The section may be longer than what the loader reads: linkers leave room, which ends in DT_NULL.
        for tag, value in _DYNAMIC.iter_unpack(data[: len(data) // _DYNAMIC.size * _DYNAMIC.size]):
            if tag == _DT_NULL:
                break
            found[tag].append(value)
        return dict(found)

    def symbols(self, name: str) -> Iterator[Symbol]:
        """The symbols of one table (".dynsym", ".symtab"), local ones included, in its order."""
        table = self.sections.get(name, NOTHING)
        # .gnu.version goes with .dynsym, row by row; .symtab has no versions.
        versions = self.sections.get(".gnu.version", NOTHING).data if name == ".dynsym" else b""
        strings, count = self.at(table.link), len(table.data) // _SYMBOL.size
        _hold(ELF_SYMBOLS, count)
        for index, row in enumerate(_SYMBOL.iter_unpack(table.data[: count * _SYMBOL.size])):
            name_at, info, other, home, value, size = row
            text = self.string(strings, name_at) if name_at else ""
            if text:
                versym = _VERSYM.unpack_from(versions, 2 * index)[0] if versions else _UNVERSIONED
                # st_info holds type and binding, the low two bits of st_other the visibility.
                yield Symbol(index, text, info & 0xF, info >> 4, other & 3, home, value, size, versym)

    def version_needs(self) -> Iterator[tuple[str, str, int]]:
        """`(library, version, its number)` of every version that the file asks for.

        Chains are followed by their offsets, which lead forward: a chain ends, whatever counts are stated.
        """
        section = self.sections.get(".gnu.version_r", NOTHING)
        strings, at, libraries, versions = self.at(section.link), 0, 0, 0
        while section.data:
            libraries += 1
            _hold(ELF_VERSIONS, libraries)  # of some, no version may be asked
            _, count, file, first, following = _VERNEED.unpack_from(section.data, at)
            library, aux = self.string(strings, file), at + first
            for _ in range(count):
                versions += 1
                _hold(ELF_VERSIONS, versions)
                _, _, other, name, further = _VERNAUX.unpack_from(section.data, aux)
                yield library, self.string(strings, name), other & ~_HIDDEN_VERSION
                if not further:
                    break
                aux += further
            if not following:
                return
            at += following

    def version_definitions(self) -> Iterator[tuple[str, int]]:
        """`(version, its number)` of every version that the file defines; number 1 is the library itself."""
        section = self.sections.get(".gnu.version_d", NOTHING)
        strings, at, versions = self.at(section.link), 0, 0
        while section.data:
            versions += 1
            _hold(ELF_VERSIONS, versions)
            _, _, number, _, _, first, following = _VERDEF.unpack_from(section.data, at)
            yield self.string(strings, _NAME.unpack_from(section.data, at + first)[0]), number
            if not following:
                return
            at += following

    def _table(self, entry: struct.Struct, at: int, stated: int, count: int) -> Iterator[tuple[int, ...]]:
        """The headers of segments or sections, which lie one after the other."""
        # A format may grow its entries; none has in thirty years, and another size could lead anywhere.
        if count and stated != entry.size:
            msg = f"headers of {stated} bytes"
            raise ValueError(msg)
        if at + count * entry.size > len(self._view):
            msg = f"{count} headers at byte {at} end behind the file"
            raise ValueError(msg)
        return entry.iter_unpack(self._view[at : at + count * entry.size])

    def _section(self, header: Sequence[int]) -> Section:
        _, kind, _, _, at, size, link, *_ = header
        if kind in {_NULL_SECTION, _NOBITS}:
            return Section(memoryview(b""), size, kind, link)
        if at + size > len(self._view):
            msg = f"a section ends at byte {at + size} of {len(self._view)}"
            raise ValueError(msg)
        return Section(self._view[at : at + size], size, kind, link)


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
    rpath: str | None
    """DT_RPATH as it is written: an empty entry is the current folder (ld.so(8))."""
    runpath: str | None
    """DT_RUNPATH; where there is one, the loader does not look at DT_RPATH."""
    program: bool
    """Whether it names a loader (PT_INTERP), and runs in a process of its own."""
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


def read_elf(
    data: bytes | memoryview,
    name: str,
    *,
    error: type[GpuwheelError] = AuditError,
    hint: str = "build the wheel again",
) -> ElfFile:
    """Read the dynamic facts of an ELF file; `name` is for messages.

    Raises:
        AuditError, or what `error` says: `data` is not ELF, damaged, or passes a bound.
    """
    with reading(f"{name} is not a readable ELF file", "a shared library", error=error, hint=hint):
        # Names are shown and compared, never opened: a library with one that is no UTF-8 loads.
        return _dynamic_facts(Elf(data, errors="replace"), name)


def _dynamic_facts(elf: Elf, name: str) -> ElfFile:
    segments, dynamic = elf.segments(), elf.dynamic()
    if _PT_DYNAMIC in segments and ".dynamic" not in elf.sections:
        # `sstrip` leaves such files: they load, and a reader of sections would find nothing wrong with them.
        msg = "its section headers are stripped"
        raise ValueError(msg)
    strings = elf.at(elf.sections.get(".dynamic", NOTHING).link)
    named = {
        tag: [elf.string(strings, value) for value in dynamic.get(tag, ())]
        for tag in (_DT_NEEDED, _DT_SONAME, _DT_RPATH, _DT_RUNPATH)
    }
    per_library: dict[str, list[str]] = defaultdict(list)
    numbered: dict[int, tuple[str, str]] = {}
    # Numbers are the file's own: they link rows of .gnu.version to names of versions.
    for library, version, number in elf.version_needs():
        per_library[library].append(version)
        if number >= _FIRST_NAMED_VERSION:
            numbered[number] = library, version
    imports: list[Import] = []
    exports: list[str] = []
    for symbol in elf.symbols(".dynsym"):
        # Absolute: older linkers list each version as a symbol of its own ("GLIBC_2.34", SHN_ABS).
        if symbol.local or symbol.absolute:
            continue
        if symbol.undefined:
            asked_of, wanted = numbered.get(symbol.version, (None, None))
            imports.append(Import(symbol.name, symbol.weak, wanted, asked_of))
        elif symbol.visibility in _VISIBLE and symbol.name not in _LINKER_MADE:
            exports.append(symbol.name)
    return ElfFile(
        name=name,
        machine=next((it for it, code in MACHINES.items() if code == elf.machine), f"ELF machine {elf.machine}"),
        soname=next(iter(named[_DT_SONAME]), None),
        needed=tuple(named[_DT_NEEDED]),
        search_path=tuple(filter(None, ":".join(named[_DT_RPATH] + named[_DT_RUNPATH]).split(":"))),
        rpath=next(reversed(named[_DT_RPATH]), None),
        runpath=next(reversed(named[_DT_RUNPATH]), None),
        program=_PT_INTERP in segments,
        imports=tuple(imports),
        exports=tuple(exports),
        version_needs={library: tuple(versions) for library, versions in per_library.items()},
        # Without the header the kernel assumes the worst.
        executable_stack=bool(segments.get(_PT_GNU_STACK, _EXECUTABLE) & _EXECUTABLE),
        constructors=sum(dynamic.get(_DT_INIT_ARRAYSZ, ())) // _POINTER,
        sections={key: section.data for key, section in elf.sections.items() if section.kind != _NOBITS},
    )


def _hold(limit: Limit, found: int) -> None:
    if found > limit.value:
        msg = f"{cut(limit.bounds)}: {limit.passed(f'{found:,}')}"
        raise ValueError(msg)
