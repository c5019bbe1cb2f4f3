"""Which wheels a project has: one for each value of an axis that its sources need, and one for all of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from gpuwheel.compatibility import load_tables
from gpuwheel.config import load_config, project_files
from gpuwheel.errors import ConfigError, PlanError
from gpuwheel.model.cells import CellName
from gpuwheel.model.choices import Mode
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.model.versions import MinorVersion
from gpuwheel.plan import Here, choose, explain, plan, resolve_job, select

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gpuwheel.config import LoadedConfig
    from gpuwheel.model.cells import Decision

TABLES = load_tables()
PROJECT = """\
[project]
name = "ops"
version = "1.0"
requires-python = "{python}"
dynamic = ["dependencies"]

[tool.gpuwheel]
archs = ["8.0"]
{settings}

[tool.gpuwheel.extensions."ops._C"]
sources = ["ops.cpp"]
{extension}
"""
NVCC = 'mode = "nvcc"\n'
CLASSIC = NVCC + 'abi = "exact"\npython = "version"'
TWO_TORCHS = 'cuda = "13.0"\ntorch = ["==2.12.*", "==2.13.*"]'


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., LoadedConfig]:
    def write(extension: str = "", settings: str = "", python: str = ">=3.10") -> LoadedConfig:
        text = PROJECT.format(extension=extension, settings=settings, python=python)
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
        (tmp_path / "ops.cpp").touch()
        return load_config(tmp_path, environ={})

    return write


def names(decisions: tuple[Decision, ...], *, accepted: bool = True) -> list[str]:
    return [decision.cell.identifier for decision in decisions if decision.accepted is accepted]


versions = st.builds(MinorVersion, st.integers(0, 99), st.integers(0, 99))
cell_names = st.builds(
    CellName,
    mode=st.sampled_from(Mode),
    cuda=st.none() | versions,
    torch=st.none() | versions,
    python=st.none() | st.builds(MinorVersion, st.integers(1, 9), st.integers(0, 99)),
    machine=st.none() | st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True),
)


@given(cell_names)
def test_a_name_reads_back_as_what_it_was_written_from(name: CellName) -> None:
    assert CellName.parse(str(name)) == name


@given(st.from_regex(r"[a-z]+(-cu\d+\.\d+)?(-torch\d+\.\d+)?(-cp\d+)?-[a-z0-9_]+", fullmatch=True) | st.text())
def test_what_is_read_is_written_the_same(text: str) -> None:
    try:
        name = CellName.parse(text)
    except ValueError:
        return
    assert str(name) == text


@pytest.mark.parametrize(
    "text",
    ["", "embed", "embed-any-any", "emb-any", "embed-cu12-any", "embed-cu12.09-any", "embed-torch2.10-cu12.9-any",
     "embed-cu12.9-torch2.10-linux_x86_64\n", "nvcc-cp3-any", "nvcc-linux", "nvcc-linux_X86", "nvcc-cu1٣.0-any"],
)  # fmt: skip
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not the identifier of a cell"):
        CellName.parse(text)


def test_every_axis_that_the_sources_need_makes_wheels(load: Callable[..., LoadedConfig]) -> None:
    config = load(CLASSIC, TWO_TORCHS + '\npythons = ["3.12", "3.11"]\nmachines = ["x86_64", "aarch64"]')
    assert names(plan(config, TABLES)) == [
        f"nvcc-cu13.0-torch2.{torch}-cp3{python}-linux_{machine}"
        for machine in ("x86_64", "aarch64")
        for torch in (12, 13)
        for python in (11, 12)
    ]


def test_names_tell_all_candidates_apart(load: Callable[..., LoadedConfig]) -> None:
    config = load(CLASSIC, 'cuda = ["12.8", "13.0", "13.5"]\ntorch = ["==2.10.*", "==2.13.*"]')
    found = [decision.cell.name for decision in plan(config, TABLES)]
    assert len(set(found)) == len(found) > 3 * 2


def test_pythons_are_those_that_the_project_admits_and_torch_has(load: Callable[..., LoadedConfig]) -> None:
    config = load(CLASSIC, 'cuda = "13.0"\ntorch = "==2.13.*"', python=">=3.12.1")
    row = TABLES.torch[MinorVersion(2, 13)]
    wanted = sorted({MinorVersion.parse(text.rstrip("t")) for text in row.pythons})
    assert [decision.cell.python for decision in plan(config, TABLES)] == [one for one in wanted if one.minor >= 12]


def test_a_python_that_a_torch_lacks_is_rejected_with_what_it_has(load: Callable[..., LoadedConfig]) -> None:
    config = load(CLASSIC, 'cuda = "13.0"\ntorch = "==2.13.*"\npythons = ["3.13", "3.99"]')
    good, bad = plan(config, TABLES)
    assert good.accepted
    assert "torch ==2.13.* has no wheel for Python 3.99 (it has 3.10, " in bad.reason
    assert bad.hint == "take 3.99 out of pythons"


@pytest.mark.parametrize("extension", [CLASSIC, NVCC + 'abi = "none"\npython = "abi3"', NVCC + 'abi = "none"', ""])
def test_a_python_that_is_not_admitted_is_rejected(load: Callable[..., LoadedConfig], extension: str) -> None:
    settings = 'cuda = "13.0"\ntorch = "==2.13.*"' if extension == CLASSIC else ""
    bad, *others = plan(load(extension, settings + '\npythons = ["3.9", "3.12"]'), TABLES)
    assert not bad.accepted
    assert "pythons names 3.9, which requires-python '>=3.10' does not admit" in bad.reason
    assert bad.hint == "take 3.9 out of pythons, or widen requires-python"
    assert [one.accepted for one in others] == ([True] if extension == CLASSIC else [])


def test_a_python_of_requires_python_that_a_torch_lacks_is_rejected_and_not_left_out(
    load: Callable[..., LoadedConfig],
) -> None:
    config = load(CLASSIC, 'cuda = "13.0"\ntorch = ["==2.14.*", "==2.15.*"]')
    rejected = {one.cell.identifier: one for one in plan(config, TABLES) if not one.accepted}
    newest = rejected["nvcc-cu13.0-torch2.14-cp315-linux_x86_64"]
    assert newest.hint == "torch 2.15 is the first that has one"
    oldest = rejected["nvcc-cu13.0-torch2.15-cp310-linux_x86_64"]
    assert "torch ==2.15.* has no wheel for Python 3.10 (it has 3.11, " in oldest.reason
    assert oldest.hint == 'requires-python = ">=3.11" leaves it out'
    assert len(rejected) == 2


def test_a_machine_that_nobody_knows_is_rejected(load: Callable[..., LoadedConfig]) -> None:
    (decision,) = plan(load("", 'machines = ["x86_46"]'), TABLES)
    assert "machine 'x86_46' is not one that gpuwheel builds for (known: x86_64, aarch64)" in decision.reason
    assert decision.hint == "did you mean 'x86_64'?"


@pytest.mark.parametrize(
    ("extension", "settings", "name", "axes"),
    [
        ("", 'cuda = ["12.9", "13.2"]', "embed-cu12.9-torch2.10-linux_x86_64", {"cuda": ("13.2",)}),
        ("", 'torch = [">=2.11", ">=2.10"]', "embed-cu12.9-torch2.10-linux_x86_64", {"torch": (">=2.11",)}),
        ("", 'pythons = ["3.11"]', "embed-cu12.9-torch2.10-linux_x86_64", {"python": ("3.11",)}),
        (
            NVCC + 'abi = "none"\npython = "abi3"',
            'pythons = ["3.12", "3.11"]\ntorch = [">=2.11"]',
            "nvcc-cu13.0-cp311-linux_x86_64",
            {"python": ("3.12",), "torch": ()},
        ),
    ],
)
def test_axes_that_the_sources_do_not_need_collapse_and_are_named(
    load: Callable[..., LoadedConfig], extension: str, settings: str, name: str, axes: dict[str, tuple[str, ...]]
) -> None:
    (decision,) = plan(load(extension, settings), TABLES)
    assert (decision.cell.identifier, decision.accepted) == (name, True), decision.reason
    collapsed = {one.axis: one for one in decision.collapsed}
    assert {axis: collapsed[axis].values for axis in axes} == axes
    text = explain([decision])
    for axis, values in axes.items():
        line = f"{axis} {', '.join(values)} has no wheel of its own: {collapsed[axis].reason}"
        assert (line in text) is bool(values)


def test_a_build_makes_the_cell_of_its_python_and_machine(load: Callable[..., LoadedConfig]) -> None:
    decisions = plan(load(CLASSIC, TWO_TORCHS + '\nmachines = ["x86_64", "aarch64"]'), TABLES)

    def chosen(python: str, machine: str) -> str:
        return choose(decisions, SilentReporter(), Here(python, machine)).identifier

    assert chosen("3.12", "x86_64") == "nvcc-cu13.0-torch2.12-cp312-linux_x86_64"
    assert chosen("3.13", "aarch64") == "nvcc-cu13.0-torch2.12-cp313-linux_aarch64"


def test_the_other_wheels_are_named_by_what_selects_them(load: Callable[..., LoadedConfig]) -> None:
    class Heard(SilentReporter):
        def __init__(self) -> None:
            self.lines: list[str] = []

        def info(self, text: str) -> None:
            self.lines.append(f"info {text}")

        def warn(self, text: str) -> None:
            self.lines.append(f"warn {text}")

    heard = Heard()
    decisions = plan(load(CLASSIC, TWO_TORCHS + '\npythons = ["3.11", "3.12"]'), TABLES)
    choose(decisions, heard, Here("3.11", "x86_64"))
    head = "building nvcc-cu13.0-torch2.12-cp311-linux_x86_64 of 4 wheels"
    assert f"warn {head}; the others: -C gpuwheel.only=nvcc-cu13.0-torch2.13-cp311-linux_x86_64" in heard.lines
    elsewhere = "nvcc-cu13.0-torch2.12-cp312-linux_x86_64, nvcc-cu13.0-torch2.13-cp312-linux_x86_64"
    assert f"info {head}; by another Python, or for another machine: {elsewhere}" in heard.lines
    named = Heard()
    choose(decisions, named, Here("3.11", "x86_64"), decisions[2].cell.name)
    assert not any("of 4 wheels" in line for line in named.lines)


@pytest.mark.parametrize(
    ("python", "machine", "hint"),
    [
        ("3.9", "x86_64", "build with Python 3.11, 3.12"),
        ("3.12t", "x86_64", "build with Python 3.11, 3.12"),
        ("pypy3.11", "x86_64", "build with Python 3.11, 3.12"),
        ("3.11", "aarch64", "set CXX to a compiler for x86_64, or build on such a machine"),
    ],
)
def test_what_makes_none_of_the_wheels_is_told_which_there_are(
    load: Callable[..., LoadedConfig], python: str, machine: str, hint: str
) -> None:
    settings = 'cuda = "13.0"\ntorch = "==2.13.*"\npythons = ["3.11", "3.12"]\nmachines = ["x86_64"]'
    decisions = plan(load(CLASSIC, settings), TABLES, machine=machine)
    with pytest.raises(PlanError) as caught:
        choose(decisions, SilentReporter(), Here(python, machine))
    assert f"Python {python} and C++ for {machine} make no wheel of this project" in caught.value.message
    assert all(name in caught.value.message for name in names(decisions))
    assert caught.value.hint == hint


def test_a_python_whose_cell_is_rejected_is_told_why(load: Callable[..., LoadedConfig]) -> None:
    decisions = plan(load(CLASSIC, 'cuda = "13.0"\ntorch = "==2.15.*"'), TABLES)
    with pytest.raises(PlanError, match=r"make no wheel .*torch ==2\.15\.\* has no wheel for Python 3\.10 ") as caught:
        choose(decisions, SilentReporter(), Here("3.10", "x86_64"))
    assert str(caught.value.hint).startswith("build with Python 3.11, 3.12")


def test_a_cell_is_selected_by_its_name(load: Callable[..., LoadedConfig]) -> None:
    decisions = plan(load(CLASSIC, TWO_TORCHS + '\npythons = ["3.11"]'), TABLES)
    only = CellName.parse("nvcc-cu13.0-torch2.13-cp311-linux_x86_64")
    assert choose(decisions, SilentReporter(), Here("3.11", "x86_64"), only).torch_range == SpecifierSet("==2.13.*")
    with pytest.raises(PlanError, match=r"make no wheel .*nvcc-cu13\.0-torch2\.13-cp311-linux_x86_64\)"):
        choose(decisions, SilentReporter(), Here("3.12", "x86_64"), only)
    with pytest.raises(PlanError, match="only names no wheel of this project") as caught:
        select(decisions, CellName.parse("nvcc-cu13.0-torch2.14-cp311-linux_x86_64"))
    assert str(caught.value.hint).startswith("did you mean 'nvcc-cu13.0-torch2.1")


def test_a_selected_cell_that_is_rejected_says_why(load: Callable[..., LoadedConfig]) -> None:
    decisions = plan(load(CLASSIC, 'cuda = "13.0"\ntorch = ["==2.10.*", "==2.13.*"]\npythons = ["3.11"]'), TABLES)
    (bad,) = names(decisions, accepted=False)
    with pytest.raises(PlanError, match=r"cannot be built: torch 2\.10 has CUDA 12.8"):
        choose(decisions, SilentReporter(), Here("3.11", "x86_64"), CellName.parse(bad))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("pythons = [3.12]", "pythons in pyproject.toml"),
        ('pythons = ["py312"]', "a Python as a string such as '3.12'"),
        ("machines = []", "machines in pyproject.toml is empty"),
        ('only = "nvcc"', "expected the identifier of a wheel"),
        ('torch = ["==2.12.*", ">=2.13"]', "is a floor and 'ops._C' is built for one torch"),
        ('torch = ["==2.12.*", "==2.12.*"]', "has an entry twice"),
    ],
)
def test_mistakes(load: Callable[..., LoadedConfig], settings: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(CLASSIC, settings)


def test_dependencies_that_a_project_states_cannot_be_those_of_two_torchs(tmp_path: Path) -> None:
    text = PROJECT.format(extension=CLASSIC, settings=TWO_TORCHS, python=">=3.10")
    stated = text.replace('dynamic = ["dependencies"]', 'dependencies = ["torch==2.13.*"]')
    (tmp_path / "pyproject.toml").write_text(stated, encoding="utf-8")
    (tmp_path / "ops.cpp").touch()
    with pytest.raises(ConfigError, match=r"expected 'torch==2\.12"):
        load_config(tmp_path, environ={})


def test_cells_for_several_machines_compile_the_same_kernels(tmp_path: Path) -> None:
    kernels = '\n[tool.gpuwheel.kernels.k]\nsources = ["k.cu"]\n'
    text = PROJECT.format(extension='kernels = ["k"]', settings='machines = ["x86_64", "aarch64"]', python=">=3.10")
    (tmp_path / "pyproject.toml").write_text(text + kernels, encoding="utf-8")
    for name in ("ops.cpp", "k.cu"):
        (tmp_path / name).touch()
    config = load_config(tmp_path, environ={})
    cells = [decision.cell for decision in plan(config, TABLES)]
    one, other = (resolve_job(cell, config.settings, project_files(config), TABLES) for cell in cells)
    assert (one.cell.machine, other.cell.machine) == ("x86_64", "aarch64")
    assert one.groups == other.groups
    assert one.pins == other.pins
