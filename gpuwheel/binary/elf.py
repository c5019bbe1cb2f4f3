"""What a shared library asks for and shows: the facts of one ELF file, as the loader takes them.

They come from segments (`elf_reader`); of its sections, which a library may have lost, only the names and places are
kept. GNU properties are those of the x86-64 psABI, "Program Property".
"""

from __future__ import annotations

import struct
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpuwheel._endings import reading
from gpuwheel.binary.elf_headers import MACHINES, MAGIC, NOTHING, Section
from gpuwheel.binary.elf_reader import Elf, Symbol
from gpuwheel.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gpuwheel.binary.extent import Extent
    from gpuwheel.binary.vector_code import VectorCode
    from gpuwheel.binary.x86.at_load import AtLoad
    from gpuwheel.errors import GpuwheelError

__all__ = ["MACHINES", "MAGIC", "NOTHING", "Elf", "ElfFile", "Import", "Section", "Symbol", "read_elf"]

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP, _PT_NOTE = 1, 2, 3, 4
_PT_GNU_STACK, _PT_GNU_PROPERTY = 0x6474E551, 0x6474E553
_EXECUTABLE = 1
"""PF_X."""
_DT_NEEDED, _DT_SONAME, _DT_RPATH, _DT_TEXTREL, _DT_BIND_NOW, _DT_INIT_ARRAYSZ = 1, 14, 15, 22, 24, 27
_DT_RUNPATH, _DT_FLAGS, _DT_FLAGS_1, _DT_AUXILIARY, _DT_FILTER = 29, 30, 0x6FFFFFFB, 0x7FFFFFFD, 0x7FFFFFFF
_DF_TEXTREL, _DF_BIND_NOW, _DF_1_NOW = 4, 8, 1
# STV_INTERNAL (1) and STV_HIDDEN (2) stay inside of their library ("Symbol Visibility").
_VISIBLE = {0, 3}
"""STV_DEFAULT, STV_PROTECTED."""
_IFUNC = 10
"""STT_GNU_IFUNC: a function of the library chooses it when it is loaded."""
_FIRST_NAMED_VERSION = 2
_POINTER = 8
_NOTE = struct.Struct("<III")
"""Bytes of the name, bytes of the content, kind."""
_PROPERTY = struct.Struct("<II")
"""Kind, bytes of the value."""
_NT_GNU_PROPERTY, _X86_ISA_NEEDED = 5, 0xC0008002
_NOTES, _COMMENT = 1 << 16, 1 << 16
"""More of either is nobody's."""
_ISA = {1: "x86-64", 2: "x86-64-v2", 4: "x86-64-v3", 8: "x86-64-v4"}


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
    sections: Mapping[str, Extent] = field(repr=False, compare=False)
    """Where those are that take space in the file, as its headers say; of several with one name the last. They can be
    read while the file is open."""
    rpath: str | None = None
    """DT_RPATH as it is written: an empty entry is the current folder (ld.so(8))."""
    runpath: str | None = None
    """DT_RUNPATH; where there is one, the loader does not look at DT_RPATH."""
    program: bool = False
    """Whether it names a loader (PT_INTERP), and runs in a process of its own."""
    versions: tuple[str, ...] = ()
    """Versions that it defines, without that of the library itself."""
    export_versions: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    """Exported symbol -> its versions, of those that have some."""
    ifuncs: frozenset[str] = frozenset()
    """Exports of which the library chooses the code when it is loaded (STT_GNU_IFUNC)."""
    text_relocations: bool = False
    """Whether the loader has to write into its code (DT_TEXTREL, DF_TEXTREL)."""
    bind_now: bool = False
    """Whether every symbol is looked up when it is loaded, not when it is first called."""
    auxiliary: tuple[str, ...] = ()
    """DT_AUXILIARY and DT_FILTER: libraries that are looked into first."""
    isa_needed: tuple[str, ...] = ()
    """Levels of x86-64 that its GNU property asks for, for example "x86-64-v3"; few linkers write it."""
    compilers: tuple[str, ...] = ()
    """What compilers and linkers left in `.comment`."""
    vectors: VectorCode | None = None
    """Which vector instructions its code has; `None`: nobody has counted."""
    at_load: AtLoad | None = None
    """A vector instruction that is executed when it is loaded, where somebody has looked and found one."""


_LINKER_MADE = frozenset({"__bss_start", "_edata", "_end", "_fini", "_init"})
"""In every library linked without a version script; nothing binds to them."""


