"""Files as nobody's tools write them, made field by field: for tests, and what the fuzzer starts from."""

from __future__ import annotations

import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["RawMember", "container", "cubin", "deflated", "elf_library", "entry", "raw_zip"]

# --- ZIP --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RawMember:
    """One member; what is not given is what the data says."""

    name: bytes
    stream: bytes = b""
    """As it is in the archive."""
    method: int = zipfile.ZIP_STORED
    size: int | None = None
    crc: int | None = None
    compressed: int | None = None
    flags: int = 0
    offset: int | None = None
    """Where the directory says that it is."""
    extra: bytes = b""
    """In the directory."""
    local_extra_size: int = 0
    """What the local header says of its extra field, which is empty."""


def deflated(name: str, data: bytes) -> RawMember:
    """An honest member."""
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    stream = engine.compress(data) + engine.flush()
    return RawMember(name.encode(), stream, zipfile.ZIP_DEFLATED, len(data), zlib.crc32(data))


def raw_zip(members: Sequence[RawMember]) -> bytes:
    """An archive that says what it is told to say."""
    body, directory = bytearray(), bytearray()
    for member in members:
        at = len(body) if member.offset is None else member.offset
        size = len(member.stream) if member.size is None else member.size
        crc = zlib.crc32(member.stream) if member.crc is None else member.crc
        compressed = len(member.stream) if member.compressed is None else member.compressed
        fields = (member.flags, member.method, 0, 0x21, crc, compressed, size, len(member.name))
        body += struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, *fields, member.local_extra_size)
        body += member.name + member.stream
        directory += struct.pack(
            "<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, *fields, len(member.extra), 0, 0, 0, 0o644 << 16, at
        )
        directory += member.name + member.extra
    count = len(members)
    return bytes(body + directory) + struct.pack(
        "<IHHHHIIH", 0x06054B50, 0, 0, count, count, len(directory), len(body), 0
    )


# --- ELF --------------------------------------------------------------------------------------------------------------


class _Strings:
    def __init__(self) -> None:
        self.data = bytearray(1)

    def add(self, text: str) -> int:
        at = len(self.data)
        self.data += text.encode() + b"\0"
        return at


_VERSION_NEEDS = 0x6FFFFFFE
_ENTRY_SIZES = {2: 24, 11: 24, 6: 16, 0x6FFFFFFF: 2}


def _count_needs(data: bytes) -> int:
    at, count = 0, 0
    while at < len(data):
        count += 1
        following = int.from_bytes(data[at + 12 : at + 16], "little")
        at = at + following if following else len(data)
    return count


def _sections(
    machine: int, sections: Sequence[tuple[str, int, bytes, int]], segments: Sequence[tuple[int, int]] = ()
) -> bytes:
    """A file of these sections: name, kind, content, link. Number 0 is added before, the names behind.

    Segments are kinds and flags.
    """
    names = _Strings()
    places = [names.add(name) for name, *_ in sections]
    own = names.add(".shstrtab")
    body, headers = bytearray(64 + 56 * len(segments)), bytearray(64)
    content = [*sections, (".shstrtab", 3, bytes(names.data), 0)]
    for place, (_, kind, data, link) in zip([*places, own], content, strict=True):
        # pyelftools wants the size of an entry, and the number of libraries where versions are needed.
        info = _count_needs(data) if kind == _VERSION_NEEDS else 0
        headers += struct.pack(
            "<IIQQQQIIQQ", place, kind, 0, 0, len(body), len(data), link, info, 8, _ENTRY_SIZES.get(kind, 0)
        )
        body += data
    for index, (kind, flags) in enumerate(segments):
        struct.pack_into("<IIQQQQQQ", body, 64 + 56 * index, kind, flags, 0, 0, 0, 0, 0, 8)
    counts = (64, 56, len(segments), 64, len(content) + 1, len(content))
    identification = b"\x7fELF\2\1\1" + bytes(9)
    struct.pack_into(
        "<16sHHIQQQIHHHHHH", body, 0, identification, 3, machine, 1, 0, 64 if segments else 0, len(body), 0, *counts
    )
    return bytes(body + headers)


