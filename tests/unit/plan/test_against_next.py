"""What a torch, a Python or a CUDA that does not exist yet would change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from click.testing import CliRunner

from gpuwheel._resources import resource
from gpuwheel.cli import main
from gpuwheel.compatibility import load_tables
from gpuwheel.compatibility.next_rows import next_releases
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from pathlib import Path

TABLES = load_tables()
TORCH, CUDA = max(TABLES.torch), max(TABLES.cuda)
NEXT_TORCH, NEXT_CUDA = MinorVersion(TORCH.major, TORCH.minor + 1), MinorVersion(CUDA.major, CUDA.minor + 1)
NEWEST_PYTHON = max(MinorVersion.parse(text.rstrip("t")) for text in TABLES.torch[TORCH].pythons)
NEXT_PYTHON = MinorVersion(3, NEWEST_PYTHON.minor + 1)
CLASSIC = 'mode = "nvcc"\nabi = "exact"\npython = "version"'


def changes(root: Path, settings: str, extension: str) -> dict[str, dict[str, Any]]:
    (root / "pyproject.toml").write_text(
        '[project]\nname = "ops"\nversion = "1"\nrequires-python = ">=3.10"\ndynamic = ["dependencies"]\n'
        f'[tool.gpuwheel]\narchs = ["8.0"]\n{settings}\n'
        f'[tool.gpuwheel.extensions."ops._C"]\nsources = ["ops.cpp"]\n{extension}\n',
        encoding="utf-8",
    )
    (root / "ops.cpp").touch()
    result = CliRunner().invoke(main, ["plan", str(root), "--against-next", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    jsonschema.validate(document, json.loads(resource("data", "plan.schema.json").read_text(encoding="utf-8")))
    return dict(zip(("torch", "python", "cuda"), document["next"], strict=True))


def test_each_has_one_release_more_and_nothing_less() -> None:
    torch, python, cuda = next_releases(TABLES)
    assert set(torch.tables.torch) - set(TABLES.torch) == {NEXT_TORCH}
    assert set(cuda.tables.cuda) - set(TABLES.cuda) == {NEXT_CUDA}
    assert str(NEXT_PYTHON) in python.tables.torch[TORCH].pythons
    assert [torch.name, python.name, cuda.name] == [
        f"torch {NEXT_TORCH}", f"Python {NEXT_PYTHON}", f"CUDA {NEXT_CUDA}"
    ]  # fmt: skip
    assert all(one.assumption for one in (torch, python, cuda))


@pytest.mark.parametrize("extension", ["", 'mode = "nvcc"\npython = "abi3"'])
def test_what_is_collapsed_needs_nothing_for_a_new_torch_and_a_new_python(tmp_path: Path, extension: str) -> None:
    found = changes(tmp_path, "", extension)
    for axis in ("torch", "python"):
        assert (found[axis]["added"], found[axis]["stale"], found[axis]["on_request"]) == ([], [], [])
        assert len(found[axis]["kept"]) == 1
    assert "the stable ABI serves every torch from 2.10 on" in found["torch"]["reason"]
    assert found["python"]["reason"]


def test_an_image_needs_nothing_for_a_new_toolkit_and_nvcc_code_may_have_a_wheel_of_it(tmp_path: Path) -> None:
    assert "run on newer drivers too" in changes(tmp_path, "", "")["cuda"]["reason"]
    nvcc = changes(tmp_path, 'cuda = "13.0"', 'mode = "nvcc"')["cuda"]
    assert (len(nvcc["kept"]), nvcc["added"], nvcc["stale"]) == (1, [], [])
    assert nvcc["setting"] == f'cuda = [..., "{NEXT_CUDA}"]'
    assert nvcc["on_request"] == [f"nvcc-cu{NEXT_CUDA}-torch2.10-linux_x86_64"]


def test_versions_that_are_named_stay_and_what_would_be_added_by_naming_more_is_told(tmp_path: Path) -> None:
    settings = f'cuda = "13.0"\ntorch = "=={TORCH}.*"\npythons = ["3.12", "3.13"]'
    found = changes(tmp_path, settings, CLASSIC)
    assert all((len(one["kept"]), one["added"], one["stale"]) == (2, [], []) for one in found.values())
    assert found["torch"]["setting"] == f'torch = [..., "=={NEXT_TORCH}.*"]'
    assert found["torch"]["on_request"] == [
        f"nvcc-cu13.0-torch{NEXT_TORCH}-cp{python}-linux_x86_64" for python in ("312", "313")
    ]
    assert found["python"]["on_request"] == [f"nvcc-cu13.0-torch{TORCH}-cp3{NEXT_PYTHON.minor}-linux_x86_64"]


def test_pythons_that_are_not_named_come_by_themselves(tmp_path: Path) -> None:
    found = changes(tmp_path, f'cuda = "13.0"\ntorch = "=={TORCH}.*"', CLASSIC)["python"]
    assert found["added"] == [f"nvcc-cu13.0-torch{TORCH}-cp3{NEXT_PYTHON.minor}-linux_x86_64"]
    assert (found["stale"], found["on_request"], found["setting"]) == ([], [], None)


def test_a_python_that_the_chosen_torch_has_no_wheels_for_is_told_and_no_other_is_proposed(tmp_path: Path) -> None:
    found = changes(tmp_path, 'cuda = "13.0"\ntorch = ["==2.11.*"]\npythons = ["3.11"]', CLASSIC)["python"]
    assert (found["added"], found["on_request"], found["setting"]) == ([], [], None)
    assert found["reason"] == f"no torch that this project is for has wheels for Python {NEXT_PYTHON}"


def test_a_python_that_the_project_does_not_admit_is_told(tmp_path: Path) -> None:
    settings = f'cuda = "13.0"\ntorch = "=={TORCH}.*"\npythons = ["3.12"]'
    changes(tmp_path, settings, CLASSIC)
    path = tmp_path / "pyproject.toml"
    text = path.read_text(encoding="utf-8").replace('">=3.10"', f'">=3.10,<{NEXT_PYTHON}"')
    path.write_text(text, encoding="utf-8")
    document = json.loads(CliRunner().invoke(main, ["plan", str(tmp_path), "--against-next", "--json"]).stdout)
    python = document["next"][1]
    assert (python["on_request"], python["setting"]) == ([], None)
    assert python["reason"] == f"requires-python does not admit Python {NEXT_PYTHON}"


def test_a_policy_moves_on(tmp_path: Path) -> None:
    settings = 'cuda = "13.0"\ntorch = "last 2 minors"\npythons = ["3.12"]'
    found = changes(tmp_path, settings, CLASSIC)["torch"]
    older = MinorVersion(TORCH.major, TORCH.minor - 1)
    assert found["added"] == [f"nvcc-cu13.0-torch{NEXT_TORCH}-cp312-linux_x86_64"]
    assert found["stale"] == [f"nvcc-cu13.0-torch{older}-cp312-linux_x86_64"]
    assert found["kept"] == [f"nvcc-cu13.0-torch{TORCH}-cp312-linux_x86_64"]
    assert found["on_request"] == []


def test_the_terminal_says_it_in_words_and_only_when_asked(tmp_path: Path) -> None:
    changes(tmp_path, f'cuda = "13.0"\ntorch = "=={TORCH}.*"\npythons = ["3.12"]', CLASSIC)
    text = CliRunner().invoke(main, ["plan", str(tmp_path), "--against-next"]).stdout
    assert f"against torch {NEXT_TORCH} (assumed: as torch {TORCH}" in text
    assert "  1 wheel of today: no rebuild" in text
    assert f'  torch = [..., "=={NEXT_TORCH}.*"] would add 1 cell: nvcc-cu13.0-torch{NEXT_TORCH}' in text
    assert "against" not in CliRunner().invoke(main, ["plan", str(tmp_path)]).stdout