def read_elf(
    data: bytes | memoryview | Extent,
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


def _check_whole(elf: Elf) -> None:
    for segment in elf.segments:
        if elf.dynamic and segment.kind == _PT_LOAD and segment.size:
            elf.mapped(segment.address)


def _dynamic_facts(elf: Elf, name: str) -> ElfFile:
    _check_whole(elf)
    per_library: dict[str, list[str]] = defaultdict(list)
    numbered: dict[int, tuple[str, str]] = {}
    # Numbers are the file's own: they link rows of .gnu.version to names of versions.
    for library, version, number in elf.version_needs():
        per_library[library].append(version)
        if number >= _FIRST_NAMED_VERSION:
            numbered[number] = library, version
    own = {number: version for version, number in elf.version_definitions() if number >= _FIRST_NAMED_VERSION}
    imports: list[Import] = []
    exports: list[Symbol] = []
    for symbol in elf.symbols(".dynsym"):
        # Absolute: older linkers list each version as a symbol of its own ("GLIBC_2.34", SHN_ABS).
        if symbol.local or symbol.absolute:
            continue
        if symbol.undefined:
            asked_of, wanted = numbered.get(symbol.version, (None, None))
            imports.append(Import(symbol.name, symbol.weak, wanted, asked_of))
        elif symbol.visibility in _VISIBLE and symbol.name not in _LINKER_MADE:
            exports.append(symbol)
    versions_of: dict[str, list[str]] = defaultdict(list)
    for symbol in exports:
        if symbol.version in own:
            versions_of[symbol.name].append(own[symbol.version])
    flags, further_flags = (elf.dynamic.get(tag, (0,))[-1] for tag in (_DT_FLAGS, _DT_FLAGS_1))
    stacks = [segment.flags for segment in elf.segments if segment.kind == _PT_GNU_STACK]
    sections = elf.told_sections
    return ElfFile(
        name=name,
        machine=next((it for it, code in MACHINES.items() if code == elf.machine), f"ELF machine {elf.machine}"),
        soname=next(iter(elf.named(_DT_SONAME)), None),
        needed=elf.named(_DT_NEEDED),
        search_path=tuple(filter(None, ":".join(elf.named(_DT_RPATH) + elf.named(_DT_RUNPATH)).split(":"))),
        rpath=next(reversed(elf.named(_DT_RPATH)), None),
        runpath=next(reversed(elf.named(_DT_RUNPATH)), None),
        program=any(segment.kind == _PT_INTERP for segment in elf.segments),
        imports=tuple(imports),
        exports=tuple(dict.fromkeys(symbol.name for symbol in exports)),
        version_needs={library: tuple(versions) for library, versions in per_library.items()},
        # Without the header the loader assumes the worst, but not on aarch64 (glibc, DEFAULT_STACK_PERMS).
        executable_stack=bool((stacks[-1] if stacks else elf.machine != MACHINES["aarch64"]) & _EXECUTABLE),
        constructors=sum(elf.dynamic.get(_DT_INIT_ARRAYSZ, ())) // _POINTER,
        sections={key: section.extent for key, section in sections.items() if section.in_file},
        versions=tuple(own.values()),
        export_versions={symbol: tuple(versions) for symbol, versions in versions_of.items()},
        ifuncs=frozenset(symbol.name for symbol in exports if symbol.kind == _IFUNC),
        text_relocations=_DT_TEXTREL in elf.dynamic or bool(flags & _DF_TEXTREL),
        bind_now=_DT_BIND_NOW in elf.dynamic or bool(flags & _DF_BIND_NOW or further_flags & _DF_1_NOW),
        auxiliary=elf.named(_DT_AUXILIARY) + elf.named(_DT_FILTER),
        isa_needed=_isa_needed(elf),
        compilers=_comments(sections.get(".comment", NOTHING)),
    )


def _comments(section: Section) -> tuple[str, ...]:
    texts = bytes(section.extent.read(0, _COMMENT)).split(b"\0")
    return tuple(dict.fromkeys(text.decode(errors="replace") for text in texts if text))


def _isa_needed(elf: Elf) -> tuple[str, ...]:
    """Levels in the property that says which are needed; other machines have no such property."""
    if elf.machine != MACHINES["x86_64"]:
        return ()
    mask = 0
    for segment in elf.segments:
        if segment.kind in {_PT_NOTE, _PT_GNU_PROPERTY}:
            for kind, value in _properties(bytes(elf.content(segment).read(0, _NOTES))):
                mask |= int.from_bytes(value[:4], "little") if kind == _X86_ISA_NEEDED else 0
    return tuple(level for bit, level in _ISA.items() if mask & bit)


def _properties(notes: bytes) -> Iterator[tuple[int, bytes]]:
    """`(kind, value)` of each GNU property in a segment of notes; what is damaged ends them, as nobody refuses it."""
    at = 0
    while at + _NOTE.size <= len(notes):
        name_size, size, kind = _NOTE.unpack_from(notes, at)
        content_at = at + _NOTE.size + -(-name_size // 4) * 4
        if kind == _NT_GNU_PROPERTY and notes[at + _NOTE.size : content_at] == b"GNU\0":
            content, inner = notes[content_at : content_at + size], 0
            while inner + _PROPERTY.size <= len(content):
                property_kind, value_size = _PROPERTY.unpack_from(content, inner)
                inner += _PROPERTY.size
                yield property_kind, content[inner : inner + value_size]
                inner += -(-value_size // 8) * 8
            at = content_at + -(-size // 8) * 8
        else:
            at = content_at + -(-size // 4) * 4
