"""`guard = true` in a module of torch's classic API: a launch on a GPU without code is a RuntimeError in Python."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import gpuwheel
from gpuwheel._cache import Cache
from gpuwheel._run import run
from gpuwheel.testing import FakeSettings, fake_gpu_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from compat_modules import Built

pytestmark = [pytest.mark.compiler, pytest.mark.network, pytest.mark.torch, pytest.mark.heavy]

CALLS = """
import sys
sys.path.insert(0, sys.argv[1])
import guarded
assert guarded.answer() == 42
try:
    print("launched", guarded.launched())
except RuntimeError as error:
    print("told", error, guarded.answer())
"""


def test_a_launch_on_a_gpu_without_code_is_one_error_in_python(
    compat: Callable[..., Built], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUWHEEL_WHEEL_GUARD", "true")
    built = compat("guarded", "guarded.cu")
    said = {}
    for capability in ("7.5", "8.6"):
        environ = fake_gpu_environment(
            {**os.environ, "PYTHONPATH": str(Path(gpuwheel.__file__).parent.parent)},
            cache=Cache.from_environment(os.environ),
            site_packages=None,
            settings=FakeSettings(capability=capability),
        )
        seen = run([sys.executable, "-c", CALLS, built.folder], env=environ, cwd=built.folder, check=False)
        assert seen.returncode == 0, seen.output
        said[capability] = seen.stdout.strip()
    assert said["8.6"] == "launched 0"
    words = ("told", "guarded", "device 0", "sm_80", "sm_75", "a release of guarded", '"7.5" in `archs`')
    assert all(word in said["7.5"] for word in words), said
    assert said["7.5"].endswith(" 42")
