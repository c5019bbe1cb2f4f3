"""What a build links against: what the project names, or the default where the compiler has what it takes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from heard import Heard

from gpuwheel.compatibility import load_tables
from gpuwheel.config import load_config
from gpuwheel.errors import ToolchainError
from gpuwheel.model.toolchain import HostCompiler
from gpuwheel.pipeline.session import Session
from gpuwheel.plan import plan

if TYPE_CHECKING:
    from pathlib import Path

PYPROJECT = """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"
[project]
name = "tiny-ops"
version = "1"
requires-python = ">=3.10"
dynamic = ["dependencies"]
[tool.gpuwheel.extensions."tiny_ops._C"]
sources = ["ops.cpp"]
"""


@pytest.fixture
def bare_compiler(tmp_path: Path) -> HostCompiler:
    """A compiler that has none of its libraries."""
    program = tmp_path / "compiler"
    program.write_text("#!/bin/sh\necho nowhere\n", encoding="utf-8")
    program.chmod(0o755)
    return HostCompiler(program, "compiler 1.0", "x86_64-linux-gnu", "test")


def session(root: Path, reporter: Heard, platform: str | None) -> Session:
    wheel = f'[tool.gpuwheel.wheel]\nplatform = "{platform}"\n' if platform else ""
    (root / "pyproject.toml").write_text(PYPROJECT + wheel, encoding="utf-8")
    (root / "ops.cpp").write_text("", encoding="utf-8")
    config = load_config(root, environ={})
    environ = {"PATH": os.environ["PATH"], "GPUWHEEL_CACHE_DIR": str(root / "cache")}
    return Session(config, plan(config, load_tables())[0].cell, environ, reporter)


def test_the_default_gives_way_with_a_warning(tmp_path: Path, bare_compiler: HostCompiler) -> None:
    heard = Heard()
    assert session(tmp_path, heard, None).link_stubs(bare_compiler) is None
    (warning,) = heard.warnings
    assert warning.startswith("linking for this machine alone: the static C++ library of")
    assert "libstdc++-static" in warning


def test_a_platform_that_the_project_names_does_not(tmp_path: Path, bare_compiler: HostCompiler) -> None:
    with pytest.raises(ToolchainError, match="static C"):
        session(tmp_path, Heard(), "manylinux_2_28").link_stubs(bare_compiler)


def test_the_libraries_of_this_system_need_nothing(tmp_path: Path, bare_compiler: HostCompiler) -> None:
    heard = Heard()
    assert session(tmp_path, heard, "system").link_stubs(bare_compiler) is None
    assert not heard.warnings
