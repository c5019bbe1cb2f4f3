"""A project in a repository, and gpuwheel as a wheel."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from gpuwheel._run import run

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def own_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("own")
    run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", out, ROOT])
    return out


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The tutorial's project, for one architecture, with a test."""
    folder = Path(shutil.copytree(ROOT / "docs/tutorial/first-wheel", tmp_path / "first-wheel"))
    pyproject = folder / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    few = text.replace('"7.5", "8.0", "9.0", "10.0+PTX", "12.0"', '"8.0+PTX"')
    assert few != text
    pyproject.write_text(f'{few}\n[dependency-groups]\ntest = ["numpy", "pytest"]\n', encoding="utf-8")
    (folder / ".gitignore").write_text("dist/\n", encoding="utf-8")
    return folder
