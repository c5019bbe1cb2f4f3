"""Our reader of ELF files against pyelftools, on libraries of this Python and on one made by hand."""

from __future__ import annotations

import mmap
import struct
import sys
import sysconfig
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from elftools.elf.elffile import ELFFile
from hostile import elf_library

from gpuwheel.binary.elf import Elf, ElfFile, read_elf
from gpuwheel.binary.stub import stub_library
from gpuwheel.errors import AuditError
from gpuwheel.model.symbols import LibrarySymbol, SymbolKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FOLDERS = [Path(sysconfig.get_paths()["platstdlib"]) / "lib-dynload", Path(sysconfig.get_paths()["platlib"])]
LIBRARIES = sorted({path for folder in FOLDERS for path in folder.glob("**/*.so*") if path.stat().st_size < 5_000_000})

SYSTEM = [
    path
    for path in sorted({Path(line.split()[-1]) for line in Path("/proc/self/maps").read_text().splitlines()})
    if path.name.startswith(("libc.so", "libm.so", "libm-"))
]
"""Libraries with versions of their own that this Python is linked with."""


def _facts(library: ElfFile) -> dict[str, Any]:
    return {
        "needed": list(library.needed),
        "versions": {name: sorted(versions) for name, versions in library.version_needs.items()},
        "imports": sorted(symbol.name for symbol in library.imports),
        "weak": sorted(symbol.name for symbol in library.imports if symbol.weak),
        "sections": {name: len(data) for name, data in library.sections.items()},
    }


