"""torch's own operators run on the pretend GPU, called from Python and from C++."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel.testing.environment import FakeSettings

if TYPE_CHECKING:
    from conftest import Torch

pytestmark = [pytest.mark.network, pytest.mark.compiler, pytest.mark.slow]

CASES = Path(__file__).with_name("operator_cases.py")


def test_operators_give_what_they_give_on_the_cpu(torch: Torch, tmp_path: Path) -> None:
    environ = torch.fake_environment(FakeSettings(devices=2, execute=True))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")  # none of a folder above
    out = torch.run(
        "-m", "pytest", "-q", "-c", tmp_path / "pytest.ini", "--noconftest", CASES, cwd=tmp_path, check=False, **environ
    )
    assert out.returncode == 0, out.output
    assert " passed" in out.stdout
    assert "failed" not in out.stdout