def elf_library(
    imports: Mapping[str, tuple[str, str] | None],
    *,
    needed: Sequence[str] = ("libc.so.6",),
    exports: Sequence[str] = (),
    sections: Mapping[str, bytes] | None = None,
    search_path: str = "$ORIGIN",
    executable_stack: bool = False,
) -> bytes:
    """A shared library: symbol -> (library, version) or `None`; `sections` are further ones."""
    strings = _Strings()
    by_library: dict[str, list[str]] = {}
    for need in filter(None, imports.values()):
        if need[1] not in by_library.setdefault(need[0], []):
            by_library[need[0]].append(need[1])
    number = {(library, v): 0 for library, versions in by_library.items() for v in versions}
    number = {need: index for index, need in enumerate(number, 2)}
    table, versym = bytearray(24), [0]
    for name, wanted in imports.items():
        table += struct.pack("<IBBHQQ", strings.add(name), 1 << 4, 0, 0, 0, 0)
        versym.append(number[wanted] if wanted else 1)
    for name in exports:
        table += struct.pack("<IBBHQQ", strings.add(name), 1 << 4, 0, 1, 0, 0)
        versym.append(1)
    needs = bytearray()
    for index, (library, versions) in enumerate(by_library.items(), 1):
        following = 0 if index == len(by_library) else 16 + 16 * len(versions)
        needs += struct.pack("<HHIII", 1, len(versions), strings.add(library), 16, following)
        for place, version in enumerate(versions, 1):
            further = 0 if place == len(versions) else 16
            needs += struct.pack("<IHHII", 0, 0, number[library, version], strings.add(version), further)
    dynamic = [(1, strings.add(library)) for library in needed]
    dynamic += [(14, strings.add("lib.so")), (27, 16)]
    dynamic += [(29, strings.add(search_path)), (0, 0)] if search_path else [(0, 0)]
    return _sections(
        62,
        [
            (".dynsym", 11, bytes(table), 5),
            (".gnu.version", 0x6FFFFFFF, struct.pack(f"<{len(versym)}H", *versym), 1),
            (".gnu.version_r", 0x6FFFFFFE, bytes(needs), 5),
            (".dynamic", 6, b"".join(struct.pack("<qQ", *entry) for entry in dynamic), 5),
            (".dynstr", 3, bytes(strings.data), 0),
            *((name, 1, data, 0) for name, data in (sections or {}).items()),
        ],
        segments=((2, 6), (0x6474E551, 7 if executable_stack else 6)),
    )


def cubin(kernels: Mapping[str, Sequence[tuple[int, int]]]) -> bytes:
    """Code of one GPU architecture: kernel -> (offset, size) of its parameters."""
    strings, symbols, info = _Strings(), bytearray(24), bytearray()
    sections: list[tuple[str, int, bytes, int]] = []
    for index, (name, parameters) in enumerate(kernels.items(), 1):
        symbols += struct.pack("<IBBHQQ", strings.add(name), 0x12, 0, 1, 0, 0)
        info += struct.pack("<BBHII", 4, 0x2F, 8, index, 32) + struct.pack("<BBHII", 4, 0x11, 8, index, 0)
        own = bytearray()
        for ordinal, (offset, size) in enumerate(parameters):
            own += struct.pack("<BBHIHHI", 4, 0x17, 12, 0, ordinal, offset, size << 18)
        sections += [
            (f".text.{name}", 1, bytes(128), 0),
            (f".nv.info.{name}", 0x70000000, bytes(own), 0),
            (f".nv.constant0.{name}", 1, bytes(64), 0),
        ]
    sections += [
        (".nv.info", 0x70000000, bytes(info), 0),
        (".symtab", 2, bytes(symbols), len(sections) + 3),
        (".strtab", 3, bytes(strings.data), 0),
    ]
    return _sections(190, sections)


# --- fatbin -----------------------------------------------------------------------------------------------------------


def container(entries: bytes, *, header: int = 16, size: int | None = None, magic: int = 0xBA55ED50) -> bytes:
    """A container of fatbin entries."""
    return struct.pack("<IHHQ", magic, 1, header, len(entries) if size is None else size) + entries


def entry(image: bytes, *, kind: int = 2, arch: int = 80, flags: int = 0, header: int = 64) -> bytes:
    """One image with its header."""
    padded = image + bytes(-len(image) % 8)
    return (
        struct.pack("<HHIQIIHHIIIQQQ", kind, 1, header, len(padded), 0, 0, 8, 8, arch, 0, 0, flags, 0, len(image))
        + padded
    )
