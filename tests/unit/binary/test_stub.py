"""Stub libraries: what is in their bytes, read by pyelftools and by our own reader."""

from __future__ import annotations

import io

import pytest
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

from gpuwheel.binary.elf import MACHINES
from gpuwheel.binary.stub import stub_library
from gpuwheel.model.symbols import LibrarySymbol, SymbolKind
from gpuwheel.toolchain.linking.system_libraries import exported_symbols

FUNCTION, OBJECT, THREAD_LOCAL = SymbolKind.FUNCTION, SymbolKind.OBJECT, SymbolKind.THREAD_LOCAL

SYMBOLS = (
    LibrarySymbol("clog", "V_1", OBJECT, 272),
    LibrarySymbol("cout", "V_1", OBJECT, 272),
    LibrarySymbol("open", "V_1", FUNCTION, default=False),
    LibrarySymbol("open", "V_2", FUNCTION),
    LibrarySymbol("state", "V_2", THREAD_LOCAL, 8),
    LibrarySymbol("typeinfo", "V_1", OBJECT, 24, weak=True),
)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_what_is_written_is_what_is_read(machine: str) -> None:
    data = stub_library("libold.so.1", machine, reversed(SYMBOLS))
    assert exported_symbols(data, "libold.so.1") == SYMBOLS
    assert data == stub_library("libold.so.1", machine, SYMBOLS), "the order of the symbols shows in the bytes"


def test_no_two_symbols_share_an_address() -> None:
    # GNU ld 2.40 takes a weak symbol for an alias of another one at its address, and then crashes (elfxx-x86.c:546).
    table = ELFFile(io.BytesIO(stub_library("libold.so.1", "x86_64", SYMBOLS))).get_section_by_name(".dynsym")
    assert table is not None
    places = [(symbol["st_shndx"], symbol["st_value"]) for symbol in list(table.iter_symbols())[1:]]
    assert len(set(places)) == len(SYMBOLS)


@pytest.mark.parametrize(("machine", "code"), [("x86_64", "EM_X86_64"), ("aarch64", "EM_AARCH64")])
def test_a_stub_is_a_library_with_a_name_and_nothing_else(machine: str, code: str) -> None:
    elf = ELFFile(io.BytesIO(stub_library("libtorch.so", machine)))
    assert machine in MACHINES
    assert (elf["e_type"], elf["e_machine"]) == ("ET_DYN", code)
    dynamic = elf.get_section_by_name(".dynamic")
    assert isinstance(dynamic, DynamicSection)
    assert [tag.soname for tag in dynamic.iter_tags("DT_SONAME")] == ["libtorch.so"]
    assert list(dynamic.iter_tags("DT_NEEDED")) == []
    assert elf.get_section_by_name(".dynsym").num_symbols() == 1
    assert {segment["p_type"] for segment in elf.iter_segments()} == {"PT_LOAD", "PT_DYNAMIC"}
