"""Stand-ins for shared libraries: what an older library has, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpuwheel._cache import Cache
from gpuwheel.binary.stub import stub_library
from gpuwheel.errors import ToolchainError
from gpuwheel.index.context import Context
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.model.symbols import LibrarySymbol, SymbolKind
from gpuwheel.model.toolchain import HostCompiler
from gpuwheel.toolchain.linking.link_stubs import find_link_stubs
from gpuwheel.toolchain.linking.system_libraries import as_older, exported_symbols

FUNCTION = SymbolKind.FUNCTION


def test_an_older_library_lacks_newer_versions_and_its_newest_is_the_default() -> None:
    symbols = (
        LibrarySymbol("both", "V_3.4", FUNCTION, default=False),
        LibrarySymbol("both", "V_3.4.9", FUNCTION, default=False),
        LibrarySymbol("both", "V_3.4.21", FUNCTION),
        LibrarySymbol("newer", "V_3.4.21", FUNCTION),
        LibrarySymbol("withdrawn", "V_3.4", FUNCTION, default=False),
        LibrarySymbol("unversioned", None, FUNCTION),
    )
    older = as_older(symbols, lambda version: version in {"V_3.4", "V_3.4.9"})
    assert {(symbol.name, symbol.version, symbol.default) for symbol in older} == {
        ("both", "V_3.4", False),
        ("both", "V_3.4.9", True),
        ("withdrawn", "V_3.4", True),
    }


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"INPUT ( libc.so.6 )", stub_library("libempty.so", "x86_64")])
def test_a_library_that_cannot_be_read_is_named(data: bytes) -> None:
    with pytest.raises(ToolchainError, match=r"libodd\.so is not a readable shared library"):
        exported_symbols(data, "libodd.so")


# --- What is refused --------------------------------------------------------------------------------------------------


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(Cache(tmp_path / "cache"), {"PATH": os.environ["PATH"]}, SilentReporter())


def compiler(folder: Path, *, target: str = "x86_64-linux-gnu", files: str = "", macros: str = "") -> HostCompiler:
    """A program that answers as a compiler does: `files` it has, `macros` its C library defines."""
    program = folder / "compiler"
    program.write_text(
        "#!/bin/sh\n"
        'for word in "$@"; do case "$word" in\n'
        '  -print-file-name=*) name="${word#*=}"; case " ' + files + ' " in\n'
        f'    *" $name "*) echo "{folder}/$name";; *) echo "$name";; esac; exit;;\n'
        f"  -dM) printf '{macros}'; exit;;\n"
        "esac; done\nexit 1\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    for name in files.split():
        (folder / name).write_bytes(b"")
    return HostCompiler(program, "c++ 1.0", target, "test")


@pytest.mark.parametrize("target", ["x86_64-alpine-linux-musl", "riscv64-linux-gnu", "x86_64-w64-mingw32"])
def test_a_compiler_for_another_kind_of_system(tmp_path: Path, context: Context, target: str) -> None:
    with pytest.raises(ToolchainError, match=f"the C\\+\\+ compiler is for {target}"):
        find_link_stubs("manylinux_2_28", compiler(tmp_path, target=target), context=context)


@pytest.mark.parametrize("platform", ["manylinux_2_12", "manylinux_2_99", "musllinux_1_2"])
def test_a_platform_that_no_stubs_are_made_for(tmp_path: Path, context: Context, platform: str) -> None:
    with pytest.raises(
        ToolchainError, match=rf"{platform}.*expected one of manylinux_2_17, .*manylinux_2_28"
    ) as caught:
        find_link_stubs(platform, compiler(tmp_path), context=context)
    assert caught.value.hint == 'platform = "manylinux_2_17"'


def test_a_compiler_without_its_static_library(tmp_path: Path, context: Context) -> None:
    with pytest.raises(ToolchainError, match=r"static C\+\+ library .*libstdc\+\+\.a") as caught:
        find_link_stubs("manylinux_2_28", compiler(tmp_path, files="libstdc++.so.6"), context=context)
    assert "libstdc++-static" in (caught.value.hint or "")


def test_a_compiler_without_libstdcxx(tmp_path: Path, context: Context) -> None:
    with pytest.raises(ToolchainError, match=r"no shared C\+\+ library .*libstdc\+\+\.so\.6"):
        find_link_stubs("manylinux_2_28", compiler(tmp_path, files="libstdc++.a"), context=context)


def test_a_compiler_for_another_c_library(tmp_path: Path, context: Context) -> None:
    host = compiler(tmp_path, files="libstdc++.a libstdc++.so.6", macros="#define __linux__ 1\\n")
    with pytest.raises(ToolchainError, match="is not glibc"):
        find_link_stubs("manylinux_2_28", host, context=context)


def test_a_compiler_that_cannot_compile_leaves_nothing_in_the_cache(tmp_path: Path, context: Context) -> None:
    macros = "#define __GLIBC__ 2\\n#define __GLIBC_MINOR__ 36\\n"
    host = compiler(tmp_path, files="libstdc++.a libstdc++.so.6", macros=macros)
    Path(tmp_path / "libstdc++.so.6").write_bytes(
        stub_library("libstdc++.so.6", "x86_64", [LibrarySymbol("open", "V_1", FUNCTION)])
    )
    with pytest.raises(ToolchainError, match="does not compile the functions that manylinux_2_28 lacks"):
        find_link_stubs("manylinux_2_28", host, context=context)
    assert not list((tmp_path / "cache").rglob("stubs-*_x86_64-*/*"))
