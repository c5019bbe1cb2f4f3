"""A folder for wheels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """Empty, unless a file of tests has a fixture of its own by this name."""
    folder = tmp_path / "dist"
    folder.mkdir()
    return folder
