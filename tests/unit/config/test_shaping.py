"""What a wheel records of how it was built: what shapes it, and nothing that belongs to a machine or a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel.config.reading.shaping import Shaping, shaping

if TYPE_CHECKING:
    from conftest import Project

MACHINE = {
    "PATH": "/usr/bin",
    "HOME": "/root",
    "LANG": "C",
    "MAX_JOBS": "8",
    "GPUWHEEL_CACHE_DIR": "/c",
    "CXX": "g++-13",
}


def told(
    project: Project, settings: dict[str, str | list[str]], environ: dict[str, str] | None = None, mode: str = "embed"
) -> Shaping:
    return shaping(project.root, {**MACHINE, **(environ or {})}, settings, mode)


def test_a_build_of_the_project_as_it_stands_records_nothing(project: Project) -> None:
    assert told(project, {}) == Shaping()
    project.write(keys='archs = ["9.0"]')
    # Which wheel it is and what locks it are recorded in another way; where and how loudly it works is no matter.
    same: dict[str, str | list[str]] = {"gpuwheel.archs": "9.0", "gpuwheel.only": "embed-cu12.9-linux_x86_64"}
    quiet = {
        "gpuwheel.locked": "true",
        "build-dir": "/x",
        "build.verbose": "true",
        "logging.level": "INFO",
        "cmake.define.CMAKE_CXX_COMPILER_LAUNCHER": "ccache",
    }
    variables = {"TORCH_CUDA_ARCH_LIST": "9.0", "SOURCE_DATE_EPOCH": "1", "SKBUILD_BUILD_DIR": "/y"}
    assert told(project, {**same, **quiet}, variables) == Shaping()


def test_whoever_says_it_and_in_whatever_pieces_it_is_recorded_alike(project: Project) -> None:
    expected = Shaping(("gpuwheel.archs=8.0;9.0",))
    for settings, variables in (
        ({"gpuwheel.archs": ["8.0", "9.0"]}, {}),
        ({"gpuwheel.archs": " 8.0 ; 9.0"}, {}),
        ({}, {"GPUWHEEL_ARCHS": "8.0;9.0"}),
        ({}, {"TORCH_CUDA_ARCH_LIST": "8.0 9.0"}),
        ({"gpuwheel.archs": "8.0;9.0"}, {"GPUWHEEL_ARCHS": "7.5"}),
    ):
        assert told(project, settings, variables) == expected, (settings, variables)


def test_settings_of_tables_and_of_cmake_and_words_for_compilers_are_recorded(project: Project) -> None:
    settings = {
        "skbuild.cmake.args": ["-DA=1", "-DB=2"],
        "cmake.define.FAST": "ON",
        "gpuwheel.kernels.fused.flags": "--use_fast_math",
        'gpuwheel.extensions."fused_ops._C".flags': "-O3",
    }
    found = told(project, settings, {"CXXFLAGS": "-O2 -funroll-loops", "NVCC_APPEND_FLAGS": "-lineinfo"})
    assert found.settings == (
        "gpuwheel.extensions.fused_ops._C.flags=-O3",
        "gpuwheel.kernels.fused.flags=--use_fast_math",
        "cmake.args=-DA=1",
        "cmake.args=-DB=2",
        "cmake.define.FAST=ON",
    )
    assert found.environment == ("CXXFLAGS=-O2 -funroll-loops",)  # nvcc does not run in this mode
    assert told(project, {}, {"NVCC_APPEND_FLAGS": "-lineinfo"}, "nvcc").environment == ("NVCC_APPEND_FLAGS=-lineinfo",)


@pytest.mark.parametrize(
    "value",
    ["/opt/sdk", "-I/opt/sdk", "-DX=1;-isystem/opt/sdk", "~/sdk", "@/opt/rsp", "https://me:word@host/x", "a,/opt/sdk"],
)
def test_a_value_that_names_a_path_or_a_login_is_withheld(project: Project, value: str) -> None:
    found = told(project, {"cmake.define.SDK": value}, {"CXXFLAGS": value, "SKBUILD_CMAKE_DEFINE": f"SDK={value}"})
    assert found.withheld[0] == "-C cmake.define.SDK"
    assert "CXXFLAGS" in found.withheld
    assert "SKBUILD_CMAKE_DEFINE" in found.withheld
    assert value not in repr((found.settings, found.environment))


@pytest.mark.parametrize("name", ["API_TOKEN", "PASSWORD", "DB_PASSWD", "CLIENT_SECRET", "ACCESS_KEY", "auth-key"])
def test_what_may_be_secret_is_withheld(project: Project, name: str) -> None:
    found = told(project, {f"cmake.define.{name}": "hunter2"}, {f"CMAKE_{name}": "hunter2"})
    assert found.withheld == (f"-C cmake.define.{name}", f"CMAKE_{name}")
    assert "hunter2" not in repr(found)


def test_variables_of_other_programs_are_not_recorded(project: Project) -> None:
    others = {
        "PIP_INDEX_URL": "https://me:word@host/simple",
        "AWS_SECRET_ACCESS_KEY": "k",
        "GITHUB_TOKEN": "t",
        "USER": "me",
    }
    assert told(project, {}, others) == Shaping()
