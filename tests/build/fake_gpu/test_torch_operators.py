"""torch's own operators run on the pretend GPU, called from Python and from C++."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel.testing.environment import FakeSettings

if TYPE_CHECKING:
    from conftest import Torch

pytestmark = [pytest.mark.network, pytest.mark.compiler, pytest.mark.slow]

HERE = Path(__file__).parent
DATABASE = HERE.parents[2] / "ci" / "operators" / "database.py"


@pytest.mark.parametrize("cases", ["operator_cases.py", "user_cases.py"])
def test_operators_give_what_they_give_on_the_cpu(torch: Torch, tmp_path: Path, cases: str) -> None:
    environ = torch.fake_environment(FakeSettings(devices=2, execute=True))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")  # none of a folder above
    words = ("-m", "pytest", "-q", "-c", tmp_path / "pytest.ini", "--noconftest", HERE / cases)
    out = torch.run(*words, cwd=tmp_path, check=False, **environ)
    assert out.returncode == 0, out.output
    assert " passed" in out.stdout
    assert "failed" not in out.stdout


def test_operators_of_the_database_that_were_drawn_are_equal(torch: Torch) -> None:
    """ci/operators/whole_database.py looks at all of them, and keeps what it finds."""
    environ = torch.fake_environment(FakeSettings(execute=True))
    lines = torch.run(DATABASE, "--draw", "20", "--seed", "2", "--samples", "1", **environ).stdout.splitlines()
    documents = [json.loads(line) for line in lines if line.startswith('{"operator')]
    assert len(documents) == 20
    values = [document["counts"].get("forward", {}) for document in documents]
    assert sum(kinds.get("equal", 0) for kinds in values) > 80
    unequal = [one for document in documents for one in document["found"] if one["kind"] in ("differs", "failed")]
    assert [one for one in unequal if one["aspect"] != "strides"] == []
