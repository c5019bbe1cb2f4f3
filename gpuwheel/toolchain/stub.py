"""Write an empty shared library that a linker accepts: a name to depend on, and no symbol.

An extension needs `libtorch.so` in its DT_NEEDED and nothing from the file at link time. Linking the real one is
worse: it exports its own libstdc++ symbols, which the extension would then bind to.

Layout after the System V ABI (gABI chapters 4 and 5): ELF header, program headers, `.hash`, `.dynsym`, `.dynstr`,
`.dynamic`, `.shstrtab`, section headers; everything in one read-only segment.
"""

from __future__ import annotations

import struct

__all__ = ["MACHINES", "stub_library"]

MACHINES = {"x86_64": 62, "aarch64": 183}
"""`platform.machine()` -> e_machine (EM_X86_64, EM_AARCH64)."""

_HEADER, _SEGMENT, _SECTION = 64, 56, 64
_PAGE = 0x10000  # the largest page size of either machine
_PT_LOAD, _PT_DYNAMIC = 1, 2
_SHT_STRTAB, _SHT_HASH, _SHT_DYNAMIC, _SHT_DYNSYM = 3, 5, 6, 11
_SHF_ALLOC = 2
_DT_NULL, _DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_STRSZ, _DT_SYMENT, _DT_SONAME = 0, 4, 5, 6, 10, 11, 14


def stub_library(soname: str, machine: str) -> bytes:
    """The bytes of an ELF64 shared object with DT_SONAME `soname`.

    Raises:
        KeyError: `machine` is not in `MACHINES`.
    """
    code = MACHINES[machine]
    strings = b"\0" + soname.encode("ascii") + b"\0"
    names = b"\0.hash\0.dynsym\0.dynstr\0.dynamic\0.shstrtab\0"
    hashes = struct.pack("<4I", 1, 1, 0, 0)  # one bucket, one (undefined) symbol
    symbols = bytes(24)
    at_hash = _HEADER + 2 * _SEGMENT
    at_symbols = at_hash + len(hashes)
    at_strings = at_symbols + len(symbols)
    at_dynamic = _aligned(at_strings + len(strings))
    entries = [
        (_DT_SONAME, 1),
        (_DT_HASH, at_hash),
        (_DT_STRTAB, at_strings),
        (_DT_SYMTAB, at_symbols),
        (_DT_STRSZ, len(strings)),
        (_DT_SYMENT, len(symbols)),
        (_DT_NULL, 0),
    ]
    dynamic = b"".join(struct.pack("<QQ", *entry) for entry in entries)
    at_names = at_dynamic + len(dynamic)
    at_sections = _aligned(at_names + len(names))

    sections = [
        # name, type, flags, offset, size, link, info, alignment, entry size
        ("", 0, 0, 0, 0, 0, 0, 0, 0),
        (".hash", _SHT_HASH, _SHF_ALLOC, at_hash, len(hashes), 2, 0, 8, 4),
        (".dynsym", _SHT_DYNSYM, _SHF_ALLOC, at_symbols, len(symbols), 3, 1, 8, 24),
        (".dynstr", _SHT_STRTAB, _SHF_ALLOC, at_strings, len(strings), 0, 0, 1, 0),
        (".dynamic", _SHT_DYNAMIC, _SHF_ALLOC, at_dynamic, len(dynamic), 3, 0, 8, 16),
        (".shstrtab", _SHT_STRTAB, 0, at_names, len(names), 0, 0, 1, 0),
    ]
    identification = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)  # 64 bits, little endian, version 1, System V
    header = identification + struct.pack(
        "<HHIQQQIHHHHHH",
        *(3, code, 1, 0, _HEADER, at_sections, 0),  # ET_DYN
        *(_HEADER, _SEGMENT, 2, _SECTION, len(sections), len(sections) - 1),
    )
    segments = [
        # type, flags (read only), offset, address, physical address, size in file, size in memory, alignment
        (_PT_LOAD, 4, 0, 0, 0, at_names, at_names, _PAGE),
        (_PT_DYNAMIC, 4, at_dynamic, at_dynamic, at_dynamic, len(dynamic), len(dynamic), 8),
    ]
    image = bytearray(header + b"".join(struct.pack("<IIQQQQQQ", *segment) for segment in segments))
    image += hashes + symbols + strings
    image += bytes(at_dynamic - len(image)) + dynamic + names
    image += bytes(at_sections - len(image))
    for name, kind, flags, offset, size, link, info, alignment, entry in sections:
        at_name = names.index(b"\0" + name.encode() + b"\0") + 1 if name else 0
        address = offset if flags else 0
        image += struct.pack("<IIQQQQIIQQ", at_name, kind, flags, address, offset, size, link, info, alignment, entry)
    return bytes(image)


def _aligned(offset: int) -> int:
    return -(-offset // 8) * 8
