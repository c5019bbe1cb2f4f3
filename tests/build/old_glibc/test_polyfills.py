"""Every function that an old glibc lacks does what the newer one does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel._resources import resource
from gpuwheel._run import run
from gpuwheel.binary.elf import read_elf
from gpuwheel.compatibility.glibc import glibc_libraries

if TYPE_CHECKING:
    from conftest import Workshop
    from old_system import OldSystem

pytestmark = pytest.mark.compiler

SOURCE = (Path(__file__).parent / "polyfills.cpp").read_text(encoding="utf-8")
CHECKS = [f"check_{name}" for name in re.findall(r"^TEST\((\w+)\)", SOURCE, re.MULTILINE)]


@pytest.fixture(scope="session")
def library(workshop: Workshop) -> Path:
    """With all polyfills: the oldest glibc lacks everything, and libgcc is linked in."""
    return workshop.link(workshop.compile("polyfills.cpp"), "manylinux_2_17", "-static-libgcc")


@pytest.fixture(scope="session")
def defined(workshop: Workshop) -> set[str]:
    """What the archives of polyfills define."""
    archives = workshop.stubs("manylinux_2_17").folder.glob("*.a")
    lines = [line for archive in archives for line in run(["nm", "-g", "--defined-only", archive]).stdout.splitlines()]
    return {words[2] for words in map(str.split, lines) if len(words) == 3}


@pytest.mark.parametrize("check", CHECKS)
def test_it_does_what_it_says(workshop: Workshop, library: Path, check: str) -> None:
    assert workshop.call(library, check) == {check: 0}, "the number is a line of polyfills.cpp"


@pytest.mark.debian
def test_they_do_so_on_an_old_system(workshop: Workshop, library: Path, old_system: OldSystem) -> None:
    assert workshop.call(library, *CHECKS, system=old_system) == dict.fromkeys(CHECKS, 0)


STREAMS = """
#include <ostream>
namespace std { extern ostream cout; }  // as <iostream> of GCC 13, which makes no object in each source
extern "C" void ios_base_library_init() asm("_ZSt21ios_base_library_initv");
static const bool early = static_cast<bool>(std::cout << "early ");
extern "C" __attribute__((visibility("default"))) int check_streams() {
  ios_base_library_init();
  return early && std::cout << "late" << std::endl ? 0 : __LINE__;
}
"""


def test_streams_are_there_before_the_first_constructor(workshop: Workshop) -> None:
    library = workshop.link(workshop.compile(STREAMS), "manylinux_2_28")
    imports = {(symbol.name, symbol.version) for symbol in read_elf(library.read_bytes(), library.name).imports}
    assert ("_ZSt4cout", "GLIBCXX_3.4") in imports, "there is a second std::cout"
    said = run([workshop.driver(), library, "check_streams"])
    assert said.stdout.split() == ["early", "late", "check_streams", "0"]


def test_none_is_asked_of_the_system(library: Path, defined: set[str]) -> None:
    imported = {symbol.name for symbol in read_elf(library.read_bytes(), library.name).imports}
    assert not imported & defined


def test_none_shows(library: Path, defined: set[str]) -> None:
    shown = set(read_elf(library.read_bytes(), library.name).exports)
    assert set(CHECKS) <= shown
    assert not shown & defined


def test_where_the_system_has_them_they_are_not_linked_in(workshop: Workshop) -> None:
    newest = workshop.stubs("manylinux_2_39").glibc
    if (newest.major, newest.minor) < (2, 36):
        pytest.skip("this compiler is for an older system")
    library = workshop.link(workshop.compile("wide.cpp"), "manylinux_2_39")
    imported = {symbol.name for symbol in read_elf(library.read_bytes(), library.name).imports}
    assert {"stat", "pthread_cond_clockwait", "__libc_single_threaded"} <= imported


def test_every_one_is_a_symbol_of_a_newer_library(workshop: Workshop, defined: set[str]) -> None:
    newest = glibc_libraries(workshop.host.machine, (2, 41))
    known = {symbol.name for symbols in newest.values() for symbol in symbols}
    assert defined - known == {"_ZSt21ios_base_library_initv"}  # of libstdc++


def test_every_file_says_what_brought_it() -> None:
    for path in resource("polyfills").rglob("*.c"):
        assert re.search(r"(glibc|libstdc\+\+) \d|of \d\.\d\d", path.read_text(encoding="utf-8")), path
