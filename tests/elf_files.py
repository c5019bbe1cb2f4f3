"""Shared libraries written field by field, as linkers lay them out and the loader reads them: for tests of readers.

System V ABI, chapters 4 and 5. One segment holds everything, so that addresses are offsets; PT_DYNAMIC leads to tables
by address, as in any library, and section headers say the same, unless they are told not to.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = ["MACHINES", "Library", "Part", "Strings", "placed", "sectioned"]

MACHINES = {"x86_64": 62, "aarch64": 183, "cuda": 190}
"""Machine -> e_machine (EM_*)."""
_NEEDED, _STRTAB, _SYMTAB, _STRSZ, _SYMENT, _INIT_ARRAYSZ, _FLAGS = 1, 5, 6, 10, 11, 27, 30
_HASH, _SONAME, _RPATH, _TEXTREL, _RUNPATH = 4, 14, 15, 22, 29
_VERSYM, _VERDEF, _VERDEFNUM, _VERNEED, _VERNEEDNUM = 0x6FFFFFF0, 0x6FFFFFFC, 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF
_LOAD, _DYNAMIC, _NOTE, _STACK, _PROPERTY = 1, 2, 4, 0x6474E551, 0x6474E553
_ENTRY_SIZES = {2: 24, 11: 24, 6: 16, 0x6FFFFFFF: 2}
_WEAK, _GLOBAL, _FUNCTION = 2, 1, 2
_ROOM = 64
"""Bytes of each function."""
_ALLOC = 2


class Strings:
    """A string table."""

    def __init__(self) -> None:
        self.data = bytearray(1)

    def add(self, text: str) -> int:
        """The place of a name, which is added."""
        at = len(self.data)
        self.data += text.encode("utf-8", "surrogateescape") + b"\0"
        return at


@dataclass
class Part:
    """A section: a piece of the file, and its header."""

    name: str
    kind: int
    data: bytes
    link: int = 0
    info: int = 0
    loaded: bool = True
    at: int = 0


def sectioned(
    parts: Sequence[Part],
    *,
    machine: int,
    segments: Sequence[tuple[int, ...]] = (),
    headers: bool = True,
) -> bytes:
    """The file of these sections, from number 1 on, at the places that `placed` gave them, and `.shstrtab`.

    Segments are (type, flags, offset, address, size); without `headers` nothing tells of sections.
    """
    names = Strings()
    places = [names.add(part.name) for part in parts]
    own = names.add(".shstrtab")
    content = [*parts, Part(".shstrtab", 3, bytes(names.data), loaded=False, at=_end(parts, len(segments)))]
    body, table = bytearray(64 + 56 * len(segments)), bytearray(64)
    for place, part in zip([*places, own], content, strict=True):
        body += bytes(part.at - len(body)) + part.data
        flags, address = (_ALLOC, part.at) if part.loaded else (0, 0)
        sizes = (part.at, len(part.data), part.link, part.info, 8, _ENTRY_SIZES.get(part.kind, 0))
        table += struct.pack("<IIQQQQIIQQ", place, part.kind, flags, address, *sizes)
    for index, (segment, flags, offset, address, size) in enumerate(segments):
        struct.pack_into("<IIQQQQQQ", body, 64 + 56 * index, segment, flags, offset, address, address, size, size, 8)
    body += bytes(-len(body) % 8)
    counts = (64, len(content) + 1, len(content)) if headers else (0, 0, 0)
    identification = b"\x7fELF\2\1\1" + bytes(9)
    head = (identification, 3, machine, 1, 0, 64 if segments else 0, len(body) if headers else 0, 0, 64, 56)
    struct.pack_into("<16sHHIQQQIHHHHHH", body, 0, *head, len(segments), *counts)
    return bytes(body + table) if headers else bytes(body)


def placed(parts: Sequence[Part], segments: int) -> None:
    """Give each section its place: behind the headers of the file and of the segments, one after the other."""
    at = 64 + 56 * segments
    for part in parts:
        part.at = at = -(-at // 8) * 8
        at += len(part.data)


def _end(parts: Sequence[Part], segments: int) -> int:
    return max((part.at + len(part.data) for part in parts), default=64 + 56 * segments)


@dataclass(frozen=True)
class Library:
    """A shared library to write; `bytes(library)` is the file."""

    imports: Mapping[str, tuple[str, str] | None] = field(default_factory=dict)
    """Undefined symbol -> (library, version), or `None` without a version."""
    weak: Collection[str] = ()
    """Of the imports."""
    exports: Mapping[str, str | None] | Sequence[str] = ()
    """Defined symbol, and its version where it has one."""
    needed: Sequence[str] = ("libc.so.6",)
    soname: str | None = "lib.so"
    rpath: str | None = None
    runpath: str | None = None
    machine: str = "x86_64"
    sections: Mapping[str, bytes] = field(default_factory=dict)
    """Further ones; those of `.debug*` and `.zdebug*` are not loaded."""
    executable_stack: bool = False
    stack_header: bool = True
    text_relocations: bool = False
    isa: int | None = None
    """GNU_PROPERTY_X86_ISA_1_NEEDED, as a mask: 1 baseline, 2 v2, 4 v3, 8 v4."""
    dynamic: Sequence[tuple[int, int]] = ()
    """Further entries, (tag, value)."""
    headers: bool = True
    """Whether there are section headers (`sstrip` leaves none)."""
    constructors: Sequence[bytes] = ()
    """Machine code of functions that are called when it is loaded."""
    resolvers: Sequence[bytes] = ()
    """The same, of functions that choose the code of others."""
    written: bool = True
    """Whether the addresses of constructors stand in DT_INIT_ARRAY, and not in its relocations alone."""
    hidden: Collection[str] = ()
    """Names of sections that the headers call otherwise, as some packers do."""

    def __bytes__(self) -> bytes:
        """The file."""
        strings = Strings()
        symbols, versym, needs, definitions = self._tables(strings)
        tags = self._tags(strings)
        property_note = [] if self.isa is None else [Part(".note.gnu.property", 7, _isa_note(self.isa))]
        count = len(versym)
        parts = [
            Part(".dynsym", 11, symbols, link=5, info=1),
            Part(".gnu.version", 0x6FFFFFFF, struct.pack(f"<{count}H", *versym), link=1),
            Part(".gnu.version_r", 0x6FFFFFFE, needs[0], link=5, info=needs[1]),
            Part(".dynamic", 6, bytes(16 * (len(tags) + 17)), link=5),
            Part(".dynstr", 3, bytes(strings.data)),
            Part(".hash", 5, struct.pack(f"<{3 + count}I", 1, count, *range(count), 0), link=1),
            Part(".gnu.version_d", 0x6FFFFFFD, definitions[0], link=5, info=definitions[1]),
            *property_note,
            *self._load_parts(),
            *(
                Part(name, 1, data, loaded=not name.startswith((".debug", ".zdebug")))
                for name, data in self.sections.items()
            ),
        ]
        segments = 2 + self.stack_header + 2 * len(property_note)
        placed(parts, segments)
        at = {part.name: part.at for part in parts}
        tags += [(_HASH, at[".hash"]), (_STRTAB, at[".dynstr"]), (_STRSZ, len(strings.data))]
        tags += [(_SYMTAB, at[".dynsym"]), (_SYMENT, 24), (_VERSYM, at[".gnu.version"])]
        tags += [(_VERNEED, at[".gnu.version_r"]), (_VERNEEDNUM, needs[1])] if needs[1] else []
        tags += [(_VERDEF, at[".gnu.version_d"]), (_VERDEFNUM, definitions[1])] if definitions[1] else []
        tags += self._called({part.name: part for part in parts})
        dynamic = parts[3]
        dynamic.data = b"".join(struct.pack("<qQ", *tag) for tag in tags).ljust(len(dynamic.data), b"\0")
        loaded = max(part.at + len(part.data) for part in parts if part.loaded)
        table = [(_LOAD, 7, 0, 0, loaded), (_DYNAMIC, 6, dynamic.at, dynamic.at, len(dynamic.data))]
        table += [(_STACK, 7 if self.executable_stack else 6, 0, 0, 0)] if self.stack_header else []
        for note in property_note:
            table += [(kind, 4, note.at, note.at, len(note.data)) for kind in (_NOTE, _PROPERTY)]
        for part in parts:
            part.name = f".x{part.name}" if part.name in self.hidden else part.name
        return sectioned(parts, machine=MACHINES[self.machine], segments=table, headers=self.headers)

    def _tags(self, strings: Strings) -> list[tuple[int, int]]:
        tags = [(_NEEDED, strings.add(library)) for library in self.needed]
        for tag, text in ((_SONAME, self.soname), (_RPATH, self.rpath), (_RUNPATH, self.runpath)):
            tags += [] if text is None else [(tag, strings.add(text))]
        tags += [(_TEXTREL, 0), (_FLAGS, 4)] if self.text_relocations else []
        return [*tags, *([] if self.constructors else [(_INIT_ARRAYSZ, 16)]), *self.dynamic]

    def _load_parts(self) -> list[Part]:
        """Code that the loader calls, and the tables that lead to it, still empty."""
        functions = [*self.constructors, *self.resolvers]
        if not functions:
            return []
        code = b"".join(one.ljust(_ROOM, b"\xcc") for one in functions)
        array, rows = 8 * len(self.constructors), 24 * len(self.constructors) * (not self.written)
        return [
            Part(".text.startup", 1, code),
            Part(".init_array", 14, bytes(array)),
            Part(".rela.dyn", 4, bytes(rows)),
            Part(".rela.plt", 4, bytes(24 * len(self.resolvers))),
        ]

    def _called(self, parts: Mapping[str, Part]) -> list[tuple[int, int]]:
        """Fill those tables, now that every part has its place."""
        if ".text.startup" not in parts:
            return []
        code, array, dyn, plt = (parts[it] for it in (".text.startup", ".init_array", ".rela.dyn", ".rela.plt"))
        count = len(self.constructors)
        addresses = [code.at + _ROOM * index for index in range(count + len(self.resolvers))]
        if self.written:
            array.data = struct.pack(f"<{count}Q", *addresses[:count])
        else:
            places = (array.at + 8 * index for index in range(count))
            rows = zip(places, addresses, strict=False)
            dyn.data = b"".join(struct.pack("<QQq", place, 8, address) for place, address in rows)
        plt.data = b"".join(struct.pack("<QQq", array.at, 37, address) for address in addresses[count:])
        tags = [(25, array.at), (_INIT_ARRAYSZ, len(array.data))] if count else []
        tags += [(7, dyn.at), (8, len(dyn.data))] if dyn.data else []
        return tags + ([(23, plt.at), (2, len(plt.data))] if plt.data else [])

    def _tables(self, strings: Strings) -> tuple[bytes, list[int], tuple[bytes, int], tuple[bytes, int]]:
        """Symbols, their rows of versions; versions that are needed and defined, with their numbers of entries."""
        exports = self.exports if hasattr(self.exports, "items") else dict.fromkeys(self.exports)
        wanted: dict[str, list[str]] = {}
        for need in filter(None, self.imports.values()):
            if need[1] not in wanted.setdefault(need[0], []):
                wanted[need[0]].append(need[1])
        own = list(dict.fromkeys(filter(None, exports.values())))
        pairs = [(library, version) for library, versions in wanted.items() for version in versions]
        number: dict[tuple[str | None, str], int] = {(None, version): at for at, version in enumerate(own, 2)}
        number |= {pair: at for at, pair in enumerate(pairs, 2 + len(own))}
        table, versym = bytearray(24), [0]
        for name, need in self.imports.items():
            binding = _WEAK if name in self.weak else _GLOBAL
            table += struct.pack("<IBBHQQ", strings.add(name), binding << 4, 0, 0, 0, 0)
            versym.append(number[need] if need else 1)
        for name, version in exports.items():
            table += struct.pack("<IBBHQQ", strings.add(name), _GLOBAL << 4 | _FUNCTION, 0, 1, 64, 8)
            versym.append(number[None, version] if version else 1)
        return bytes(table), versym, _needs(wanted, number, strings), _definitions(own, self.soname, strings)


def _needs(wanted: Mapping[str, Sequence[str]], number: Mapping, strings: Strings) -> tuple[bytes, int]:  # type: ignore[type-arg]
    data = bytearray()
    for index, (library, versions) in enumerate(wanted.items(), 1):
        following = 0 if index == len(wanted) else 16 + 16 * len(versions)
        data += struct.pack("<HHIII", 1, len(versions), strings.add(library), 16, following)
        for place, version in enumerate(versions, 1):
            further = 0 if place == len(versions) else 16
            data += struct.pack("<IHHII", 0, 0, number[library, version], strings.add(version), further)
    return bytes(data), len(wanted)


def _definitions(versions: Sequence[str], soname: str | None, strings: Strings) -> tuple[bytes, int]:
    """The library itself, then each version; nothing without any."""
    if not versions:
        return b"", 0
    data, names = bytearray(), [soname or "lib", *versions]
    for index, name in enumerate(names, 1):
        following = 28 if index < len(names) else 0
        data += struct.pack("<HHHHIII", 1, int(index == 1), index, 1, 0, 20, following)
        data += struct.pack("<II", strings.add(name), 0)
    return bytes(data), len(names)


def _isa_note(mask: int) -> bytes:
    """`.note.gnu.property` (x86-64 psABI, "Program Property"): x86 ISA needed."""
    properties = struct.pack("<IIII", 0xC0008002, 4, mask, 0)
    return struct.pack("<III4s", 4, len(properties), 5, b"GNU\0") + properties
