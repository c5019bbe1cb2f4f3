"""What the pages say of GPUs comes from the files of `ci/gpu.sh` alone."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "ci" / "gpu" / "pages.py"
MACHINE = {
    "device": "NVIDIA H200",
    "compute_capability": "9.0",
    "torch": "2.11.0",
    "torch_cuda": "13.0",
    "python": "3.12",
}
FIGURE = {"operator": "swiglu", "phase": "forward", "dtype": "bfloat16", "size": 1 << 20, "by": "gpuwheel"}
FIGURE |= {"p50_us": 10.0, "p99_us": 11.0, "share_of_copy": 0.93}
RESULTS: dict[str, dict[str, Any]] = {
    "machine": {"machine": {"state": "passed"}},
    "tests": {"sample": {"state": "passed", "seconds": 31.0, "counts": {"passed": 123, "skipped": 4}}},
    "benchmarks": {"sample": {"state": "timed out", "figures": {"results": [FIGURE]}}},
    "sanitizer": {"sample memcheck": {"state": "not begun", "why": "no time was left"}},
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "docs" / "explanation").mkdir(parents=True)
    shutil.copy2(ROOT / "README.md", root)
    shutil.copy2(ROOT / "docs" / "explanation" / "on-gpu.md", root / "docs" / "explanation")
    return root


@pytest.fixture
def left(tmp_path: Path) -> Callable[..., Path]:
    """A folder as `ci/gpu.sh` leaves it."""

    def write(*, pretend: bool = False, tests: dict[str, Any] | None = None) -> Path:
        head = {"schema": 1, "commit": "a" * 40, "date": "2026-12-01", "command": "ci/gpu.sh W", "pretend": pretend}
        folder = tmp_path / "out"
        folder.mkdir()
        for part, results in {**RESULTS, **({"tests": tests} if tests else {})}.items():
            document = {**head, "machine": MACHINE, "part": part, "results": results}
            (folder / f"{part}.json").write_text(json.dumps(document), encoding="utf-8")
        return folder

    return write


def test_figures_of_a_gpu_reach_the_pages(repository: Path, left: Callable[..., Path]) -> None:
    run([sys.executable, SCRIPT, left(), "--root", repository])

    readme = (repository / "README.md").read_text(encoding="utf-8")
    page = (repository / "docs" / "explanation" / "on-gpu.md").read_text(encoding="utf-8")
    assert "NVIDIA H200" in readme
    assert "123 tests" in readme
    assert "93%" in page
    assert "timed out" not in page.partition("## compute-sanitizer")[0]
    assert "no time was left" in page
    assert run([sys.executable, SCRIPT, "--check", "--root", repository]).stdout == ""


def test_tests_that_could_not_begin_or_did_not_end_are_said(repository: Path, left: Callable[..., Path]) -> None:
    tests = {
        "sample": {"state": "failed", "seconds": 31.0, "counts": {"passed": 3, "failed": 1, "errors": 2}},
        "embed": {"state": "timed out", "seconds": 90.0, "counts": {}},
    }
    run([sys.executable, SCRIPT, left(tests=tests), "--root", repository])
    readme = (repository / "README.md").read_text(encoding="utf-8")
    assert (
        "3 tests of the sample and the templates passed and 3 failed; those of embed did not come to an end" in readme
    )
    assert "| `sample` | 3 | 3 | 0 | 31 | failed |" in (repository / "docs/explanation/on-gpu.md").read_text("utf-8")


def test_the_pretend_gpu_and_edited_pages_are_refused(repository: Path, left: Callable[..., Path]) -> None:
    refused = run([sys.executable, SCRIPT, left(pretend=True), "--root", repository], check=False)
    assert refused.returncode != 0
    assert "pretend GPU" in refused.stderr

    readme = repository / "README.md"
    readme.write_text(readme.read_text(encoding="utf-8").replace("Nothing has run", "Much has run"), encoding="utf-8")
    assert run([sys.executable, SCRIPT, "--check", "--root", repository], check=False).returncode == 1


def test_a_session_says_what_it_misses(tmp_path: Path) -> None:
    done = run(["bash", ROOT / "ci" / "gpu.sh", tmp_path, "--out", tmp_path / "out"], check=False)
    assert done.returncode == 2
    assert "no wheelhouse" in done.stderr
    assert not (tmp_path / "out").exists()
