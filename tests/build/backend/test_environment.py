"""What the environment of the machine that builds may do to host code around embedded kernels."""

from __future__ import annotations

import time
import zipfile
from typing import TYPE_CHECKING

import pytest
from fake_conda import OLD_TORCH, activated, make_conda

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Project

pytestmark = [pytest.mark.compiler, pytest.mark.network]

KEPT = "libraries are taken from the cache"
# `-fsyntax-only` of a kind: the source itself says what it was compiled with.
CHECKED = """
#include <torch/headeronly/version.h>
#ifndef VALUE
#define VALUE 1
#endif
static_assert(TORCH_VERSION_MINOR != 99, "a torch that the machine offers");
static_assert(VALUE == EXPECTED, "the arguments of CXX");
"""


@pytest.fixture
def checked(project: Project) -> Project:
    """The small project, for one architecture, whose host code does not compile with wrong headers or arguments."""
    project.replace("pyproject.toml", 'archs = ["8.0", "9.0+PTX"]', 'archs = ["8.0"]')
    project.replace("csrc/ops.cpp", '#include "tiny.kernels.h"', f'#include "tiny.kernels.h"{CHECKED}')
    project.replace("pyproject.toml", 'kernels = ["tiny"]', 'kernels = ["tiny"]\ndefines = ["EXPECTED=1"]')
    return project


def library(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read("tiny_ops/_C.so")


def test_an_activated_conda_environment_builds_without_an_edit(checked: Project, tmp_path: Path) -> None:
    environ = activated(make_conda(tmp_path / "conda"))
    time.sleep(2.1)  # what was made just before a build is not kept by it
    result = checked.hook("build_wheel", tmp_path, {}, **environ)
    assert result.code == 0, result.output
    assert f"-rpath {tmp_path}/conda/lib of LDFLAGS is left out: " in result.output
    assert "CMAKE_ARGS is honoured" in result.output
    again = checked.hook("build_wheel", tmp_path, {}, **environ)
    assert KEPT in again.output, "what conda sets is in the key"


def test_headers_of_torch_win_over_those_that_the_machine_offers(checked: Project, tmp_path: Path) -> None:
    offered = tmp_path / "old-torch"
    (offered / "torch/headeronly").mkdir(parents=True)
    (offered / "torch/headeronly/version.h").write_text(OLD_TORCH, encoding="utf-8")
    plain = library(checked.wheel(tmp_path / "plain"))
    everywhere = {
        "CPATH": str(offered),
        "C_INCLUDE_PATH": str(offered),
        "CPLUS_INCLUDE_PATH": str(offered),
        "CXXFLAGS": f"-I{offered}",
        "CXX": f"c++ -isystem {offered}",
        "LD_RUN_PATH": "/opt/lib",
        "CMAKE_GENERATOR": "Unix Makefiles",
        "DESTDIR": str(tmp_path / "elsewhere"),
        "CMAKE_INSTALL_MODE": "ABS_SYMLINK",
        "LANG": "de_DE.UTF-8",
        "NVRTC_APPEND_FLAGS": "-G",
    }
    assert library(checked.wheel(tmp_path / "offered", **everywhere)) == plain


def test_a_compiler_with_arguments_and_a_launcher(checked: Project, tmp_path: Path) -> None:
    launcher = tmp_path / "ccache"
    launcher.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/launched\nexec "$@"\n', encoding="utf-8")
    launcher.chmod(0o755)
    refused = checked.hook("build_wheel", tmp_path, {}, CXX="g++ -DVALUE=7")
    assert refused.code not in {0, 1}
    assert "the arguments of CXX" in refused.output, "they reach the compiler"
    checked.replace("pyproject.toml", "EXPECTED=1", "EXPECTED=7")
    assert checked.wheel(tmp_path / "seven", CXX=f"{launcher} g++ -DVALUE=7")
    assert "ops.cpp" in (tmp_path / "launched").read_text(encoding="utf-8")
    assert checked.hook("build_wheel", tmp_path, {}, CXX="g++").code not in {0, 1}, "another compiler, another key"


def test_a_compiler_for_another_cxx_library_is_refused_before_anything_compiles(
    checked: Project, tmp_path: Path
) -> None:
    zig = tmp_path / "zig"
    zig.write_text(
        "#!/bin/sh\nshift\ncase $1 in --version) echo 'clang version 20.1';; -dumpmachine) echo x86_64-linux-gnu;;"
        " *) echo '#define _LIBCPP_VERSION 200100';; esac\n",
        encoding="utf-8",
    )
    zig.chmod(0o755)
    result = checked.hook("build_wheel", tmp_path, {}, CXX=f"{zig} c++")
    assert result.code not in {0, 1}
    assert "compiles for libc++ (expected libstdc++" in result.output
    assert "compiling host code" not in result.output
