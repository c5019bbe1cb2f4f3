"""Environment variables of other tools."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import gpuwheel
from gpuwheel.config.reading.sources import variable_names
from gpuwheel.config.reading.variables import other_variables, parse_arch_list
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from conftest import Project


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("8.0 9.0", "8.0 9.0"),
        ("8.0;9.0+PTX", "8.0 9.0+PTX"),
        (" 8.0 ; 9.0a ", "8.0 9.0a"),
        ("Ampere Hopper", "8.0 8.6+PTX 9.0+PTX"),
        ("Ampere+Tegra", "8.7"),
        ("Ampere+Tegra+PTX", "8.7+PTX"),
        ("Hopper+PTX", "9.0+PTX"),
        ("9.0+PTX Hopper 9.0", "9.0+PTX"),
    ],
)
def test_the_arch_list_of_torch_is_translated(text: str, meant: str) -> None:
    assert " ".join(map(str, parse_arch_list(text))) == meant


def test_an_unknown_name_gets_the_close_match() -> None:
    with pytest.raises(ConfigError, match=r"TORCH_CUDA_ARCH_LIST .* \(found 'Hoper'") as caught:
        parse_arch_list("Hoper")
    assert caught.value.hint == "did you mean 'Hopper'?"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("8.0,8.6", "TORCH_CUDA_ARCH_LIST='8.0;8.6'"),
        ("8.0, 9.0a+PTX", "TORCH_CUDA_ARCH_LIST='8.0;9.0a+PTX'"),
        ("sm_80", "TORCH_CUDA_ARCH_LIST='8.0'"),
        ("8.0+ptx", "TORCH_CUDA_ARCH_LIST='8.0+PTX'"),
        ("native", "a wheel is for the GPUs of those who install it"),
    ],
)
def test_what_was_meant_by_another_spelling_is_said(text: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_arch_list(text)
    assert str(caught.value.hint).startswith(hint)


def test_the_arch_list_is_named_where_it_decides(project: Project) -> None:
    (line,) = project.load({"TORCH_CUDA_ARCH_LIST": "Ada"}).warnings
    assert line == "environment TORCH_CUDA_ARCH_LIST sets archs to 8.9+PTX"


def test_the_arch_list_is_named_where_it_does_not(project: Project) -> None:
    (line,) = project.load({"TORCH_CUDA_ARCH_LIST": "Ada", "GPUWHEEL_ARCHS": "8.0"}).warnings
    assert line == "environment TORCH_CUDA_ARCH_LIST is not used: archs come from environment GPUWHEEL_ARCHS"


def test_a_group_with_architectures_of_its_own_is_named(project: Project) -> None:
    (line,) = project.write(group='archs = ["9.0a"]').load({"TORCH_CUDA_ARCH_LIST": "9.0"}).warnings
    assert line.endswith("kernels.fused keep their own")


@pytest.mark.parametrize("variable", ["CUDAHOSTCXX", "CUDA_HOME", "NVCC_APPEND_FLAGS", "CUDAARCHS"])
def test_what_is_not_used_is_named_with_what_is(project: Project, variable: str) -> None:
    (line,) = project.load({variable: "something"}).warnings
    assert line.startswith(f"{variable} is not used: ")


def test_variables_that_are_honoured_are_no_warning(project: Project) -> None:
    loaded = project.load({"CXX": "g++", "MAX_JOBS": "2", "CMAKE_ARGS": "-DX=1"})
    assert loaded.warnings == ()
    assert loaded.notes == ("CMAKE_ARGS is honoured: CMake is called with it",)


def test_every_variable_that_gpuwheel_reads_is_known() -> None:
    text = "\n".join(path.read_text() for path in Path(gpuwheel.__file__).parent.rglob("*.py"))
    read = set(re.findall(r"""environ(?:\.get\(|\[)["'](GPUWHEEL_[A-Z_]+)["']""", text))
    assert read <= other_variables() | set(variable_names())
