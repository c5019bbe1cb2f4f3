"""`gpuwheel plan` of a project with many wheels: the table, one cell explained, reasons, and what would make fewer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from click.testing import CliRunner
from matrix_project import copy_matrix_project

from gpuwheel._resources import resource
from gpuwheel.cli import main
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.pipeline import Build
from gpuwheel.plan.views.cell_table import table

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = json.loads(resource("data", "plan.schema.json").read_text(encoding="utf-8"))
CLASSIC = 'mode = "nvcc"\nabi = "exact"\npython = "version"\n'


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_matrix_project(tmp_path_factory.mktemp("many") / "matrix")


def run(project: Path, *words: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["plan", str(project), *words])
    assert result.exit_code == code, result.output
    return result.stdout if code in {0, 4} and result.stdout else result.stderr


def document(project: Path, *words: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(project, "--json", *words, code=code))
    jsonschema.validate(found, SCHEMA)
    return found


def write(root: Path, settings: str, extension: str, source: str = "", python: str = ">=3.10") -> Path:
    (root / "pyproject.toml").write_text(
        f'[project]\nname = "many-ops"\nversion = "1.0+cpu"\nrequires-python = "{python}"\n'
        'dynamic = ["dependencies"]\n'
        f"[tool.gpuwheel]\n{settings}\n"
        f'[tool.gpuwheel.extensions."many_ops._C"]\nsources = ["ops.cpp"]\n{extension}\n',
        encoding="utf-8",
    )
    (root / "ops.cpp").write_text(source, encoding="utf-8")
    return root


def test_twenty_four_candidates_are_one_row_each_and_alike_columns_stand_once(matrix: Path) -> None:
    lines = run(matrix).splitlines()
    assert lines[0] == "every cell: CUDA 13.0, driver >=580, archs 8.0, platform manylinux_2_28_x86_64"
    assert lines[1].split() == ["cell", "verdict", "Python", "torch", "file"]
    rows = [line.split() for line in lines[2:26]]
    assert all(len(row) == 5 and row[1] in {"build", "reject"} for row in rows)
    assert [
        "nvcc-cu13.0-torch2.13-cp311-linux_x86_64", "build", "3.11", "==2.13.*",
        "matrix_ops-1.0+torch2.13-cp311-cp311-manylinux_2_28_x86_64.whl",
    ] in rows  # fmt: skip
    assert lines[26] == "19 wheels of 24 candidates"
    # A reason stands once, for all the cells that it rejects.
    (reason,) = (line for line in lines if line.startswith("reject: torch 2.10 has CUDA 12.8"))
    assert reason.count("nvcc-cu13.0-torch2.10-cp3") == 4
    assert len({row[4] for row in rows if row[1] == "build"}) == 19


@pytest.mark.parametrize("width", [40, 90, 120, 200])
def test_a_narrow_terminal_has_names_of_files_below_their_rows(matrix: Path, width: int) -> None:
    overview = Build(matrix, {}, {}, SilentReporter()).overview()
    lines = table(overview, width)
    files = [facts.file for facts in overview.accepted]
    if width < 140:
        assert [line.strip() for line in lines if line.startswith("    ")] == files
    else:
        assert max(map(len, lines)) <= width
    assert len(lines) == 26 + (19 if width < 140 else 0)


def test_a_cell_is_explained_with_what_it_rests_on(matrix: Path) -> None:
    text = run(matrix, "--explain", "nvcc-cu13.0-torch2.13-cp311-linux_x86_64")
    assert text.startswith("nvcc-cu13.0-torch2.13-cp311-linux_x86_64  build: one wheel serves Python 3.11, torch 2.13")
    for line in (
        "  sm_80    8.0 8.6 8.7 8.8 8.9",
        "  local version: torch2.13",
        "  requires: torch==2.13.*",
        "  narrow: csrc/module.cpp:2 includes torch/extension.h",
        "  data: torch.toml versions.2.13: cuda 13.0 (torch/version.py in the wheel)",
    ):
        assert line in text.splitlines()
    assert "  fewer wheels: cells differ by Python only because csrc/module.cpp:2" in text
    assert "  data: cuda.toml toolkits.13.0: driver-floor 580 (CUDA Toolkit release notes" in text
    assert run(matrix, "--explain", "*torch2.13*").count("  build: ") == 4
    cells = document(matrix, "--explain", "*torch2.13*")["cells"]
    assert [cell["python"] for cell in cells] == ["3.10", "3.11", "3.12", "3.13"]
    rejected = run(matrix, "--explain", "*torch2.10-cp310*")
    assert "  reject: torch 2.10 has CUDA 12.8" in rejected
    assert "file:" not in rejected


def test_a_cell_that_is_none_is_an_error_with_the_names(matrix: Path) -> None:
    message = run(matrix, "--explain", "embed-*", code=4)
    assert (
        "--explain names no cell of this project (found 'embed-*', expected of nvcc-cu13.0-torch2.10-cp310" in message
    )


def test_what_would_make_fewer_wheels_is_counted_by_planning_again(matrix: Path) -> None:
    found = {gain["axis"]: gain for gain in document(matrix)["collapse"]}
    assert {axis: (gain["wheels"], gain["would_be"]) for axis, gain in found.items()} == {
        "compat": (19, 1), "python": (19, 5), "torch": (19, 4), "python and torch": (19, 1), "cuda": (19, 1)
    }  # fmt: skip
    assert found["python"]["settings"] == ['python = "none"']
    assert [line["place"] for line in found["python"]["lines"]] == ["csrc/module.cpp:2"]
    assert len(found["torch"]["lines"]) > 10
    text = run(matrix)
    assert (
        "fewer wheels: cells differ by Python only because csrc/module.cpp:2 includes torch/extension.h; with "
        "TORCH_LIBRARY in place of a Python module 19 wheels become 5\n"
    ) in text
    assert " and 18 more lines; with torch's stable ABI" in text


def test_sources_that_can_stay_as_they_are_are_told_first(matrix: Path, tmp_path: Path) -> None:
    text, found = run(matrix), document(matrix)
    gains = [line for line in text.splitlines() if line.startswith("fewer wheels: ")]
    assert gains[0] == (
        "fewer wheels: no source uses what gpuwheel's headers lack; with gpuwheel's headers in place of torch's "
        '(abi = "compat") 19 wheels become 1'
    )
    assert 'matrix_ops._C collapses as it is: abi = "compat"' in text.splitlines()
    assert found["surveys"] == [{"extension": "matrix_ops._C", "verdict": "whole", "lines": []}]
    assert found["collapse"][0]["settings"] == ['abi = "compat"', "no key python", 'torch = ">=2.10"']
    run(matrix, "--html", str(tmp_path / "plan.html"))
    assert "matrix_ops._C collapses as it is" in (tmp_path / "plan.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("code", "verdict", "says"),
    [
        ("c10::Dispatcher d;\n" * 9, "lines", 'many_ops._C collapses with abi = "compat" but for 9 lines:'),
        ("c10d::Store s;\n", "cannot", 'many_ops._C cannot collapse (it uses c10d): abi = "exact"'),
    ],
)
def test_lines_in_the_way_are_told_with_the_edit_that_would_do(
    tmp_path: Path, code: str, verdict: str, says: str
) -> None:
    settings = 'archs = ["8.0"]\ncuda = "13.0"\npythons = ["3.11", "3.12"]\ntorch = "==2.13.*"'
    project = write(tmp_path, settings, CLASSIC, f"#include <torch/extension.h>\n{code}")
    found, text = document(project), run(project)
    (survey,) = found["surveys"]
    assert survey["verdict"] == verdict
    assert says in text.splitlines()
    assert "  ops.cpp:2 uses " in text
    gains = [gain for gain in found["collapse"] if gain["axis"] == "compat"]
    if verdict == "lines":
        assert "; instead: call the function of at::" in text
        assert "  and 3 more lines: gpuwheel plan --json" in text.splitlines()
        assert [line["place"] for line in gains[0]["lines"]] == [f"ops.cpp:{number}" for number in range(2, 11)]
        assert (gains[0]["wheels"], gains[0]["would_be"]) == (2, 1)
        assert gains[0]["because"].endswith("and 6 more lines")
    else:
        assert gains == []


def test_twelve_wheels_become_three(tmp_path: Path) -> None:
    settings = 'cuda = "13.0"\narchs = ["8.0"]\ntorch = ["==2.12.*", "==2.13.*", "==2.14.*"]\n'
    source = "#include <cstdint>\n\n#include <torch/extension.h>\n#include <pybind11/stl.h>\n"
    project = write(tmp_path, settings + 'pythons = ["3.10", "3.11", "3.12", "3.13"]', CLASSIC, source)
    (gain,) = (one for one in document(project)["collapse"] if one["axis"] == "python")
    assert (gain["wheels"], gain["would_be"]) == (12, 3)
    assert gain["because"] == (
        "cells differ by Python only because ops.cpp:3 includes torch/extension.h, ops.cpp:4 includes pybind11/stl.h"
    )


def test_an_axis_that_no_line_holds_open_is_the_key_that_does(tmp_path: Path) -> None:
    project = write(
        tmp_path, 'cuda = "13.0"\npythons = ["3.10", "3.11"]', 'mode = "nvcc"\nabi = "none"\npython = "version"'
    )
    (gain,) = document(project)["collapse"]
    assert (gain["axis"], gain["wheels"], gain["would_be"], gain["lines"]) == ("python", 2, 1, [])
    assert 'extensions."many_ops._C" has python = "version", and no source that gpuwheel reads asks' in gain["because"]
    assert gain["settings"] == ['python = "abi3"']


@pytest.mark.parametrize(
    ("settings", "extension"),
    [("", ""), ('cuda = "13.0"\ntorch = "==2.13.*"\npythons = ["3.12"]', CLASSIC)],
)
def test_one_wheel_has_nothing_to_save(tmp_path: Path, settings: str, extension: str) -> None:
    found = document(write(tmp_path, settings, extension))
    assert (found["wheels"], found["collapse"]) == (1, [])


@pytest.mark.parametrize(
    ("settings", "extension", "reason", "hint"),
    [
        ('torch = "==2.15.*"\npythons = ["3.10"]', CLASSIC, "torch ==2.15.* has no wheel for Python 3.10", "take 3.10"),
        ('torch = "==2.15.*"', CLASSIC, "torch ==2.15.* has no wheel for Python 3.10", "leaves it out"),
        ('pythons = ["3.9"]', CLASSIC, "pythons names 3.9, which requires-python", "take 3.9 out"),
        ('archs = ["7.0"]', CLASSIC, "archs names 7.0, which cuda 13.0 does not compile for", "take 7.0 out"),
        ('driver = ">=525"', CLASSIC, "driver 525 cannot load images of cuda 13.0", "driver ="),
        ('torch = "==2.10.*"', CLASSIC, "torch 2.10 has CUDA 12.8, of another major", 'cuda = "12.8"'),
        ('torch = "==2.99.*"', CLASSIC, "torch 2.99 is not one whose headers for x86_64 gpuwheel pins", "torch ="),
        ('torch = "==2.10.*"\nmachines = ["aarch64"]', CLASSIC, "headers for aarch64 gpuwheel pins", "torch ="),
        ('machines = ["riscv64"]', CLASSIC, "machine 'riscv64' is not one that gpuwheel builds for", None),
        ('torch = ">=2.9"', "", "torch 2.9 has no complete stable ABI", 'torch = ">=2.10"'),
        ('torch = ">=2.99"', "", "torch 2.99 is newer than the headers of this gpuwheel", "pip install -U"),
        ('cuda = "11.8"', "", "cuda 11.8 is not a toolkit that gpuwheel knows", ""),
        ('cuda = "13.1"', "", "cuda 13.1 has no device compiler that gpuwheel pins", "cuda ="),
        ('[tool.gpuwheel.wheel]\nplatform = "manylinux_2_99"', "", "is not one whose symbols gpuwheel knows", ""),
    ],
)
def test_every_rejection_has_its_reason(
    tmp_path: Path, settings: str, extension: str, reason: str, hint: str | None
) -> None:
    if extension and "cuda" not in settings:
        settings = f'cuda = "13.0"\n{settings}'
    if extension and "torch" not in settings:
        settings = f'torch = "==2.13.*"\n{settings}'
    project = write(tmp_path, settings, extension)
    plan = json.loads(CliRunner().invoke(main, ["plan", str(project), "--json"]).stdout)
    rejected = [cell for cell in plan["cells"] if not cell["accepted"]]
    assert rejected
    assert any(reason in cell["reason"] for cell in rejected), rejected[0]["reason"]
    if hint is not None:
        assert any(hint in (cell["hint"] or "") for cell in rejected), [cell["hint"] for cell in rejected]


def test_a_local_part_of_the_projects_own_stays_in_front(tmp_path: Path) -> None:
    settings = 'cuda = "13.0"\ntorch = ["==2.12.*", "==2.13.*"]\npythons = ["3.12"]'
    found = document(write(tmp_path, settings, CLASSIC))
    assert [cell["file"] for cell in found["cells"]] == [
        f"many_ops-1.0+cpu.torch2.{minor}-cp312-cp312-manylinux_2_28_x86_64.whl" for minor in (12, 13)
    ]
    assert [cell["local"] for cell in found["cells"]] == ["torch2.12", "torch2.13"]


def test_what_only_the_build_decides_is_a_star(tmp_path: Path) -> None:
    settings = 'cuda = "13.0"\ntorch = "==2.13.*"\npythons = ["3.12"]\n[tool.gpuwheel.wheel]\nplatform = "system"'
    project = write(tmp_path, settings, CLASSIC)
    file = project / "pyproject.toml"
    text = file.read_text(encoding="utf-8").replace('version = "1.0+cpu"\n', "")
    text = text.replace('["dependencies"]', '["dependencies", "version"]')
    file.write_text(text, encoding="utf-8")
    (cell,) = document(project)["cells"]
    assert (cell["file"], cell["platform_tag"]) == ("many_ops-*-cp312-cp312-*.whl", None)


def test_free_threaded_pythons_of_torch_are_named_as_not_planned(tmp_path: Path) -> None:
    settings = 'cuda = "13.0"\ntorch = "==2.13.*"\npythons = ["3.14"]'
    project = write(tmp_path, settings, CLASSIC)
    assert document(project)["free_threaded"] == ["3.14t"]
    assert "not planned: free-threaded Python 3.14t" in run(project)
    stable = write(tmp_path, 'cuda = "13.0"', 'mode = "nvcc"')
    assert document(stable)["free_threaded"] == [], "a library serves them too"
    named = write(tmp_path, settings.replace("3.14", "3.14t"), CLASSIC)
    result = CliRunner().invoke(main, ["plan", str(named)])
    assert result.exit_code == 3
    assert "hint: did you mean '3.14'?" in result.stderr


def test_extensions_of_two_modes_make_no_wheel_that_lacks_one_of_them(tmp_path: Path) -> None:
    second = '\n[tool.gpuwheel.extensions."many_ops._D"]\nsources = ["ops.cpp"]'
    found = document(write(tmp_path, 'cuda = "12.9"', 'mode = "nvcc"' + second), code=4)
    assert {cell["mode"] for cell in found["cells"]} == {"embed", "nvcc"}
    assert all("extensions of modes embed and nvcc are in one wheel" in cell["reason"] for cell in found["cells"])


@pytest.mark.parametrize(
    ("axis", "torch", "extension", "source"),
    [
        ("python", None, CLASSIC.replace('"version"', '"none"'), "#include <torch/library.h>\n"),
        ("torch", '">=2.12"', CLASSIC.replace('"exact"', '"stable"'), "#include <Python.h>\n"),
        ("python and torch", '">=2.12"', 'mode = "nvcc"', "#include <torch/csrc/stable/library.h>\n"),
        ("cuda", '">=2.12"', "", "#include <torch/csrc/stable/library.h>\n"),
        ("compat", '">=2.12"', 'mode = "nvcc"\nabi = "compat"', "#include <torch/extension.h>\n"),
    ],
)
def test_a_project_that_does_what_is_said_has_so_many_wheels(
    tmp_path: Path, axis: str, torch: str | None, extension: str, source: str
) -> None:
    settings = 'archs = ["8.0"]\npythons = ["3.11", "3.12"]\n{}torch = {}'
    torchs, cuda = '["==2.12.*", "==2.13.*", "==2.14.*"]', 'cuda = "13.0"\n'
    project = write(tmp_path, settings.format(cuda, torchs), CLASSIC, "#include <torch/extension.h>\n")
    (gain,) = (one for one in document(project)["collapse"] if one["axis"] == axis)
    # `embed` compiles by another toolkit, which is the default's.
    changed = settings.format("" if axis == "cuda" else cuda, torch or torchs)
    assert document(write(tmp_path, changed, extension, source))["wheels"] == gain["would_be"]
