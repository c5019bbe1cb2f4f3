"""What shared objects need and define: names for the stubs, read fast enough for libraries of half a gigabyte."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from elftools.elf.elffile import ELFFile

from gpuwheel.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["SharedObject", "defined_names", "read_shared_object"]

_SYMBOL = struct.Struct("<IBBHQQ")  # Elf64_Sym: name, info, other, section, value, size
_UNDEFINED_SECTION = 0
_WEAK = 2
_VERSION_MASK = 0x7FFF
_FIRST_NAMED_VERSION = 2  # 0 and 1: local and global, without a version


@dataclass(frozen=True)
class SharedObject:
    """The dynamic symbols of one file, as bytes: most are long C++ names that nobody looks at."""

    needed: tuple[str, ...]
    undefined: frozenset[bytes]
    """Strong undefined names without a version."""
    versioned: Mapping[tuple[str, str], frozenset[bytes]]
    """(library, version) -> the names that are wanted from it under that version."""
    defined: frozenset[bytes]


def read_shared_object(path: Path) -> SharedObject:
    """Read `.dynamic`, `.dynsym` and the version sections of an ELF64 little-endian file."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        needed = tuple(tag.needed for tag in _section(elf, ".dynamic").iter_tags("DT_NEEDED"))
        names_of_versions = _needed_versions(elf)
        symbols = _section(elf, ".dynsym").data()
        strings = _section(elf, ".dynstr").data()
        section = elf.get_section_by_name(".gnu.version")
        versions = section.data() if section is not None else bytes(len(symbols) // _SYMBOL.size * 2)
    undefined: set[bytes] = set()
    defined: set[bytes] = set()
    versioned: dict[tuple[str, str], set[bytes]] = {}
    for (name_at, info, _, home, _, _), (version,) in zip(
        _SYMBOL.iter_unpack(symbols), struct.iter_unpack("<H", versions), strict=True
    ):
        name = strings[name_at : strings.index(b"\0", name_at)]
        if not name:
            continue
        wanted = names_of_versions.get(version & _VERSION_MASK)
        if home != _UNDEFINED_SECTION:
            defined.add(name)
        elif wanted is not None and version & _VERSION_MASK >= _FIRST_NAMED_VERSION:
            versioned.setdefault(wanted, set()).add(name)
        elif info >> 4 != _WEAK:
            undefined.add(name)
    return SharedObject(
        needed, frozenset(undefined), {key: frozenset(value) for key, value in versioned.items()}, frozenset(defined)
    )


def _section(elf: ELFFile, name: str) -> Any:  # noqa: ANN401 - pyelftools gives each kind of section its own class
    section = elf.get_section_by_name(name)
    if section is None:
        msg = f"{elf.stream.name} has no section {name}"
        raise ToolchainError(msg)
    return section


def _needed_versions(elf: ELFFile) -> dict[int, tuple[str, str]]:
    if elf.get_section_by_name(".gnu.version_r") is None:
        return {}
    return {
        auxiliary.entry.vna_other: (library.name, auxiliary.name)
        for library, auxiliaries in _section(elf, ".gnu.version_r").iter_versions()
        for auxiliary in auxiliaries
    }


def defined_names(path: Path) -> Iterator[str]:
    """The global functions that a relocatable object defines."""
    with path.open("rb") as file:
        for symbol in _section(ELFFile(file), ".symtab").iter_symbols():
            if symbol.entry.st_info.bind == "STB_GLOBAL" and symbol.entry.st_shndx != "SHN_UNDEF":
                yield symbol.name
