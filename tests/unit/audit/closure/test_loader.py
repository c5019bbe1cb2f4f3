"""What the loader finds, library by library: ld.so(8)."""

from __future__ import annotations

from functools import partial

import pytest
from elf_files import Library
from packaging.version import Version

from gpuwheel.audit.closure.loader import Loader
from gpuwheel.audit.closure.worlds import World
from gpuwheel.binary.elf import ElfFile, read_elf
from gpuwheel.compatibility.distributions.releases import Content, Release


def _library(name: str, *needed: str, soname: str | None = None, **paths: str | None) -> ElfFile:
    return read_elf(bytes(Library(needed=needed, soname=soname, **paths)), name)  # type: ignore[arg-type]


def _world(**brought: dict[str, tuple[str, ...]]) -> World:
    releases = {
        name: Release(name, Version("1"), partial(Content, folders, (), frozenset()))
        for name, folders in brought.items()
    }
    return World(releases, frozenset())


BLAS = _world(blas={"nv/blas/lib": ("libblas.so.12", "libblasLt.so.12")})
TO_BLAS = "$ORIGIN/../nv/blas/lib"


@pytest.mark.parametrize(
    ("libraries", "missing"),
    [
        ([_library("ops/_C.so", "libblas.so.12", runpath=TO_BLAS)], []),
        ([_library("ops/_C.so", "libblas.so.12")], ["libblas.so.12"]),
        # What came with a library of the same distribution is loaded.
        ([_library("ops/_C.so", "libblas.so.12", "libblasLt.so.12", runpath=TO_BLAS)], []),
        # Breadth first: the module has loaded it before the library that it brings asks.
        (
            [
                _library("ops/_C.so", "libinner.so", "libblas.so.12", runpath=f"$ORIGIN:{TO_BLAS}"),
                _library("ops/libinner.so", "libblas.so.12"),
            ],
            [],
        ),
        # Two levels below, DT_RPATH still counts, and not where one of the libraries has DT_RUNPATH itself.
        (
            [
                _library("ops/_C.so", "liba.so", rpath=f"$ORIGIN:{TO_BLAS}"),
                _library("ops/liba.so", "libb.so"),
                _library("ops/libb.so", "libblas.so.12"),
            ],
            [],
        ),
        (
            [
                _library("ops/_C.so", "liba.so", rpath=f"$ORIGIN:{TO_BLAS}"),
                _library("ops/liba.so", "libblas.so.12", runpath="$ORIGIN"),
            ],
            ["libblas.so.12"],
        ),
        # A SONAME that is loaded counts, whatever its file is called.
        (
            [
                _library("ops/_C.so", "fast.so", "libuser.so", runpath="$ORIGIN"),
                _library("ops/fast.so", soname="libfast.so.1"),
                _library("ops/libuser.so", "libfast.so.1"),
            ],
            [],
        ),
        # Another process: what one module has loaded, another does not have.
        (
            [
                _library("ops/_A.so", "libfast.so", runpath="$ORIGIN"),
                _library("ops/_B.so", "libfast.so"),
                _library("ops/libfast.so"),
            ],
            ["libfast.so"],
        ),
        # Circles have no beginning, and each end finds the other.
        ([_library("ops/liba.so", "libb.so", runpath="$ORIGIN"), _library("ops/libb.so", "liba.so")], []),
    ],
)
def test_libraries_are_found_as_the_loader_finds_them(libraries: list[ElfFile], missing: list[str]) -> None:
    assert [it.soname for it in Loader(libraries, given={"libc.so.6"}).missing(BLAS)] == missing


def test_what_is_imported_first_is_loaded_for_modules_and_not_for_programs() -> None:
    torch = _world(torch={"torch/lib": ("libtorch.so",)})
    program = bytes(Library(needed=("libtorch.so",), soname=None))
    # PT_INTERP (3) in place of PT_GNU_STACK, the third of its segments.
    program = program[: 64 + 2 * 56] + b"\3\0\0\0" + program[64 + 2 * 56 + 4 :]
    made = [_library("ops/_C.so", "libtorch.so"), read_elf(program, "ops/bin/tool")]
    missing = Loader(made, given=(), first={"torch": frozenset()}).missing(torch)
    assert [(it.soname, it.needed_by) for it in missing] == [("libtorch.so", "ops/bin/tool")]


def test_a_library_for_another_machine_is_passed_over() -> None:
    made = [_library("ops/_C.so", "libfast.so", runpath="$ORIGIN")]
    made.append(read_elf(bytes(Library(needed=(), soname=None, machine="aarch64")), "ops/libfast.so"))
    assert [it.soname for it in Loader(made, given=()).missing(BLAS)] == ["libfast.so"]
