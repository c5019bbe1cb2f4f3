"""What a shared library asks of the machine and shows to it, read from its bytes (System V ABI, chapters 4 and 5)."""

from __future__ import annotations

import io
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from gpuwheel.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MAGIC", "ElfFile", "Import", "read_elf"]

MAGIC = b"\x7fELF"
"""The first bytes of every ELF file."""

_EXECUTABLE = 1
"""PF_X."""
_VERSION_MASK = 0x7FFF
"""The top bit of a versym entry says hidden."""
_FIRST_NAMED_VERSION = 2
"""0 is local, 1 is global without a version."""


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
    """Python's word, for example "x86_64", "aarch64"."""
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

_MACHINES = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64"}


def read_elf(data: bytes, name: str) -> ElfFile:
    """Read an ELF file; `name` is for messages.

    Raises:
        AuditError: `data` is not ELF, or damaged.
    """
    try:
        return _read(ELFFile(io.BytesIO(data)), data, name)
    # pyelftools does not wrap what a damaged table makes of its own code.
    except (ELFError, AssertionError, AttributeError, IndexError, KeyError, UnicodeDecodeError, ValueError) as error:
        msg = f"{name} is not a readable ELF file ({str(error) or type(error).__name__}, expected a shared library)"
        raise AuditError(msg, hint="build the wheel again") from error


def _read(elf: Any, data: bytes, name: str) -> ElfFile:  # noqa: ANN401 (pyelftools ships no types)
    sections = {section.name: section for section in elf.iter_sections()}
    segments = {segment["p_type"]: segment for segment in elf.iter_segments()}
    if "PT_DYNAMIC" in segments and ".dynamic" not in sections:
        # `sstrip` leaves such files: they load, and a reader of sections would find nothing wrong with them.
        msg = "its section headers are stripped"
        raise ValueError(msg)
    dynamic = defaultdict(list)
    if ".dynamic" in sections:
        for tag in sections[".dynamic"].iter_tags():
            dynamic[tag.entry.d_tag].append(tag)
    needs = list(_version_needs(sections))
    imports, exports = _symbols(sections, {index: (library, version) for library, version, index in needs})
    per_library: dict[str, list[str]] = defaultdict(list)
    for library, version, _ in needs:
        per_library[library].append(version)
    paths = [tag.rpath for tag in dynamic["DT_RPATH"]] + [tag.runpath for tag in dynamic["DT_RUNPATH"]]
    stack = segments.get("PT_GNU_STACK")
    pointer = elf.elfclass // 8
    return ElfFile(
        name=name,
        machine=_MACHINES.get(elf["e_machine"], str(elf["e_machine"])),
        soname=next((tag.soname for tag in dynamic["DT_SONAME"]), None),
        needed=tuple(tag.needed for tag in dynamic["DT_NEEDED"]),
        search_path=tuple(entry for path in paths for entry in path.split(":") if entry),
        imports=imports,
        exports=exports,
        version_needs={library: tuple(versions) for library, versions in per_library.items()},
        # Without the header the kernel assumes the worst.
        executable_stack=stack is None or bool(stack["p_flags"] & _EXECUTABLE),
        constructors=sum(tag["d_val"] for tag in dynamic["DT_INIT_ARRAYSZ"]) // pointer,
        sections={
            key: memoryview(data)[section["sh_offset"] : section["sh_offset"] + section["sh_size"]]
            for key, section in sections.items()
            if section["sh_type"] != "SHT_NOBITS"
        },
    )


def _version_needs(sections: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """`(library, version, index in .gnu.version)` of every needed version."""
    if ".gnu.version_r" not in sections:
        return []
    return [
        (library.name, version.name, version["vna_other"] & _VERSION_MASK)
        for library, versions in sections[".gnu.version_r"].iter_versions()
        for version in versions
    ]


def _symbols(
    sections: Mapping[str, Any], versions: Mapping[int, tuple[str, str]]
) -> tuple[tuple[Import, ...], tuple[str, ...]]:
    table, versym = sections.get(".dynsym"), sections.get(".gnu.version")
    imports: list[Import] = []
    exports: list[str] = []
    for index, symbol in enumerate(table.iter_symbols() if table is not None else ()):
        binding, visibility = symbol["st_info"]["bind"], symbol["st_other"]["visibility"]
        # Absolute symbols are the names of the library's own versions.
        if not symbol.name or binding == "STB_LOCAL" or symbol["st_shndx"] == "SHN_ABS":
            continue
        if symbol["st_shndx"] == "SHN_UNDEF":
            number = versym.get_symbol(index)["ndx"] if versym is not None else 0
            number = number & _VERSION_MASK if isinstance(number, int) else 0
            library, version = versions.get(number, (None, None)) if number >= _FIRST_NAMED_VERSION else (None, None)
            imports.append(Import(symbol.name, binding == "STB_WEAK", version, library))
        elif visibility in {"STV_DEFAULT", "STV_PROTECTED"} and symbol.name not in _LINKER_MADE:
            exports.append(symbol.name)
    return tuple(imports), tuple(exports)
