"""A locked build in isolation with the network cut: every index package comes from a folder that `fetch` filled.

Downloads 140 MB each time, for a folder of wheels is not a cache.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import without_network

from gpuwheel._run import run

if TYPE_CHECKING:
    from offline.conftest import LockedProject

ROOT = Path(__file__).resolve().parents[3]

pytestmark = [pytest.mark.compiler, pytest.mark.network, pytest.mark.namespaces, pytest.mark.heavy]


def test_after_fetch_an_isolated_build_needs_no_network(locked_project: LockedProject, tmp_path: Path) -> None:
    cut = without_network()
    assert cut is not None
    wheels, out = tmp_path / "wheels", tmp_path / "dist"
    pip_wheel = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir"]
    run([*pip_wheel, wheels, ROOT])  # gpuwheel itself is not on an index here
    done = locked_project.gpuwheel("fetch", "--wheels", str(wheels))
    assert done.returncode == 0, done.output

    offline = ["--no-index", "--find-links", wheels, "-C", "gpuwheel.locked=true"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    run([*cut, *pip_wheel, out, *offline, locked_project.root], env=environ)

    assert [path.suffix for path in out.iterdir()] == [".whl"]
