"""What is wrong in [tool.scikit-build] is the user's to mend, in whatever way scikit-build-core raises it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gpuwheel.compile.cmake import inner
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = {
    "[tool.scikit-build]\nsdist = 5": "tool.scikit-build.sdist",
    "[tool.scikit-build]\nwheel.packages = 5": "tool.scikit-build.wheel.packages",
    "[tool.scikit-build]\ncmake.version = '??'": "tool.scikit-build.cmake.version",
    "[tool.scikit-build]\nminimum-version = 'x'": "Invalid version: 'x'",
    "[[tool.scikit-build.overrides]]\nif.python-version = '>=3'\nsdist = 5": "tool.scikit-build.sdist",
    "[[tool.scikit-build.overrides]]\nif.nope = 1\nsdist.cmake = true": "Unknown overrides: nope",
    "[tool]\nscikit-build = 5": "int",
}


@pytest.mark.parametrize("text", SETTINGS)
def test_settings_of_another_kind(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "tiny"\nversion = "1"\n{text}\n', encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        inner.prepare(inner.Inside(tmp_path, dict(os.environ)), tmp_path, {}, editable=False)
    assert SETTINGS[text] in refused.value.message
    assert "scikit-build" in refused.value.message
    assert refused.value.hint
