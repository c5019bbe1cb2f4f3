"""What did not change is not compiled again, and the wheel is the same file as if it had been."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

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
        source.write_text(f"{source.read_text()}// {note}\n")
        log, first = build(plain)
        assert log.count(NVCC) == len(list((plain.root / "csrc").glob("*.cu")))
        log, second = build(plain)
        assert KEPT in log
        assert second == first
