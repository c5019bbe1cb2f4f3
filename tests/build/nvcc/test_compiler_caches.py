"""ccache and sccache ahead of nvcc and the C++ compiler: the same bytes, the second time from what they keep."""

from __future__ import annotations

import json
import os
import shutil
import socket
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Project

pytestmark = [pytest.mark.compiler, pytest.mark.network]

APART = {"cmake.define.ANYTHING": "1"}
"""A setting that no key covers: gpuwheel itself keeps nothing, and every compiler is started."""


PYPROJECT = """
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"

[project]
name = "pair"
version = "1"
requires-python = ">=3.10"
dynamic = ["dependencies"]

[tool.gpuwheel]
archs = ["8.0"]
cuda = "13.0"

[tool.gpuwheel.extensions."pair._C"]
mode = "nvcc"
abi = "none"
sources = ["csrc/a.cu", "csrc/b.cpp"]
"""
KERNEL = '__global__ void k(int* x) { *x = 1; }\nextern "C" void a(int* x) { k<<<1, 1>>>(x); }\n'


@pytest.fixture
def pair(tmp_path: Path, project_at: Callable[[Path], Project]) -> Project:
    """A library of one CUDA and one C++ source."""
    root = tmp_path / "project"
    for folder in ("csrc", "src/pair"):
        (root / folder).mkdir(parents=True)
    (root / "src/pair/__init__.py").touch()
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "csrc/a.cu").write_text(KERNEL)
    (root / "csrc/b.cpp").write_text('#include <vector>\nextern "C" int b() { return std::vector<int>(3).size(); }\n')
    return project_at(root)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Folders and a server of this test's own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folders = {name: str(tmp_path / name) for name in ("CCACHE_DIR", "SCCACHE_DIR")}
    environ = {**folders, "SCCACHE_SERVER_PORT": str(port), "SCCACHE_IDLE_TIMEOUT": "3600"}
    yield environ
    if shutil.which("sccache"):
        run(["sccache", "--stop-server"], env={**os.environ, **environ}, check=False)


def _hits(name: str, environ: dict[str, str]) -> int:
    """How often the cache had what was asked for."""
    if name == "ccache":
        lines = run(["ccache", "--print-stats"], env={**os.environ, **environ}).stdout.splitlines()
        counts = dict(line.split("\t") for line in lines)
        return int(counts["direct_cache_hit"]) + int(counts["preprocessed_cache_hit"])
    said = run(["sccache", "--show-stats", "--stats-format=json"], env={**os.environ, **environ}).stdout
    return sum(json.loads(said)["stats"]["cache_hits"]["counts"].values())


# sccache starts nvcc where options for the host compiler are in a file.
@pytest.mark.parametrize(("name", "served"), [("ccache", 2), ("sccache", 1)])
def test_a_cache_of_compilers_gives_the_same_bytes_and_serves_what_it_can(
    pair: Project, tmp_path: Path, own: dict[str, str], name: str, served: int
) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    plain = pair.wheel(tmp_path / "plain", APART).path.read_bytes()
    by = {f"CMAKE_{language}_COMPILER_LAUNCHER": name for language in ("CXX", "CUDA")}
    assert pair.wheel(tmp_path / "first", APART, **own, **by).path.read_bytes() == plain
    assert _hits(name, own) == 0
    settings = {**APART, **{f"cmake.define.{variable}": program for variable, program in by.items()}}
    assert pair.wheel(tmp_path / "second", settings, **own).path.read_bytes() == plain
    assert _hits(name, own) >= served
