"""Search paths that lead to what requirements bring: libraries that did not load, and load."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run
from gpuwheel.audit.repair import Act, EditsAsked, RepairRequest, repaired
from gpuwheel.audit.repair.library_folders import folder_of, load_library_folders
from gpuwheel.binary.elf import read_elf
from gpuwheel.wheel import Member, read_members, write_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.compatibility import Tables

pytestmark = [pytest.mark.compiler]

INFO = "ops-1.dist-info"
NAME = "ops-1-py3-none-linux_x86_64.whl"
ENVIRON = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
RUNPATH = RepairRequest(edits=EditsAsked(runpath=True), graft=False, environ=ENVIRON)


def shared(path: Path, source: str, *words: str | Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = ["-shared", "-fPIC", f"-Wl,-soname,{path.name}", "-Wl,--no-as-needed"]
    run(["cc", *flags, "-o", path, "-x", "c", "-", "-x", "none", *words], stdin=source)
    return path


def wheel(folder: Path, requires: str, **libraries: Path) -> Path:
    files = {
        **{name.replace("__", "/") + ".so": path.read_bytes() for name, path in libraries.items()},
        f"{INFO}/METADATA": f"Metadata-Version: 2.2\nName: ops\nVersion: 1\nRequires-Dist: {requires}\n".encode(),
        f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: false\nTag: py3-none-linux_x86_64\n",
    }
    write_wheel(folder / NAME, [Member(name, data) for name, data in files.items()])
    return folder / NAME


@pytest.mark.parametrize("flag", ["-Wl,--enable-new-dtags", "-Wl,--disable-new-dtags"])
def test_a_library_finds_what_its_requirement_brings(tmp_path: Path, tables: Tables, flag: str) -> None:
    site = tmp_path / "site"
    cublas = shared(site / "nvidia/cu13/lib/libcublas.so.13", "int half(void) { return 21; }")
    helper = shared(tmp_path / "libops_helper.so", "int two(void) { return 2; }")
    source = "int half(void); int two(void); int answer(void) { return two() * half(); }"
    words = [flag, "-Wl,-rpath,/home/somebody/build:$ORIGIN/plugins:", cublas, helper]
    library = shared(tmp_path / "_C.so", source, *words)
    path = wheel(tmp_path, "nvidia-cublas", ops__sub___C=library, ops__lib__libops_helper=helper)
    result = repaired(path, tmp_path / "out", RUNPATH, tables)
    assert result.path is not None
    assert [edit.member for edit in result.edits if edit.kind == "runpath"] == ["ops/sub/_C.so"]
    mended = read_elf(read_members(result.path)["ops/sub/_C.so"].data, "_C.so")
    expected = ("$ORIGIN/plugins", "$ORIGIN/../../nvidia/cu13/lib", "$ORIGIN/../lib")
    assert mended.search_path == expected
    assert (mended.rpath is None) is (flag == "-Wl,--enable-new-dtags")
    run([sys.executable, "-m", "zipfile", "-e", result.path, site])
    code = f"import ctypes; print(ctypes.CDLL({str(site / 'ops/sub/_C.so')!r}).answer())"
    assert run([sys.executable, "-c", code]).stdout == "42\n"
    again = repaired(result.path, tmp_path / "again", RUNPATH, tables)
    assert (again.act, again.edits) == (Act.KEPT, ())


def test_a_folder_is_only_what_is_known_for_certain(tmp_path: Path, tables: Tables) -> None:
    assert folder_of("libcublas.so.12", "nvidia-cublas-cu12") == "nvidia/cublas/lib"
    assert folder_of("libtorch_cuda.so", "torch") == "torch/lib"
    assert folder_of("libcublas.so.13", "torch") == "nvidia/cu13/lib"  # which torch requires
    assert folder_of("libcurand.so.10", "torch") is None  # of three majors, in three folders
    assert set(load_library_folders().values()) >= {"nvidia/cudnn/lib", "nvidia/nccl/lib"}
    unknown = shared(tmp_path / "libstrange.so.1", "int x;")
    path = wheel(tmp_path, "somebody", ops___C=shared(tmp_path / "_C.so", "int y;", unknown))
    assert repaired(path, tmp_path / "out", RUNPATH, tables).edits[1:] == ()
