"""Projects with a setup.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from setup_projects import CLASSIC, KERNEL, Project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Project]:
    """A project with a setup.py and, unless given, one classic extension's sources and a package."""

    def make(setup: str, **files: str) -> Project:
        made = Project(tmp_path / "ops")
        made.write("setup.py", setup)
        given = files or {"csrc/ops.cpp": CLASSIC, "csrc/ops.cu": KERNEL, "ops/__init__.py": ""}
        for name, text in given.items():
            made.write(name, text)
        return made

    return make
