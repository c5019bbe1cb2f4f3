"""What did not change is not compiled again, and the wheel is the same file as if it had been."""

from __future__ import annotations

import io
import os
import re
import shutil
import time
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from elftools.elf.elffile import ELFFile

from gpuwheel.toolchain.cuda.parts import read_parts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Project

pytestmark = [pytest.mark.compiler, pytest.mark.network]

KEPT = "libraries are taken from the cache"
OBJECT = "1 object is taken from the cache"
NVCC = "Building CUDA object"


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., tuple[str, bytes]]:
    """Build a project, and say what the log said and what the wheel is."""
    numbers = iter(range(100))

    def run(project: Project, settings: dict[str, str] | None = None) -> tuple[str, bytes]:
        out = tmp_path / f"out-{next(numbers)}"
        result = project.build(out, settings)
        assert result.code == 0, result.output
        (wheel,) = out.glob("*.whl")
        return result.output, wheel.read_bytes()

    return run


PAIR = """
__global__ void {name}_kernel(int* x) {{ *x = {value}; }}
extern "C" const char* plain_{name}() {{ {name}_kernel<<<1, 1>>>(nullptr); return "{where}"; }}
"""


def test_a_source_that_did_not_change_is_not_compiled(
    project: Callable[[str], Project], build: Callable[..., tuple[str, bytes]], tmp_path: Path
) -> None:
    plain = project("plain")
    plain.replace("pyproject.toml", 'rdc = true\nlibraries = ["cublasLt"]\n', "")
    plain.replace("pyproject.toml", '\n[tool.gpuwheel.sources."csrc/hopper.cu"]\narchs = ["9.0a"]\n', "")
    for source in (plain.root / "csrc").iterdir():
        source.unlink()
    for name in ("first", "second"):
        (plain.root / "csrc" / f"{name}.cu").write_text(PAIR.format(name=name, value=1, where=tmp_path))
    log, whole = build(plain)
    assert log.count(NVCC) == 2
    log, again = build(plain)
    assert KEPT in log
    assert again == whole
    elsewhere = replace(plain, root=tmp_path / "elsewhere" / "plain")
    shutil.copytree(plain.root, elsewhere.root)
    log, there = build(elsewhere)
    assert KEPT in log
    assert there == whole

    plain.replace("csrc/first.cu", "*x = 1", "*x = 2")
    log, mixed = build(plain)
    assert OBJECT in log
    assert log.count(NVCC) == 1
    assert mixed != whole
    assert build(plain, {"build-dir": str(tmp_path / "whole")})[1] == mixed


@pytest.mark.heavy
def test_relocatable_device_code_is_linked_from_sources(
    project: Callable[[str], Project], build: Callable[..., tuple[str, bytes]], tmp_path: Path
) -> None:
    plain = project("plain")
    plain.replace("pyproject.toml", 'libraries = ["cublasLt"]\n', "")
    plain.replace("csrc/api.cu", "#include <cublasLt.h>\n", "")
    plain.replace("csrc/api.cu", "unsigned long plain_cublaslt_version() { return cublasLtGetVersion(); }\n", "")
    source = plain.root / "csrc" / "api.cu"
    for note in (tmp_path, "again"):
        source.write_text(f'{source.read_text()}static_assert(true, "{note}");\n')
        log, first = build(plain)
        assert log.count(NVCC) == len(list((plain.root / "csrc").glob("*.cu")))
        log, second = build(plain)
        assert KEPT in log
        assert second == first


TOLD = """\
#include <cuda_runtime_api.h>
__global__ void kernel(int* x) { *x = 1; }
extern "C" int plain_version() { kernel<<<1, 1>>>(nullptr); return CUDART_VERSION; }
extern "C" int plain_other() { return 2; }
"""

OLD = 2.1  # seconds, after which a file of the machine counts as one that nobody changes while it is read


def _symbols(wheel: bytes) -> set[str]:
    library = zipfile.ZipFile(io.BytesIO(wheel)).read("nv_plain/libplain.so")
    symbols = ELFFile(io.BytesIO(library)).get_section_by_name(".dynsym")
    return {one.name for one in symbols.iter_symbols() if one["st_shndx"] != "SHN_UNDEF"}


def test_exports_and_headers_of_a_toolkit_of_the_machine(
    project: Callable[[str], Project], build: Callable[..., tuple[str, bytes]], tmp_path: Path, cache: Path
) -> None:
    plain = project("plain")
    plain.replace("pyproject.toml", 'rdc = true\nlibraries = ["cublasLt"]\n', 'exports = ["plain_version"]\n')
    plain.replace("pyproject.toml", '\n[tool.gpuwheel.sources."csrc/hopper.cu"]\narchs = ["9.0a"]\n', "")
    for source in (plain.root / "csrc").iterdir():
        source.unlink()
    (plain.root / "csrc" / "told.cu").write_text(f'static_assert(true, "{tmp_path}");\n{TOLD}')
    log, pinned = build(plain)
    version = re.search(r"nvcc +CUDA (\S+)", log)
    assert version
    assert _symbols(pinned) == {"plain_version"}
    plain.replace("pyproject.toml", '["plain_version"]', '["plain_version", "plain_other"]')
    log, wider = build(plain)
    assert _symbols(wider) == {"plain_version", "plain_other"}
    assert OBJECT in log, "what is exported reaches no object"

    # The same toolkit as one of the machine, whose headers may change at any time.
    # Of a toolkit for another CPU each program is a link: its own folder has the libraries of this machine.
    roots = {path.resolve().parent.parent for path in (cache / "v1" / "toolchains").rglob("bin/nvcc")}
    root = next(root for root in roots if str(read_parts(root)["nvcc"]) == version[1])
    toolkit = tmp_path / "toolkit"
    shutil.copytree(root, toolkit, copy_function=os.link, symlinks=True)
    own = replace(plain, environ={**plain.environ, "CUDA_HOME": str(toolkit)})
    time.sleep(OLD)
    assert build(own)[1]
    assert KEPT in build(own)[0]
    header = toolkit / "include" / "cuda_runtime_api.h"
    text = header.read_text(encoding="utf-8")
    header.unlink()
    header.write_text(f"{text}\n#define TOLD 1\n", encoding="utf-8")
    assert NVCC in build(own)[0]
    shadow = toolkit / "include" / "stdlib.h"
    shadow.write_text("#include_next <stdlib.h>\n", encoding="utf-8")
    time.sleep(OLD)
    assert NVCC in build(own)[0]
    assert KEPT in build(own)[0]
