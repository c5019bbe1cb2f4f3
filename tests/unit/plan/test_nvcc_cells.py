"""Cells of mode `nvcc`, from pyproject.toml and the sources of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel.compatibility import load_tables
from gpuwheel.compile.cmake.nvcc_project import generate_code
from gpuwheel.config import load_config, project_files
from gpuwheel.errors import ConfigError
from gpuwheel.model.archs import ArchTarget
from gpuwheel.model.versions import MinorVersion
from gpuwheel.plan import choose, linked_requirements, plan, resolve_job

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gpuwheel.config import LoadedConfig
    from gpuwheel.model.cells import Decision
    from gpuwheel.model.libraries import NvccLibrary

TABLES = load_tables()

PROJECT = """
[project]
name = "ops"
version = "1"
requires-python = ">=3.10"
dynamic = ["dependencies"]

[tool.gpuwheel]
archs = ["8.0", "9.0+PTX"]
{settings}

[tool.gpuwheel.extensions."ops._C"]
mode = "nvcc"
{extension}
"""
SOURCES = 'sources = ["csrc/*.cu", "csrc/*.cpp"]\n'


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., LoadedConfig]:
    def load(extension: str = "", settings: str = "", ops: str = "", *, sources: str = SOURCES) -> LoadedConfig:
        (tmp_path / "csrc").mkdir(exist_ok=True)
        (tmp_path / "csrc" / "a.cu").write_text("__global__ void a() {}\n", encoding="utf-8")
        (tmp_path / "csrc" / "ops.cpp").write_text(ops, encoding="utf-8")
        (tmp_path / "CMakeLists.txt").write_text("", encoding="utf-8")
        text = PROJECT.format(settings=settings, extension=sources + extension)
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
        return load_config(tmp_path, environ={})

    return load


def decide(config: LoadedConfig) -> Decision:
    """The first candidate: of several Pythons, the oldest."""
    return plan(config, TABLES)[0]


def libraries(config: LoadedConfig) -> tuple[NvccLibrary, ...]:
    return resolve_job(decide(config).cell, config.settings, project_files(config), TABLES).nvcc_libraries


def test_the_stable_abi_is_the_default_and_the_toolkit_sets_the_driver(load: Callable[..., LoadedConfig]) -> None:
    decision = decide(load())
    assert decision.accepted, decision.reason
    assert decision.cell.identifier == "nvcc-cu13.0-torch2.10-linux_x86_64"
    assert str(decision.cell.driver_floor) == "580"
    assert decision.reason == "one wheel serves every Python, torch >=2.10 and drivers >=580"


@pytest.mark.parametrize(
    ("extension", "settings", "identifier", "served"),
    [
        ('abi = "none"', "", "nvcc-cu13.0-linux_x86_64", "every Python and drivers"),
        ('abi = "exact"', 'torch = "==2.13.*"', "nvcc-cu13.0-torch2.13-linux_x86_64", "every Python, torch 2.13 and"),
        ('python = "abi3"', "", "nvcc-cu13.0-torch2.10-cp310-linux_x86_64", "Python 3.10 and newer"),
        ('python = "version"', "", "nvcc-cu13.0-torch2.10-cp310-linux_x86_64", "Python 3.10,"),
    ],
)
def test_each_promise_has_its_tag(
    load: Callable[..., LoadedConfig], extension: str, settings: str, identifier: str, served: str
) -> None:
    decision = decide(load(extension, settings))
    assert decision.accepted, decision.reason
    assert decision.cell.identifier == identifier
    assert served in decision.reason


def test_a_list_of_toolkits_makes_a_wheel_for_each(load: Callable[..., LoadedConfig]) -> None:
    class Heard:
        warnings: list[str] = []  # noqa: RUF012 (one test uses it)

        def info(self, text: str) -> None:
            del text

        def warn(self, text: str) -> None:
            self.warnings.append(text)

    decisions = plan(load(settings='cuda = ["13.0", "13.5"]'), TABLES)
    assert [str(decision.cell.cuda) for decision in decisions] == ["13.0", "13.5"]
    assert str(choose(decisions, Heard()).cuda) == "13.0"  # type: ignore[arg-type]
    assert "the others: -C gpuwheel.only=nvcc-cu13.5-torch2.10-linux_x86_64" in Heard.warnings[0]


@pytest.mark.parametrize(
    ("cuda", "torchs", "dialects"),
    [
        ('"13.0"', ["2.11"], [17]),
        ('"13.0"', ["2.11", "2.13"], [20, 20]),
        ('["12.8", "13.0"]', ["2.10", "2.13"], [17, 20]),  # each for its major of CUDA
    ],
)
def test_cells_of_a_toolkit_share_a_dialect(
    load: Callable[..., LoadedConfig], cuda: str, torchs: list[str], dialects: list[int]
) -> None:
    ranges = ", ".join(f'"=={torch}.*"' for torch in torchs)
    config = load('abi = "exact"', f"cuda = {cuda}\ntorch = [{ranges}]")
    cells = [decision.cell for decision in plan(config, TABLES) if decision.accepted]
    jobs = [resolve_job(cell, config.settings, project_files(config), TABLES) for cell in cells]
    assert [job.cxx_standard for job in jobs] == dialects


@pytest.mark.parametrize(
    ("extension", "ops", "reason", "hint"),
    [
        ("", "#include <torch/extension.h>", "csrc/ops.cpp:1 includes torch/extension.h of torch's C++ ABI", "exact"),
        ("", "#include <c10/cuda/CUDAStream.h>", "includes c10/cuda/CUDAStream.h", "torch/csrc/stable"),
        ("", "\n#include <pybind11/pybind11.h>", "csrc/ops.cpp:2 includes pybind11/pybind11.h", 'python = "version"'),
        ('abi = "none"', "#include <ATen/ATen.h>", "does without torch", 'abi = "exact"'),
        ('python = "abi3"', "#include <pybind11/pybind11.h>", "limited API", 'python = "version"'),
    ],
)
def test_a_source_that_breaks_a_promise_is_named(
    load: Callable[..., LoadedConfig], extension: str, ops: str, reason: str, hint: str
) -> None:
    decision = decide(load(extension, ops=ops))
    assert not decision.accepted
    assert reason in decision.reason
    assert hint in str(decision.hint)


def test_the_line_that_makes_a_wheel_narrow_is_told(load: Callable[..., LoadedConfig]) -> None:
    ops = "#include <vector>\n#include <torch/extension.h>\n"
    decision = decide(load('abi = "exact"\npython = "version"', 'torch = "==2.13.*"', ops))
    assert "csrc/ops.cpp:2 includes torch/extension.h: one wheel for each torch minor" in decision.notes
    assert "csrc/ops.cpp:2 includes torch/extension.h: one wheel for each Python" in decision.notes


def test_the_line_that_makes_a_wheel_narrow_is_told_where_a_header_has_it(
    load: Callable[..., LoadedConfig], tmp_path: Path
) -> None:
    (tmp_path / "include").mkdir()
    (tmp_path / "csrc").mkdir()
    (tmp_path / "include" / "ops.h").write_text('#pragma once\n#include "deep/torch.h"\n', encoding="utf-8")
    (tmp_path / "include" / "deep").mkdir()
    guarded = "// ours\n#ifndef T_H\n#define T_H\n#include <torch/extension.h>\n#endif\n"
    (tmp_path / "include" / "deep" / "torch.h").write_text(guarded, encoding="utf-8")
    ops = "#include <vector>\n#include <ops.h>\n"
    exact = 'abi = "exact"\npython = "version"\ninclude-dirs = ["include"]'
    notes = decide(load(exact, 'torch = "==2.13.*"', ops)).notes
    line = "include/deep/torch.h:4 (from include/ops.h:2, csrc/ops.cpp:2) includes torch/extension.h"
    assert f"{line}: one wheel for each torch minor" in notes
    assert f"{line}: one wheel for each Python" in notes
    broken = decide(load('abi = "none"\ninclude-dirs = ["include"]', "", ops))
    assert not broken.accepted
    assert f"{line}, and ops._C does without torch" in broken.reason


def test_a_header_that_may_include_torch_breaks_no_promise(load: Callable[..., LoadedConfig], tmp_path: Path) -> None:
    (tmp_path / "csrc").mkdir()
    text = "#ifdef WITH_TORCH\n#include <torch/extension.h>\n#endif\n"
    (tmp_path / "csrc" / "ops.h").write_text(text, encoding="utf-8")
    assert decide(load('abi = "none"', "", '#include "ops.h"\n#include "/dev/zero"\n')).accepted


FAMILY = '[tool.gpuwheel.sources."csrc/*.cu"]\narchs = ["12.0+PTX", "12.0f"]'


def test_plain_code_gives_way_to_that_of_its_family(load: Callable[..., LoadedConfig]) -> None:
    config = load(settings=FAMILY)
    decision = decide(config)
    note = 'sources."csrc/*.cu".archs: no code but PTX for 12.0: nvcc makes one, and 12.0f runs on the same GPUs'
    assert note in decision.notes
    (library,) = libraries(config)
    (source,) = (source for source in library.sources if source.cuda)
    assert generate_code(source.targets) == ["arch=compute_120,code=[compute_120]", "arch=compute_120f,code=[sm_120f]"]
    assert ({arch.sm for arch in library.cubins}, {arch.compute for arch in library.ptx}) == (
        {"sm_120f"},
        {"compute_120"},
    )


@pytest.mark.parametrize("archs", [["9.0", "9.0a"], ["10.0a", "10.0"], ["10.0f", "10.0a"], ["10.0f", "10.3"]])
def test_code_that_nvcc_makes_side_by_side_is_all_made(archs: list[str]) -> None:
    assert len(generate_code(map(ArchTarget.parse, archs))) == 2


def test_relocatable_code_of_a_family_and_plain_code_are_not_linked(
    load: Callable[..., LoadedConfig], tmp_path: Path
) -> None:
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "b.cu").write_text("", encoding="utf-8")
    settings = '[tool.gpuwheel.sources]\n"csrc/a.cu" = { archs = ["12.0"] }\n"csrc/b.cu" = { archs = ["12.0f"] }'
    decision = decide(load("rdc = true", settings))
    assert not decision.accepted
    assert 'sources."csrc/a.cu".archs names 12.0 and other sources 12.0f, and rdc links' in decision.reason
    assert decide(load("", settings)).accepted


def test_architectures_of_some_sources_are_checked_too(load: Callable[..., LoadedConfig]) -> None:
    decision = decide(load(settings='[tool.gpuwheel.sources."csrc/*.cu"]\narchs = ["7.0"]'))
    assert not decision.accepted
    assert 'sources."csrc/*.cu".archs names 7.0, which cuda 13.0 does not compile for' in decision.reason
    assert decision.hint == (
        'take 7.0 out of the list, or set cuda = "12.9", and CUDA_HOME to a toolkit of it: no index has its nvcc'
    )


def test_torch_and_toolkit_of_different_majors(load: Callable[..., LoadedConfig]) -> None:
    decision = decide(load('abi = "exact"', 'torch = "==2.10.*"'))
    assert "torch 2.10 has CUDA 12.8, of another major than the project's 13.0" in decision.reason


def test_headers_of_torchs_cpp_abi_differ_by_machine(load: Callable[..., LoadedConfig]) -> None:
    (decision,) = plan(load('abi = "exact"', settings='torch = "==2.13.*"'), TABLES, machine="aarch64")
    assert decision.accepted
    assert len({pin.digest for pin in TABLES.torch[MinorVersion(2, 13)].headers.values()}) == 2
    # Its wheels for aarch64 on the index are without CUDA.
    (decision,) = plan(load('abi = "exact"', settings='torch = "==2.10.*"'), TABLES, machine="aarch64")
    assert "torch 2.10 is not one whose headers for aarch64 gpuwheel pins (2.11, 2.12, 2.13" in decision.reason


def test_a_toolkit_that_has_to_be_on_the_machine(load: Callable[..., LoadedConfig]) -> None:
    (note,) = (note for note in decide(load(settings='cuda = "12.8"')).notes if "machine" in note)
    assert note == "nvcc of cuda 12.8 has to be on the machine that builds (gpuwheel brings 13.0, 13.5)"


def test_archs_and_flags_of_some_sources(load: Callable[..., LoadedConfig]) -> None:
    config = load(settings='[tool.gpuwheel.sources."csrc/*.cu"]\narchs = ["9.0a"]\nflags = ["-DX"]')
    (library,) = libraries(config)
    (source,) = (source for source in library.sources if source.cuda)
    assert ([str(target) for target in source.targets], source.flags) == (["9.0a"], ("-DX",))
    assert {arch.sm for arch in library.cubins} == {"sm_90a"}


def test_linked_libraries_become_dependencies(load: Callable[..., LoadedConfig]) -> None:
    cell = decide(load()).cell
    assert linked_requirements(cell, ["cublasLt"], TABLES) == ("nvidia-cublas>=13.1,<14",)
    assert linked_requirements(cell, ["cudart"], TABLES) == ("nvidia-cuda-runtime>=13.0,<14",)


@pytest.mark.parametrize(
    ("extension", "settings", "message"),
    [
        ('abi = "exact"', "", "torch in defaults is a floor"),
        ("", 'torch = "==2.13.*"', "is one minor and no extension needs that"),
        ("", '[tool.gpuwheel.sources."other/*.cu"]\nflags = ["-DX"]', "matches no source of an extension"),
        ("", 'cmake = "CMakeLists.txt"', "stands beside cmake"),
        ("", 'cmake = "build.cmake"', "does not name a file that is there"),
        ('libraries = ["-lcublas"]', "", "libraries in .* is not valid"),
        ('include-packages = ["cutlass"]', "", "include-packages in .* is not valid"),
    ],
)
def test_mistakes(load: Callable[..., LoadedConfig], extension: str, settings: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(extension, settings)


def test_an_own_cmake_project_names_the_sources(load: Callable[..., LoadedConfig]) -> None:
    config = load(settings='cmake = "CMakeLists.txt"', sources="")
    (library,) = libraries(config)
    assert library.sources == ()
    assert {arch.sm for arch in library.cubins} == {"sm_80", "sm_90"}


def test_keys_of_this_mode_in_another(load: Callable[..., LoadedConfig], tmp_path: Path) -> None:
    load()
    path = tmp_path / "pyproject.toml"
    text = path.read_text(encoding="utf-8").replace('mode = "nvcc"', "rdc = true").replace('csrc/*.cu", "', "")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"rdc in pyproject.toml is not for mode 'embed'") as caught:
        load_config(tmp_path, environ={})
    assert 'mode = "nvcc"' in str(caught.value.hint)
