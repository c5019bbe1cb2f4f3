"""What builds put beside the sources for `abi = "compat"` is no file of the project's, and goes into no wheel twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel.compile.compat.module_text import module_text
from gpuwheel.compile.compat.stub_file import unknown_stub
from gpuwheel.config import load_config, product_patterns
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = """
[project]
name = "ops"
version = "1"
requires-python = ">=3.10"
dynamic = ["dependencies"]
[tool.gpuwheel.extensions."ops._C"]
mode = "nvcc"
abi = "compat"
sources = ["ops.cpp"]
"""
FOUR = {"ops/_C.py", "ops/_C.pyi", "ops/_C.so", "ops/lib_C.so"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "src" / "ops").mkdir(parents=True)
    (tmp_path / "src" / "ops" / "__init__.py").touch()
    (tmp_path / "ops.cpp").touch()
    (tmp_path / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    return tmp_path


def test_all_four_files_of_a_build_stay_out_of_the_next_one(root: Path) -> None:
    for name, data in {"_C.py": module_text("ops._C"), "_C.pyi": unknown_stub(), "_C.so": b"", "lib_C.so": b""}.items():
        (root / "src" / "ops" / name).write_bytes(data)
    config = load_config(root, environ={})
    assert set(product_patterns(config.settings, root)) >= FOUR
    assert {f"**/{name}" for name in FOUR} <= set(config.inner["sdist.exclude"])


def test_a_stub_of_the_projects_own_is_shipped(root: Path) -> None:
    (root / "src" / "ops" / "_C.pyi").write_text("def f() -> None: ...\n", encoding="utf-8")
    patterns = product_patterns(load_config(root, environ={}).settings, root)
    assert FOUR - set(patterns) == {"ops/_C.pyi"}


def test_a_module_of_the_projects_own_is_in_the_way(root: Path) -> None:
    (root / "src" / "ops" / "_C.py").write_text("import torch\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"src/ops/_C\.py has the name of the module"):
        load_config(root, environ={})
