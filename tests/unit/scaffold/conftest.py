"""The command, on a machine with a cache of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from template_releases import SOMEBODY

from gpuwheel.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result


@pytest.fixture(scope="session")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {**os.environ, **SOMEBODY, "GPUWHEEL_CACHE_DIR": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture
def gpuwheel(environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def invoke(*words: str, **variables: str) -> Result:
        return CliRunner().invoke(main, words, env={**environ, **variables})

    return invoke
