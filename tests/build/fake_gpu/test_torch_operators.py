"""torch's own operators run on the pretend GPU, called from Python and from C++."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gpuwheel.testing.environment import FakeSettings

if TYPE_CHECKING:
    from conftest import Torch

pytestmark = [pytest.mark.network, pytest.mark.compiler, pytest.mark.slow]

CASES, DATABASE = (Path(__file__).with_name(name) for name in ("operator_cases.py", "operator_database.py"))


def test_operators_give_what_they_give_on_the_cpu(torch: Torch, tmp_path: Path) -> None:
    environ = torch.fake_environment(FakeSettings(devices=2, execute=True))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")  # none of a folder above
    out = torch.run(
        "-m", "pytest", "-q", "-c", tmp_path / "pytest.ini", "--noconftest", CASES, cwd=tmp_path, check=False, **environ
    )
    assert out.returncode == 0, out.output
    assert " passed" in out.stdout
    assert "failed" not in out.stdout


def of_the_database(torch: Torch, *words: str) -> dict[str, Any]:
    environ = torch.fake_environment(FakeSettings(execute=True))
    lines = torch.run(DATABASE, *words, **environ).stdout.splitlines()
    found: dict[str, Any] = json.loads(next(line for line in lines if line.startswith("{")))
    return found


def test_operators_of_the_database_that_were_drawn_are_equal(torch: Torch) -> None:
    found = of_the_database(torch, "--draw", "20", "--seed", "2", "--samples", "1")
    assert found["operators"] == 20
    assert found["failures"] == {}
    assert found["samples"]["equal"] > 80


@pytest.mark.heavy
def test_all_operators_of_the_database_are_equal(torch: Torch) -> None:
    """docs/explanation/torch-operators.md has the figures."""
    found = of_the_database(torch)
    assert found["failures"] == {}
    assert found["samples"]["equal"] > 10_000
    assert found["samples"].get("close", 0) < 50
