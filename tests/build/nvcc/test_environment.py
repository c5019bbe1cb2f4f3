"""What the environment of the machine that builds may do to CUDA and C++ sources: all that it means to, and no more."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest
from fake_conda import OLD_RUNTIME, activated, make_conda

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Project, Wheel

pytestmark = [pytest.mark.compiler, pytest.mark.network]

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
python = "none"
sources = ["csrc/a.cu", "csrc/b.cpp"]
"""
SOURCE = """
#include <cuda_runtime_api.h>
#if __has_include(<only_there.h>)
#include <only_there.h>
#endif
#ifndef VALUE
#define VALUE 1
#endif
#ifndef ONLY_THERE
#define ONLY_THERE 0
#endif
extern "C" int {name}_runtime() {{ return CUDART_VERSION; }}
extern "C" int {name}_value() {{ return VALUE; }}
extern "C" int {name}_offered() {{ return ONLY_THERE; }}
"""
CALL = """
import ctypes, pathlib
library = ctypes.CDLL(str(next(pathlib.Path("pair").glob("_C*.so")).absolute()))
print(*(getattr(library, f"{part}_{what}")() for what in ("runtime", "value", "offered") for part in ("cu", "cxx")))
"""
KEPT = "libraries are taken from the cache"


@pytest.fixture
def pair(project: Callable[[str], Project]) -> Project:
    """A library of one CUDA and one C++ source, which say what they were compiled with."""
    found = project("plain")
    shutil.rmtree(found.root)
    (found.root / "csrc").mkdir(parents=True)
    (found.root / "pair").mkdir()
    (found.root / "pair/__init__.py").touch()
    (found.root / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    kernel = '__global__ void k(int* x) { *x = 1; }\nextern "C" void go() { k<<<1, 1>>>(nullptr); }\n'
    (found.root / "csrc/a.cu").write_text(SOURCE.format(name="cu") + kernel, encoding="utf-8")
    (found.root / "csrc/b.cpp").write_text(SOURCE.format(name="cxx"), encoding="utf-8")
    return found


def said(wheel: Wheel) -> list[int]:
    """CUDART_VERSION, VALUE and whether the offered header was found, each of the CUDA and of the C++ source."""
    result = wheel.python(CALL)
    assert result.code == 0, result.output
    return [int(word) for word in result.output.split()]


@pytest.fixture
def offered(tmp_path: Path) -> Path:
    """A folder with headers of an old toolkit, and one that nobody else has."""
    folder = tmp_path / "old-cuda" / "include"
    folder.mkdir(parents=True)
    (folder / "cuda_runtime_api.h").write_text(OLD_RUNTIME, encoding="utf-8")
    (folder / "only_there.h").write_text("#define ONLY_THERE 1\n", encoding="utf-8")
    return folder


def test_an_activated_conda_environment_builds_without_an_edit(pair: Project, tmp_path: Path) -> None:
    environ = activated(make_conda(tmp_path / "conda"))
    result = pair.build(tmp_path / "first", **environ)
    assert result.code == 0, result.output
    assert f"-rpath {tmp_path}/conda/lib of LDFLAGS is left out: " in result.output
    assert "CPPFLAGS is not used: CMake does not read it" in result.output
    assert "CXXFLAGS is honoured" in result.output
    wheel = pair.wheel(tmp_path / "second", **environ)
    assert said(wheel) == [13000, 13000, 1, 1, 0, 0]
    assert KEPT in pair.build(tmp_path / "third", **environ).output, "what conda sets is in the key"


def test_headers_of_the_toolkit_win_over_those_that_the_machine_offers(
    pair: Project, offered: Path, tmp_path: Path
) -> None:
    plain = (pair.wheel(tmp_path / "plain").root / "pair/_C.so").read_bytes()
    (offered / "only_there.h").rename(offered / "renamed.h")
    everywhere = {
        "CPATH": str(offered),
        "C_INCLUDE_PATH": str(offered),
        "CPLUS_INCLUDE_PATH": str(offered),
        "CXXFLAGS": f"-I{offered}",
        "CUDAFLAGS": f"-I{offered}",
        "NVCC_APPEND_FLAGS": f"-I {offered}",
        "NVCC_PREPEND_FLAGS": f"-isystem {offered}",
        "CXX": f"c++ -isystem {offered}",
        "INCLUDES": f"-I{offered}",
        "PTXAS_FLAGS": "-O0",
        "LD_RUN_PATH": "/opt/lib",
        "LIBRARY_PATH": "/opt/lib",
        "DEPENDENCIES_OUTPUT": str(tmp_path / "dependencies"),
        "CMAKE_GENERATOR": "Unix Makefiles",
        "DESTDIR": str(tmp_path / "elsewhere"),
        "LANG": "de_DE.UTF-8",
    }
    wheel = pair.wheel(tmp_path / "offered", **everywhere)
    assert said(wheel) == [13000, 13000, 1, 1, 0, 0]
    assert (wheel.root / "pair/_C.so").read_bytes() == plain
    assert not (tmp_path / "elsewhere").exists()
    (offered / "renamed.h").rename(offered / "only_there.h")
    found = pair.wheel(tmp_path / "found", CPATH=str(offered), A_CHANGE="1")
    assert said(found)[:4] == [13000, 13000, 1, 1]
    assert said(found)[4:] == [1, 1], "what only the offered folder has is found there"


def test_a_compiler_with_arguments_and_a_launcher(pair: Project, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    launcher = programs / "ccache"
    launcher.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/launched\nexec "$@"\n', encoding="utf-8")
    launcher.chmod(0o755)
    path = f"{programs}:{pair.environ.get('PATH', '')}" if "PATH" in pair.environ else None
    environ = {"CXX": f"{launcher} g++ -DVALUE=7", **({"PATH": path} if path else {})}
    assert said(pair.wheel(tmp_path / "seven", **environ)) == [13000, 13000, 7, 7, 0, 0]
    launched = (tmp_path / "launched").read_text(encoding="utf-8").splitlines()
    assert [line for line in launched if re.match(r"\S*/nvcc ", line) and "a.cu" in line]
    assert [line for line in launched if re.match(r"\S*/g\+\+ ", line) and "b.cpp" in line]
    assert said(pair.wheel(tmp_path / "eight", CXX="g++ '-DVALUE=(4 + 4)'")) == [13000, 13000, 8, 8, 0, 0]
    assert said(pair.wheel(tmp_path / "host", CUDAHOSTCXX="g++ -DVALUE=9")) == [13000, 13000, 9, 9, 0, 0]


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"CUDAHOSTCXX": "clang++-99"}, "the C++ compiler that CUDAHOSTCXX names is not found (clang++-99)"),
        ({"CXX": "sccache-99 g++"}, "the C++ compiler that CXX names is not found (sccache-99)"),
        ({"CXX": "icecc g++"}, "the program that CXX starts compilers by is not found (icecc)"),
        ({"CMAKE_CUDA_COMPILER_LAUNCHER": "absent"}, "CMAKE_CUDA_COMPILER_LAUNCHER starts compilers by is not found"),
        ({"CXXFLAGS": "-stdlib=libc++"}, "environment CXXFLAGS has -stdlib=libc++"),
        ({"CMAKE_ARGS": "-DCMAKE_CUDA_COMPILER=nvcc"}, "environment CMAKE_ARGS has -DCMAKE_CUDA_COMPILER=nvcc"),
        ({"CMAKE_TOOLCHAIN_FILE": "x.cmake"}, "environment CMAKE_TOOLCHAIN_FILE is set"),
    ],
)
def test_what_cannot_be_built_with_ends_before_anything_compiles(
    pair: Project, tmp_path: Path, environ: dict[str, str], named: str
) -> None:
    result = pair.build(tmp_path / "out", **environ)
    assert result.code not in {0, 1}
    assert named in result.output
    assert "\nhint: " in result.output
    assert "Traceback" not in result.output
    assert "CMake" not in result.output.replace("CMAKE", ""), "CMake did not run"