def _expected(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        elf = ELFFile(file)
        sections = {section.name: section for section in elf.iter_sections()}
        versions: dict[str, list[str]] = defaultdict(list)
        if ".gnu.version_r" in sections:
            for library, needs in sections[".gnu.version_r"].iter_versions():
                versions[library.name] += [need.name for need in needs]
        symbols = [
            symbol
            for symbol in (sections[".dynsym"].iter_symbols() if ".dynsym" in sections else ())
            if symbol.name and symbol["st_shndx"] == "SHN_UNDEF" and symbol["st_info"]["bind"] != "STB_LOCAL"
        ]
        tags = sections[".dynamic"].iter_tags() if ".dynamic" in sections else ()
        return {
            "needed": [tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"],
            "versions": {name: sorted(found) for name, found in versions.items()},
            "imports": sorted(symbol.name for symbol in symbols),
            "weak": sorted(symbol.name for symbol in symbols if symbol["st_info"]["bind"] == "STB_WEAK"),
            "sections": {
                name: 0 if section["sh_type"] == "SHT_NULL" else section["sh_size"]
                for name, section in sections.items()
                if section["sh_type"] != "SHT_NOBITS"
            },
        }


@pytest.mark.parametrize("path", LIBRARIES[:40], ids=lambda path: path.name)
def test_it_reads_what_pyelftools_reads(path: Path) -> None:
    assert _facts(read_elf(path.read_bytes(), path.name)) == _expected(path)


@pytest.mark.parametrize("path", SYSTEM, ids=lambda path: path.name)
def test_the_versions_that_a_library_of_the_system_defines(path: Path) -> None:
    with path.open("rb") as file:
        sections = {section.name: section for section in ELFFile(file).iter_sections()}
        numbers = [row["ndx"] for row in sections[".gnu.version"].iter_symbols()]
        symbols = list(sections[".dynsym"].iter_symbols())
        definitions = sections[".gnu.version_d"].iter_versions()
        expected = [(next(names).name, definition["vd_ndx"]) for definition, names in definitions]
    hidden = {number for number in numbers if isinstance(number, int) and number & 0x8000}
    elf = Elf(path.read_bytes())
    assert list(elf.version_definitions()) == expected
    found = list(elf.symbols(".dynsym"))
    assert [(it.name, it.size) for it in found] == [(it.name, it["st_size"]) for it in symbols if it.name]
    assert {it.versym for it in found if not it.default} == hidden


def _with_table(tag: int, table: bytes) -> bytes:
    """A library whose loader is led to this table."""
    data = bytearray(elf_library({}, sections={".table": table}))
    struct.pack_into("<qQ", data, data.index(struct.pack("<qQ", 27, 16)), tag, data.index(table))
    return bytes(data)


def test_versions_without_an_end_are_bounded() -> None:
    """A chain of definitions that leads forward through the whole file."""
    definitions = struct.pack("<HHHHIII", 1, 0, 2, 1, 0, 8, 20) * 40_000
    elf = Elf(_with_table(0x6FFFFFFC, definitions))
    with pytest.raises(ValueError, match="elf-versions"):
        list(elf.version_definitions())


def test_a_mapped_file_is_read_as_its_bytes_are(tmp_path: Path) -> None:
    path = tmp_path / "lib.so"
    path.write_bytes(elf_library({"memcpy": ("libc.so.6", "GLIBC_2.14")}))
    with path.open("rb") as file:
        view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    assert read_elf(view, "lib.so") == read_elf(path.read_bytes(), "lib.so")


def test_a_library_made_by_hand(tmp_path: Path) -> None:
    imports = {
        "memcpy": ("libc.so.6", "GLIBC_2.14"),
        "stat": ("libc.so.6", "GLIBC_2.33"),
        "pow": ("libm.so.6", "GLIBC_2.29"),
        "own": None,
    }
    path = tmp_path / "lib.so"
    path.write_bytes(elf_library(imports, needed=["libc.so.6", "libm.so.6"], exports=["shown"]))
    library = read_elf(path.read_bytes(), path.name)
    assert _facts(library) == _expected(path)
    assert library.soname == "lib.so"
    assert library.search_path == ("$ORIGIN",)
    assert library.exports == ("shown",)
    assert library.constructors == 2
    assert not library.executable_stack
    found = {symbol.name: symbol.version and (symbol.library, symbol.version) for symbol in library.imports}
    assert found == imports


def test_libraries_of_which_no_version_is_asked_are_bounded() -> None:
    """A chain that leads forward, and never to a version."""
    libraries = struct.pack("<HHIII", 1, 0, 0, 0, 16) * 40_000
    with pytest.raises(AuditError, match="elf-versions"):
        read_elf(_with_table(0x6FFFFFFE, libraries), "a.so")


def test_names_that_are_not_short_take_no_longer_than_they_are() -> None:
    """Each look at the longest name that is allowed would copy a megabyte."""
    imports: dict[str, tuple[str, str] | None] = {f"{number:0>300}": None for number in range(50_000)}
    data = elf_library({**imports, "z" * 900_000: None})
    start = time.process_time()
    assert len(read_elf(data, "a.so").imports) == 50_001
    assert time.process_time() - start < 1


STACK = 64 + 2 * 56
"""Of a library made by hand."""


def _symbols_at(data: bytes) -> int:
    return int(Elf(data).dynamic[6][0])


@pytest.mark.parametrize(
    ("at", "field", "shown"),
    [
        (4, b"\x10", ("shown",)),
        (5, b"\2", ()),  # hidden
        (5, b"\3", ("shown",)),  # protected
        (4, b"\0", ()),  # local
        (6, b"\xf1\xff", ()),  # absolute
    ],
)
def test_only_what_others_can_bind_to_is_exported(at: int, field: bytes, shown: tuple[str, ...]) -> None:
    data = bytearray(elf_library({}, exports=["shown"]))
    row = _symbols_at(bytes(data)) + 24
    data[row + at : row + at + len(field)] = field
    assert read_elf(bytes(data), "a.so").exports == shown


@pytest.mark.parametrize(("kind", "flags", "executable"), [(0x6474E551, 6, False), (0x6474E551, 7, True), (1, 6, True)])
def test_a_stack_is_executable_where_no_header_says_otherwise(kind: int, flags: int, *, executable: bool) -> None:
    data = bytearray(elf_library({}))
    struct.pack_into("<II", data, STACK, kind, flags)
    assert read_elf(bytes(data), "a.so").executable_stack == executable
    struct.pack_into("<H", data, 18, 183)  # aarch64: there, glibc takes no word for "not executable"
    assert read_elf(bytes(data), "a.so").executable_stack == (executable and kind != 1)


def test_only_dynamic_symbols_have_versions() -> None:
    """Names of one length, exchanged: the same rows as another table."""
    data = elf_library({"memcpy": ("libc.so.6", "GLIBC_2.14")})
    assert [it.version for it in Elf(data).symbols(".dynsym")] == [2]
    assert [it.version for it in Elf(data.replace(b".dynsym\0", b".symtab\0")).symbols(".symtab")] == [1]


def test_rows_that_share_one_long_name_are_bounded() -> None:
    data = bytearray(elf_library({"a" * 900_000: None, **dict.fromkeys(map(str, range(150)))}))
    start = _symbols_at(bytes(data))
    for row in range(start + 48, start + 48 + 24 * 150, 24):
        data[row : row + 4] = data[start + 24 : start + 28]
    with pytest.raises(AuditError, match="elf-strings"):
        read_elf(bytes(data), "a.so")


def _without_headers(data: bytes) -> bytes:
    return data[:40] + bytes(8) + data[48:58] + bytes(6) + data[64:]


def _with_lies(data: bytes) -> bytes:
    """Every section said to be elsewhere, and larger than the file; names, kinds and links exchanged."""
    lying = bytearray(data)
    (at,), (count,) = struct.unpack_from("<Q", data, 40), struct.unpack_from("<H", data, 60)
    for number in range(count):
        struct.pack_into(
            "<IIQQQQII", lying, at + 64 * number, number, 11, 2, 0, len(data) * number, len(data), number, 0
        )
    return bytes(lying)


def _with_short_tables(data: bytes) -> bytes:
    """One symbol and one entry fewer each than the loader reads."""
    short = bytearray(data)
    (at,), (count,) = struct.unpack_from("<Q", data, 40), struct.unpack_from("<H", data, 60)
    for header in range(at, at + 64 * count, 64):
        kind, size = struct.unpack_from("<I", data, header + 4)[0], struct.unpack_from("<Q", data, header + 32)[0]
        if kind in {6, 11}:
            struct.pack_into("<Q", short, header + 32, size - (16 if kind == 6 else 24))
    return bytes(short)


@pytest.mark.parametrize("change", [_without_headers, _with_lies, _with_short_tables])
@pytest.mark.parametrize("path", [*SYSTEM, None], ids=lambda path: path.name if path else "made")
def test_what_section_headers_say_changes_nothing_that_the_loader_reads(
    path: Path | None, change: Callable[[bytes], bytes]
) -> None:
    imports = {"memcpy": ("libc.so.6", "GLIBC_2.14"), "own": None}
    data = path.read_bytes() if path else elf_library(imports, exports=["shown"])
    changed, honest = read_elf(change(data), "a.so"), read_elf(data, "a.so")
    assert honest.exports
    assert replace(changed, compilers=honest.compilers) == honest


def _renamed(data: bytes, places: Mapping[int, int]) -> bytes:
    """With the names of sections, by number, at other places of their table."""
    changed = bytearray(data)
    (at,) = struct.unpack_from("<Q", data, 40)
    for number, place in places.items():
        struct.pack_into("<I", changed, at + 64 * number, place)
    return bytes(changed)


@pytest.mark.parametrize(
    "change",
    [
        lambda data, names: _renamed(data, {1: names.index(b".rela.made") + 5}),  # as linkers share ends of names
        lambda data, names: _renamed(data, {1: names.index(b".other"), 2: names.index(b".other")}),
        lambda data, names: _renamed(data, {1: len(names) + 9}),
        lambda data, names: _renamed(data, {1: names.rindex(b"\0")}),
        lambda data, names: data.replace(names, names[:-1] + b"x"),
    ],
    ids=["shared-end", "repeated", "outside", "empty", "endless"],
)
def test_one_section_is_what_all_of_them_say(change: Callable[[bytes, bytes], bytes]) -> None:
    """Found by the place of its name, without taking every name out of the table."""
    content = {".other": bytes(5), ".rela.made": bytes(6), ".made": bytes(7), ".x": bytes(8)}
    data = elf_library({}, sections=content)
    names = bytes(Elf(data).at(struct.unpack_from("<H", data, 62)[0]).data)
    changed = change(data, names)

    def asked(name: str, *, alone: bool) -> int | str | None:
        elf = Elf(changed, errors="replace")
        try:
            found = elf.section(name) if alone else elf.sections.get(name)
        except ValueError as error:
            return str(error)
        return None if found is None else found.size

    for name in (*content, "", ".none", ".shstrtab"):
        assert asked(name, alone=True) == asked(name, alone=False), name


def test_a_library_that_exports_nothing_has_no_hash_to_count_by() -> None:
    """Its DT_GNU_HASH is empty, as GNU ld and lld write it: relocations tell how far the table goes."""
    gnu = struct.pack("<IIIIQI", 1, 1, 1, 7, 0, 0)
    rela = struct.pack("<QQQQQQ", 64, 1 << 32 | 6, 0, 72, 2 << 32 | 6, 0)
    data = bytearray(elf_library({"first": None, "last": None}, sections={".gnu": gnu, ".rela": rela}))
    dynamic = {tag: values[0] for tag, values in Elf(bytes(data)).dynamic.items()}
    # In place of DT_HASH, DT_SONAME and DT_INIT_ARRAYSZ.
    for old, new in {4: (0x6FFFFEF5, data.index(gnu)), 14: (7, data.index(rela)), 27: (8, len(rela))}.items():
        struct.pack_into("<qQ", data, data.index(struct.pack("<qQ", old, dynamic[old])), *new)
    assert [it.name for it in read_elf(bytes(data), "a.so").imports] == ["first", "last"]


def test_a_library_that_is_cut_short_is_refused() -> None:
    data = elf_library({}, sections={".text": bytes(4096)})
    with pytest.raises(AuditError, match="a segment ends at byte"):
        read_elf(_without_headers(data)[:4000], "a.so")


def test_what_the_loader_does_with_a_library() -> None:
    """DT_RPATH apart from DT_RUNPATH, empty entries, text relocations, versions of what is exported."""
    library = read_elf(bytes(elf_library({}, exports=["shown"], search_path="$ORIGIN::/opt")), "a.so")
    assert (library.rpath, library.runpath, library.search_path) == (None, "$ORIGIN::/opt", ("$ORIGIN", "/opt"))
    old = elf_library({}, search_path="a:b").replace(struct.pack("<q", 29), struct.pack("<q", 15))
    assert (read_elf(old, "a.so").rpath, read_elf(old, "a.so").runpath) == ("a:b", None)
    data = elf_library({})
    for tag, value, text, now in [
        (22, 0, True, False),
        (30, 4, True, False),
        (30, 8, False, True),
        (24, 0, False, True),
    ]:
        changed = bytearray(data)
        struct.pack_into("<qQ", changed, data.index(struct.pack("<qQ", 27, 16)), tag, value)
        found = read_elf(bytes(changed), "a.so")
        assert (found.text_relocations, found.bind_now) == (text, now)
    symbols = [LibrarySymbol("f", version, SymbolKind.FUNCTION) for version in ("V_1", "V_2")]
    versioned = read_elf(stub_library("a.so", "x86_64", symbols), "a.so")
    assert versioned.versions == ("V_1", "V_2")
    assert (versioned.exports, dict(versioned.export_versions)) == (("f",), {"f": ("V_1", "V_2")})


@pytest.mark.parametrize("path", SYSTEM[:1], ids=lambda path: path.name)
def test_programs_and_their_compilers(path: Path) -> None:
    libc = read_elf(path.read_bytes(), path.name)
    assert libc.program
    assert "memcpy" in libc.ifuncs
    python = read_elf(Path(sys.executable).read_bytes(), "python")
    assert any("GCC" in compiler or "clang" in compiler for compiler in python.compilers)
