"""A release is held up by long sessions that did not run, ran on other code, or failed."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gpuwheel._run import run

if TYPE_CHECKING:
    from types import ModuleType

SCRIPT = Path(__file__).resolve().parents[2] / "ci" / "release_check.py"
SOMEBODY = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")


@pytest.fixture
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release_check", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for names
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "gpuwheel").mkdir()
    (tmp_path / "gpuwheel" / "keys.py").write_text("1", encoding="utf-8")
    for words in (("init", "-q"), ("add", "."), (*SOMEBODY, "commit", "-q", "-m", "Begin")):
        run(["git", "-C", tmp_path, *words])
    return tmp_path


def left(repository: Path, **changes: Any) -> None:  # noqa: ANN401  # values of JSON
    """Results of both sessions at the current commit, with some values changed in those of the edits."""
    head = run(["git", "-C", repository, "rev-parse", "HEAD"]).stdout.strip()
    results = {
        "reuse": {"date": "2026-12-01 10:00", "commit": head, "edits": 300, "unequal": 0, **changes},
        "fuzz": {"date": "2026-12-01T10:00:00Z", "commit": head[:12], "inputs": 1_200_000, "failed": 0},
    }
    for name, result in results.items():
        folder = repository / "ci" / name / "results"
        folder.mkdir(parents=True)
        (folder / "2026-12-01.json").write_text(json.dumps(result), encoding="utf-8")


def test_whole_sessions_on_this_code_let_it_pass(check: ModuleType, repository: Path) -> None:
    left(repository)
    assert check.main(repository) == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"edits": 12}, "12 edits (expected 300"),
        ({"unequal": 1}, "1 unequal"),
        ({"commit": "0" * 40}, "no commit here"),
    ],
)
def test_short_failed_and_foreign_ones_hold_it_up(
    check: ModuleType, repository: Path, changes: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    left(repository, **changes)
    assert check.main(repository) == 1
    assert said in capsys.readouterr().out


def test_so_do_changes_since_then_and_sessions_that_never_ran(
    check: ModuleType, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.main(repository) == 1
    assert capsys.readouterr().out.count("no result") == 2
    left(repository)
    (repository / "gpuwheel" / "keys.py").write_text("2", encoding="utf-8")
    assert check.main(repository) == 1
    assert "older gpuwheel" in capsys.readouterr().out
