"""What is linked against stubs asks for no more than the old system has, and runs here and there."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import ProcessFailedError, run
from gpuwheel.audit.platform import platform_tag
from gpuwheel.binary.elf import read_elf
from gpuwheel.compatibility import load_tables
from gpuwheel.compatibility.glibc import glibc_libraries
from gpuwheel.toolchain import find_host_compiler
from gpuwheel.toolchain.linking.link_stubs import find_link_stubs
from gpuwheel.toolchain.linking.system_libraries import exported_symbols

if TYPE_CHECKING:
    from conftest import Workshop
    from old_system import OldSystem

pytestmark = pytest.mark.compiler

MADE_BY_LINKERS = {"_GLOBAL_OFFSET_TABLE_", "__dso_handle", "__real_pthread_create"}
TRANSACTIONS = ("_ITM_", "_ZGTt")  # of libitm, all weak


def tag(library: Path) -> str:
    return platform_tag([read_elf(library.read_bytes(), library.name)], load_tables()).tag


def unprovided(library: Path) -> set[str]:
    """Symbols that nothing is known to provide."""
    imports = read_elf(library.read_bytes(), library.name).imports
    return {symbol.name for symbol in imports if symbol.version is None and not symbol.weak}


def test_without_stubs_this_system_is_asked_for(workshop: Workshop) -> None:
    plain = tag(workshop.link(workshop.compile("wide.cpp"), None))
    old = tag(workshop.link(workshop.compile("wide.cpp"), "manylinux_2_28"))
    assert [policy.tag for policy in load_tables().platforms].index(old) < 7 or plain == old


@pytest.mark.parametrize("platform", ["manylinux_2_17", "manylinux_2_28", "manylinux_2_34"])
def test_wide_use_of_cpp_asks_for_no_more_than_the_platform_has(workshop: Workshop, platform: str) -> None:
    library = workshop.link(workshop.compile("wide.cpp"), platform)
    order = [policy.name for policy in load_tables().platforms if policy.machine == workshop.host.machine]
    found = tag(library).removesuffix(f"_{workshop.host.machine}")
    assert order.index(found) <= order.index(platform)
    assert not unprovided(library)
    assert workshop.call(library, "wide")["wide"] == 0


@pytest.mark.parametrize("linker", ["bfd", "gold", "lld", "mold"])
def test_every_linker_takes_them(workshop: Workshop, linker: str) -> None:
    if shutil.which(f"ld.{linker}") is None:
        pytest.skip(f"no ld.{linker}")
    options = [f"-fuse-ld={linker}", "-Wl,--gc-sections", "-Wl,--fatal-warnings"]
    library = workshop.link(workshop.compile("wide.cpp"), "manylinux_2_28", *options)
    assert not unprovided(library)
    assert workshop.call(library, "wide")["wide"] == 0


def test_clang_takes_them(workshop: Workshop) -> None:
    if shutil.which("clang++") is None:
        pytest.skip("no clang++")
    # Clang looks for a CUDA toolkit on every start.
    environ = {**os.environ, "CXX": "clang++ --cuda-path=/nowhere"}
    clang = replace(workshop, host=find_host_compiler(environ), objects={})
    library = clang.link(clang.compile("wide.cpp"), "manylinux_2_28")
    assert not unprovided(library)
    assert workshop.call(library, "wide")["wide"] == 0


def test_two_libraries_with_their_own_newer_parts_live_in_one_process(workshop: Workshop) -> None:
    library = workshop.link(workshop.compile("wide.cpp"), "manylinux_2_28")
    plain = workshop.link(workshop.compile("wide.cpp"), None)
    own = read_elf(plain.read_bytes(), "plain").exports
    assert set(read_elf(library.read_bytes(), "wide").exports) <= set(own), "what is linked in shows"
    source = f"""
