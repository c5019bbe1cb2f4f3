"""Which files each template gives. `golden/*.txt` holds the answers in its first line, and then the files.

GPUWHEEL_GOLDEN=write pytest tests/build/scaffold/test_files.py    # writes them anew; look at the difference
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpuwheel.scaffold import template_names
from gpuwheel.scaffold.copier_worker import render
from gpuwheel.scaffold.templates import current_tree, write_tree

GOLDEN = Path(__file__).resolve().parent / "golden"
CASES = sorted(GOLDEN.glob("*.txt"))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("templates")
    write_tree(current_tree(), folder)
    return folder


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_a_project_has_these_files(case: Path, tree: Path, tmp_path: Path) -> None:
    title, *expected = case.read_text(encoding="utf-8").splitlines()
    given = dict(word.split("=") for word in title.removeprefix("#").split())
    answers = {key: {"true": True, "false": False}.get(value, value) for key, value in given.items()}
    project = tmp_path / "my-ops"
    defaults = {"project_name": "my-ops"}
    request = {"source": str(tree), "tag": None, "destination": project, "answers": answers, "conflict": None}
    render({**request, "defaults": defaults})
    files = sorted(path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file())
    if os.environ.get("GPUWHEEL_GOLDEN") == "write":
        case.write_text("\n".join([title, *files]) + "\n", encoding="utf-8")
    else:
        assert files == expected
    empty = [path for path in project.rglob("*") if path.is_dir() and not any(path.iterdir())]
    assert empty == [], "git forgets empty folders"


def test_every_template_is_among_them() -> None:
    assert {case.stem.partition("-")[0] for case in CASES} == set(template_names())
