"""Existing CUDA sources for aarch64, compiled on another machine by the same nvcc."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from old_system import without_preload

from gpuwheel._cache import Cache
from gpuwheel._run import run
from gpuwheel.audit import audit_wheel
from gpuwheel.binary.elf import ElfFile, read_elf
from gpuwheel.compatibility import load_tables
from gpuwheel.model.findings import Severity
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.model.versions import MinorVersion
from gpuwheel.toolchain import Context
from gpuwheel.toolchain.cuda.toolkit import find_cuda_toolkit

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Project, Wheel

pytestmark = [pytest.mark.compiler, pytest.mark.network, pytest.mark.cross]

CROSS = "aarch64-linux-gnu-g++"
TAG = "py3-none-manylinux_2_28_aarch64"

DRIVER = Path(__file__).resolve().parents[1] / "old_glibc" / "driver.c"


@pytest.fixture
def plain(project: Callable[[str], Project]) -> Project:
    """The plain library, without relocatable device code and without cuBLASLt: compiled in seconds."""
    plain = project("plain")
    plain.replace("pyproject.toml", 'rdc = true\nlibraries = ["cublasLt"]\n', "")
    plain.replace("csrc/api.cu", "#include <cublasLt.h>\n", "")
    plain.replace("csrc/api.cu", "unsigned long plain_cublaslt_version() { return cublasLtGetVersion(); }\n", "")
    plain.replace("csrc/api.cu", "float square(float x);", "float square(float x) { return x * x; }")
    (plain.root / "csrc" / "square.cu").unlink()
    return plain


def library(wheel: Wheel, name: str) -> ElfFile:
    return read_elf((wheel.root / name).read_bytes(), name)


def fatbins(library: ElfFile) -> list[bytes]:
    """The containers of device code, without what aligns them: a header says how long it is and what follows."""
    data, at, found = bytes(library.sections[".nv_fatbin"]), 0, []
    while (at := data.find((0xBA55ED50).to_bytes(4, "little"), at)) >= 0:
        length = int.from_bytes(data[at + 6 : at + 8], "little") + int.from_bytes(data[at + 8 : at + 16], "little")
        found.append(data[at : at + length])
        at += length
    return found


def refusals(wheel: Wheel) -> list[str]:
    found = audit_wheel(wheel.path, load_tables())
    return [f"{finding.rule}: {finding.problem}" for finding in found if finding.severity is Severity.ERROR]


def test_a_plain_library_for_another_machine(plain: Project, tmp_path: Path) -> None:
    wheel = plain.wheel(tmp_path / "cross", CXX=CROSS)
    assert wheel.tag == TAG
    assert refusals(wheel) == []
    found = library(wheel, "nv_plain/libplain.so")
    assert found.machine == "aarch64"
    assert int.from_bytes((wheel.root / "nv_plain/libplain.so").read_bytes()[18:20], "little") == 183  # EM_AARCH64
    assert set(found.exports) == {"plain_version", "plain_device_count", "plain_squares", "plain_hopper"}
    assert not [symbol.name for symbol in found.imports if symbol.version is None and not symbol.weak]
    # auditwheel searches the folders of ld.so.conf otherwise, among them those of a system CUDA toolkit.
    command = [sys.executable, "-m", "auditwheel", "show", "--ldpaths", "/usr/aarch64-linux-gnu/lib", wheel.path]
    assert "aarch64" in run(command).stdout

    # Objects of one machine are not taken for those of another, in either order, and both keep their own.
    native = plain.wheel(tmp_path / "native")
    assert library(native, "nv_plain/libplain.so").machine != "aarch64"
    again = plain.build(tmp_path / "again", CXX=CROSS)
    assert "libraries are taken from the cache" in again.output
    assert (tmp_path / "again" / wheel.path.name).read_bytes() == wheel.path.read_bytes()

    here = library(native, "nv_plain/libplain.so")
    assert len(fatbins(found)) == 2  # one for each source
    assert fatbins(found) == fatbins(here), "device code depends on the machine"
    assert (native.root / "nv_plain/_kernels.json").read_bytes() == (wheel.root / "nv_plain/_kernels.json").read_bytes()


@pytest.mark.qemu
def test_it_runs(plain: Project, tmp_path: Path) -> None:
    wheel = plain.wheel(tmp_path / "out", CXX=CROSS)
    driver = tmp_path / "driver"
    run(["aarch64-linux-gnu-gcc", DRIVER, "-o", driver, "-ldl"])
    libc = run([CROSS, "-print-file-name=libc.so.6"]).stdout.strip()
    emulator = shutil.which("qemu-aarch64-static") or "qemu-aarch64"
    command = [emulator, "-L", Path(libc).resolve().parents[1], driver, wheel.root / "nv_plain/libplain.so"]
    called = run([*command, "plain_version", "plain_device_count"], env=without_preload())
    assert called.stdout.split() == ["plain_version", "7", "plain_device_count", "0"]


@pytest.mark.heavy
@pytest.mark.parametrize("cuda", [str(row.version) for row in load_tables().cuda.values() if row.nvcc])
def test_relocatable_device_code_and_a_library_of_the_toolkit(
    cuda: str, project: Callable[[str], Project], tmp_path: Path
) -> None:
    wheel = project("plain").wheel(tmp_path / "out", {"gpuwheel.cuda": cuda}, CXX=CROSS)
    assert wheel.tag == TAG
    assert "libcublasLt.so.13" in library(wheel, "nv_plain/libplain.so").needed
    assert refusals(wheel) == []


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["stable", "own", "exact"])
def test_an_extension_for_torch(name: str, project: Callable[[str], Project], tmp_path: Path) -> None:
    wheel = project(name).wheel(tmp_path / "out", CXX=CROSS)
    assert wheel.tag == TAG
    assert library(wheel, f"nv_{name}/_C.so").machine == "aarch64"
    assert "libtorch.so" in library(wheel, f"nv_{name}/_C.so").needed
    assert refusals(wheel) == []


@pytest.mark.heavy
def test_a_module_in_the_limited_api(project: Callable[[str], Project], tmp_path: Path) -> None:
    wheel = project("module").wheel(tmp_path / "out", CXX=CROSS)
    assert wheel.tag == "cp310-abi3-manylinux_2_28_aarch64"
    assert refusals(wheel) == []


@pytest.mark.heavy
def test_a_toolkit_of_the_machine(project: Callable[[str], Project], cache: Path, tmp_path: Path) -> None:
    """In the layout of NVIDIA's packages, with the one for cross-compilation."""
    context, row = Context(Cache(cache), os.environ, SilentReporter()), load_tables().cuda[MinorVersion(13, 0)]
    root = tmp_path / "cuda-13.0"
    (root / "bin").mkdir(parents=True)
    for machine, folder in (("aarch64", "sbsa-linux"), ("x86_64", "x86_64-linux")):
        cuda = find_cuda_toolkit(row, context=context, machine=machine)
        (root / "targets" / folder).mkdir(parents=True)
        (root / "targets" / folder / "include").symlink_to(cuda.root / "include")
        (root / "targets" / folder / "lib").symlink_to(cuda.root / "lib64")
    for name in ("include", "lib"):
        (root / {"lib": "lib64"}.get(name, name)).symlink_to(Path("targets", "x86_64-linux", name))
    for program in (cuda.root / "bin").iterdir():
        (root / "bin" / program.name).symlink_to(program)
    (root / "nvvm").symlink_to(cuda.root / "nvvm")
    result = project("module").build(tmp_path / "out", CXX=CROSS, CUDA_HOME=str(root))
    assert result.code == 0, result.output
    assert "CUDA 13.0 (CUDA_HOME)" in result.output
    assert [path.name for path in (tmp_path / "out").glob("*.whl")] == [
        "nv_module-1.0-cp310-abi3-manylinux_2_28_aarch64.whl"
    ]


def test_a_module_for_one_python_is_compiled_by_that_python(project: Callable[[str], Project], tmp_path: Path) -> None:
    module = project("module")
    module.replace("pyproject.toml", 'python = "abi3"', 'python = "version"')
    result = module.build(tmp_path / "out", CXX=CROSS)
    assert result.code == 5, result.output
    assert (
        "a module for one Python is compiled by that Python (found one for x86_64, expected aarch64)" in result.output
    )
    assert 'set python = "abi3"' in result.output


def test_host_compilers_for_different_machines(project: Callable[[str], Project], tmp_path: Path) -> None:
    result = project("plain").build(tmp_path / "out", CUDAHOSTCXX=CROSS)
    assert result.code == 5, result.output
    assert "CUDAHOSTCXX is not for the machine that is compiled for (found aarch64, expected x86_64)" in result.output