#include <dlfcn.h>
static int call(const char* path) {{
  void* library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  return library ? reinterpret_cast<int (*)()>(dlsym(library, "wide"))() : -2;
}}
extern "C" __attribute__((visibility("default"))) int both() {{
  const int first = call("{plain}");
  return first ? first : call("{library}");
}}
"""
    both = workshop.link(workshop.compile(source), "manylinux_2_28", "-ldl")
    assert workshop.call(both, "both")["both"] == 0


def test_the_table_is_what_this_system_has(workshop: Workshop) -> None:
    """Every symbol that the table has for the glibc of this compiler is in that glibc, in that version."""
    stubs = workshop.stubs("manylinux_2_41") if workshop.host.machine == "x86_64" else workshop.stubs("manylinux_2_36")
    newest = (stubs.glibc.major, stubs.glibc.minor)
    table = glibc_libraries(workshop.host.machine, newest)
    here: set[tuple[str, str | None]] = set()
    for soname in table:
        path = run([*workshop.host.command, f"-print-file-name={soname}"]).stdout.strip()
        if Path(path).is_file():
            symbols = exported_symbols(Path(path).read_bytes(), soname)
            here.update((symbol.name, symbol.version) for symbol in symbols)
    if not here:
        pytest.skip("the compiler does not say where libc is")
    # Withdrawn by glibc 2.25, and from the loader, whose table comes after libc's.
    withdrawn = {"malloc_get_state", "malloc_set_state"}
    for soname, symbols in table.items():
        if not soname.startswith("ld-linux"):
            wanted = {(symbol.name, symbol.version) for symbol in symbols if symbol.name not in withdrawn}
            assert wanted <= here, soname


@pytest.mark.parametrize("platform", ["manylinux_2_17", "manylinux_2_28"])
def test_stubs_and_polyfills_have_all_that_the_static_cpp_runtime_refers_to(workshop: Workshop, platform: str) -> None:
    """Whatever part of libstdc++.a or libgcc.a a source may pull in, nothing stays undefined."""
    folder = workshop.stubs(platform).folder
    asked: set[str] = set()
    defined: set[str] = set()
    archives = ["libstdc++.a", "libgcc.a", "libgcc_eh.a", "libc_nonshared.a", *folder.glob("*.a")]
    for archive in archives:
        path = run([*workshop.host.command, f"-print-file-name={archive}"]).stdout.strip()
        for line in run(["nm", "-g", path]).stdout.splitlines():
            words = line.split()
            if words[:1] == ["U"]:
                asked.add(words[1])
            elif len(words) == 3:
                defined.add(words[2])
    for stub in folder.glob("*.so.*"):
        defined.update(symbol.name for symbol in exported_symbols(stub.read_bytes(), stub.name))
    left = asked - defined - MADE_BY_LINKERS
    assert not {name for name in left if not name.startswith(TRANSACTIONS)}


def test_a_function_that_no_old_system_has_is_an_error_of_the_linker(workshop: Workshop) -> None:
    source = 'extern "C" int pidfd_spawn(); int f() { return pidfd_spawn(); }'
    with pytest.raises(ProcessFailedError, match="failed") as caught:
        workshop.link(workshop.compile(source), "manylinux_2_28")
    assert "pidfd_spawn" in str(caught.value.detail)


def test_the_second_build_takes_them_from_the_cache(workshop: Workshop) -> None:
    first = workshop.stubs("manylinux_2_28")
    second = find_link_stubs("manylinux_2_28", workshop.host, context=workshop.context)
    assert second.found_via == "cache"
    assert (second.folder, second.digest) == (first.folder, first.digest)


def test_a_folder_that_was_moved_still_works(workshop: Workshop, tmp_path: Path) -> None:
    moved = tmp_path / "with a blank"
    shutil.copytree(workshop.stubs("manylinux_2_28").folder, moved)
    run([*workshop.host.command, "-shared", workshop.compile("wide.cpp"), "-o", tmp_path / "a.so", f"-L{moved}"])
    assert tag(tmp_path / "a.so").startswith("manylinux_2_2")


@pytest.mark.debian
@pytest.mark.parametrize("platform", ["manylinux_2_17", "manylinux_2_28"])
def test_it_runs_on_an_old_system(workshop: Workshop, old_system: OldSystem, platform: str) -> None:
    library = workshop.link(workshop.compile("wide.cpp"), platform)
    assert workshop.call(library, "wide", system=old_system)["wide"] == 0


@pytest.mark.debian
def test_without_stubs_it_does_not(workshop: Workshop, old_system: OldSystem) -> None:
    library = workshop.link(workshop.compile("wide.cpp"), None)
    if tag(library) <= f"manylinux_2_31_{workshop.host.machine}":
        pytest.skip("this compiler is for an old system itself")
    said = old_system.run([workshop.driver(), library, "wide"])
    assert "version `GLIBC_2.3" in said.output
