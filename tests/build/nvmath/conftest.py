"""A project with the extras of nvmath-python; its library is never compiled here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PYPROJECT = """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"

[project]
name = "epilogs"
version = "1.0"
requires-python = ">=3.10"
dynamic = ["dependencies", "optional-dependencies"]

[tool.gpuwheel]
torch = ">=2.10"
nvmath = ">=1.0"

[tool.gpuwheel.extensions."epilogs._C"]
sources = ["*.cpp"]

[tool.gpuwheel.extras.test]
requires = ["pytest>=8"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "epilogs"
    root.mkdir()
    (root / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (root / "ops.cpp").write_text("int one() { return 1; }\n", encoding="utf-8")
    return root
