"""Modules with `abi = "compat"` beside their sources: installed for editing, built again, packed, developed."""

from __future__ import annotations

import os
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from gpuwheel.errors import ConfigError
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.pipeline import Build

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.compiler, pytest.mark.network]

PROJECT = """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"
[project]
name = "placed"
version = "1"
requires-python = ">=3.10"
dynamic = ["dependencies"]
[tool.gpuwheel]
archs = ["8.0"]
[tool.gpuwheel.extensions."placed._C"]
sources = ["csrc/placed.cpp"]
mode = "nvcc"
abi = "compat"
"""
SOURCE = """\
#include <torch/extension.h>
int64_t number() { return 1; }
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("number", &number); }
"""
FOUR = {"_C.py", "_C.pyi", "_C.so", "lib_C.so"}


def test_what_was_put_beside_the_sources_is_in_nobodys_way(tmp_path: Path, compat_cache: Path) -> None:
    root, package = tmp_path / "project", tmp_path / "project" / "src" / "placed"
    environ = {**os.environ, "GPUWHEEL_CACHE_DIR": str(compat_cache)}

    def build(at: Path = root) -> Build:
        return Build(at, environ, {}, SilentReporter())

    for name, text in {
        "pyproject.toml": PROJECT,
        "csrc/placed.cpp": SOURCE,
        "src/placed/__init__.py": "from placed._C import number\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    for out in ("editable", "again", "sdist", "wheels-project", "wheels-placed-1"):
        (tmp_path / out).mkdir()
    build().editable(tmp_path / "editable")
    assert {path.name for path in package.iterdir()} - {"__init__.py"} == FOUR
    # As it was made before, so that nothing of an earlier build is in the wheel by accident.
    (package / "_C.pyi").write_bytes((package / "_C.pyi").read_bytes() + b"# stale\n")
    build().editable(tmp_path / "again")
    assert b"stale" not in (package / "_C.pyi").read_bytes()
    sdist = tmp_path / "sdist" / build().sdist(tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        assert not [name for name in archive.getnames() if name.rpartition("/")[2] in FOUR]
        archive.extractall(tmp_path / "unpacked", filter="data")
    for at in (root, tmp_path / "unpacked" / "placed-1"):
        wheel = tmp_path / f"wheels-{at.name}" / build(at).wheel(tmp_path / f"wheels-{at.name}")
        with zipfile.ZipFile(wheel) as archive:
            inside = [name for name in archive.namelist() if name.startswith("placed/")]
        assert sorted(inside) == sorted(["placed/__init__.py", *(f"placed/{name}" for name in FOUR)])
    for name in FOUR:
        (package / name).unlink()
    build().develop()
    assert {path.name for path in package.iterdir()} - {"__init__.py"} == FOUR
    assert build().develop().changed == ()


def test_a_build_on_import_is_refused_for_it_would_lack_the_module(tmp_path: Path) -> None:
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "placed.cpp").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    build = Build(tmp_path, dict(os.environ), {"editable.rebuild": "true"}, SilentReporter())
    with pytest.raises(ConfigError, match=r"editable\.rebuild has CMake run on import") as caught:
        build.editable(tmp_path)
    assert "gpuwheel dev" in (caught.value.hint or "")
