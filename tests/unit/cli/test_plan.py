"""`gpuwheel plan`, as a person and as a CI script call it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jsonschema
import pytest
from click.testing import CliRunner
from small_project import PYPROJECT

from gpuwheel._resources import resource
from gpuwheel.cli import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (tmp_path / "k.cu").touch()
    (tmp_path / "ops.cpp").touch()
    return tmp_path


def test_the_table_names_the_cell_and_what_serves_each_device(project: Path) -> None:
    result = CliRunner().invoke(main, ["plan", str(project)])
    assert result.exit_code == 0, result.output
    assert "embed-cu12.9-torch2.10-linux_x86_64  build" in result.stdout
    assert "sm_80" in result.stdout
    assert "compute_90" in result.stdout


def test_the_document_follows_its_schema(project: Path) -> None:
    result = CliRunner().invoke(main, ["plan", str(project), "--json"])
    document = json.loads(result.stdout)
    jsonschema.validate(document, json.loads(resource("data", "plan.schema.json").read_text(encoding="utf-8")))
    (cell,) = document["cells"]
    assert cell["accepted"]
    assert {row["device"]: row["served_by"] for row in cell["coverage"]}["8.6"] == "sm_80"


def test_a_project_without_extensions_compiles_nothing(project: Path) -> None:
    head, _, _ = PYPROJECT.partition("[tool.gpuwheel]")
    lists = head.replace('["dependencies"]', '["dependencies", "optional-dependencies"]')
    (project / "pyproject.toml").write_text(f'{lists}[tool.gpuwheel]\nnvmath = ">=1.0"\n', encoding="utf-8")
    text = CliRunner().invoke(main, ["plan", str(project)]).stdout
    assert text == (
        "python-torch2.10-any  build: one wheel serves every Python, torch >=2.10; it holds no device code\n"
        "  file: ops-1-py3-none-any.whl\n"
    )
    document = json.loads(CliRunner().invoke(main, ["plan", str(project), "--json"]).stdout)
    jsonschema.validate(document, json.loads(resource("data", "plan.schema.json").read_text(encoding="utf-8")))
    (cell,) = document["cells"]
    assert (cell["mode"], cell["cuda"], cell["driver"], cell["archs"]) == ("python", None, None, [])


def test_a_project_without_extensions_is_rejected_by_its_extras(project: Path) -> None:
    head, _, _ = PYPROJECT.partition("[tool.gpuwheel]")
    lists = head.replace('["dependencies"]', '["dependencies", "optional-dependencies"]')
    (project / "pyproject.toml").write_text(f'{lists}[tool.gpuwheel]\nnvmath = ">=7.0"\n', encoding="utf-8")
    result = CliRunner().invoke(main, ["plan", str(project)])
    assert result.exit_code == 4
    assert "python-torch2.10-any  reject: nvmath >=7.0 is newer than any" in result.stdout


def test_a_plan_with_nothing_to_build_ends_with_the_code_of_plan_errors(project: Path) -> None:
    result = CliRunner().invoke(main, ["plan", str(project), "--json", "-C", "gpuwheel.archs=13.9"])
    assert result.exit_code == 4
    (cell,) = json.loads(result.stdout)["cells"]
    assert not cell["accepted"]
    assert "13.9" in cell["reason"]


def test_a_mistake_is_a_message_and_an_exit_code(project: Path) -> None:
    result = CliRunner().invoke(main, ["plan", str(project), "-C", "gpuwheel.arch=9.0"])
    assert result.exit_code == 3
    assert result.stdout == ""
    assert "error: " in result.stderr
    assert "hint: did you mean 'archs'" in result.stderr


def test_settings_need_a_value(project: Path) -> None:
    assert CliRunner().invoke(main, ["plan", str(project), "-C", "gpuwheel.archs"]).exit_code == 2


NVCC = """
mode = "nvcc"
abi = "{abi}"
python = "{python}"
"""


@pytest.mark.parametrize(
    ("abi", "python", "torch", "asked", "tag"),
    [
        ("exact", "version", "==2.13.*", "==2.13.*", "cp310-cp310"),
        ("stable", "none", ">=2.11", ">=2.11", "py3-none"),
        ("none", "abi3", None, None, "cp310-abi3"),
        ("none", "none", None, None, "py3-none"),
    ],
)
def test_the_document_says_what_the_wheel_will_say(
    project: Path, abi: str, python: str, torch: str | None, asked: str | None, tag: str
) -> None:
    text = PYPROJECT.replace("[tool.gpuwheel]", f'[tool.gpuwheel]\ntorch = "{torch}"' if torch else "[tool.gpuwheel]")
    text = text.replace('[tool.gpuwheel.kernels.k]\nsources = ["k.cu"]\n', "").replace('kernels = ["k"]\n', "")
    (project / "pyproject.toml").write_text(text + NVCC.format(abi=abi, python=python), encoding="utf-8")
    document = json.loads(CliRunner().invoke(main, ["plan", str(project), "--json"]).stdout)
    jsonschema.validate(document, json.loads(resource("data", "plan.schema.json").read_text(encoding="utf-8")))
    cell = document["cells"][0]
    assert (cell["torch"], cell["python_tag"], cell["requires_python"]) == (asked, tag, ">=3.10")


def test_one_wheel_is_shown_by_its_name(project: Path) -> None:
    text = PYPROJECT.replace('[tool.gpuwheel.kernels.k]\nsources = ["k.cu"]\n', "").replace('kernels = ["k"]\n', "")
    settings = '[tool.gpuwheel]\ncuda = ["13.0", "13.5"]'
    text = text.replace("[tool.gpuwheel]", settings) + NVCC.format(abi="none", python="none")
    (project / "pyproject.toml").write_text(text, encoding="utf-8")
    shown = CliRunner().invoke(main, ["plan", str(project), "--only", "nvcc-cu13.5-linux_x86_64"])
    assert shown.exit_code == 0
    assert "nvcc-cu13.5-linux_x86_64  build" in shown.stdout
    assert "cu13.0" not in shown.stdout
    by_variable = CliRunner().invoke(main, ["plan", str(project)], env={"GPUWHEEL_ONLY": "nvcc-cu13.0-linux_x86_64"})
    assert "cu13.5" not in by_variable.stdout
    unknown = CliRunner().invoke(main, ["plan", str(project), "--only", "nvcc-cu13.6-linux_x86_64"])
    assert unknown.exit_code == 4
    assert "expected nvcc-cu13.0-linux_x86_64, nvcc-cu13.5-linux_x86_64" in unknown.stderr
    wrong = CliRunner().invoke(main, ["plan", str(project), "--only", "cu13.5"])
    assert wrong.exit_code == 3


def test_dependencies_that_the_project_states_are_what_the_wheel_says(project: Path) -> None:
    stated = PYPROJECT.replace('dynamic = ["dependencies"]', 'dependencies = ["Torch>=2.10,<3"]')
    (project / "pyproject.toml").write_text(stated, encoding="utf-8")
    (cell,) = json.loads(CliRunner().invoke(main, ["plan", str(project), "--json"]).stdout)["cells"]
    assert set(cell["torch"].split(",")) == {">=2.10", "<3"}
