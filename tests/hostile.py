"""Files as nobody's tools write them, made field by field: for tests, and what the fuzzer starts from."""

from __future__ import annotations

import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elf_files import MACHINES, Library, Part, Strings, placed, sectioned

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
    library = Library(
        imports=imports,
        needed=needed,
        exports=exports,
        sections=sections or {},
        runpath=search_path or None,
        executable_stack=executable_stack,
    )
    return bytes(library)


def cubin(kernels: Mapping[str, Sequence[tuple[int, int]]], registers: int = 32) -> bytes:
    """Code of one GPU architecture: kernel -> (offset, size) of its parameters; `registers` per thread."""
    strings, symbols, info = Strings(), bytearray(24), bytearray()
    sections: list[Part] = []
    for index, (name, parameters) in enumerate(kernels.items(), 1):
        symbols += struct.pack("<IBBHQQ", strings.add(name), 0x12, 0, 1, 0, 0)
        info += struct.pack("<BBHII", 4, 0x2F, 8, index, registers) + struct.pack("<BBHII", 4, 0x11, 8, index, 0)
        own = bytearray()
        for ordinal, (offset, size) in enumerate(parameters):
            own += struct.pack("<BBHIHHI", 4, 0x17, 12, 0, ordinal, offset, size << 18)
        sections += [
            Part(f".text.{name}", 1, bytes(128)),
            Part(f".nv.info.{name}", 0x70000000, bytes(own)),
            Part(f".nv.constant0.{name}", 1, bytes(64)),
        ]
    sections += [
        Part(".nv.info", 0x70000000, bytes(info)),
        Part(".symtab", 2, bytes(symbols), link=len(sections) + 3),
        Part(".strtab", 3, bytes(strings.data)),
    ]
    placed(sections, 0)
    return sectioned(sections, machine=MACHINES["cuda"])


# --- fatbin -----------------------------------------------------------------------------------------------------------


def container(entries: bytes, *, header: int = 16, size: int | None = None, magic: int = 0xBA55ED50) -> bytes:
    """A container of fatbin entries."""
    return struct.pack("<IHHQ", magic, 1, header, len(entries) if size is None else size) + entries


def entry(
    image: bytes, *, kind: int = 2, arch: int = 80, flags: int = 0, header: int = 64, isa: tuple[int, int] = (8, 8)
) -> bytes:
    """One image with its header; `isa` is the version of PTX."""
    padded = image + bytes(-len(image) % 8)
    major, minor = isa
    return (
        struct.pack(
            "<HHIQIIHHIIIQQQ", kind, 1, header, len(padded), 0, 0, minor, major, arch, 0, 0, flags, 0, len(image)
        )
        + padded
    )
