"""A project on disk that a test changes in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel.config import load_config

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gpuwheel.config import LoadedConfig

PROJECT = """
[project]
name = "fused-ops"
version = "0.1.0"
requires-python = ">=3.10"
dynamic = ["dependencies"]
"""

GPUWHEEL = """
[tool.gpuwheel]
{keys}

[tool.gpuwheel.kernels.fused]
sources = ["csrc/kernels/*.cu"]
{group}

[tool.gpuwheel.extensions."fused_ops._C"]
sources = ["csrc/ops.cpp"]
kernels = ["fused"]
{extension}
"""


class Project:
    """A folder with sources and a pyproject.toml."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("csrc/kernels/add.cu", "csrc/kernels/norm.cu", "csrc/ops.cpp", "csrc/include/add.h"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
        self.write()

    def write(
        self,
        *,
        keys: str = "",
        group: str = "",
        extension: str = "",
        project: str = PROJECT,
        tables: str = "",
    ) -> Project:
        """Keys of `[tool.gpuwheel]`, of its group and extension, another `[project]`, further tables."""
        own = GPUWHEEL.format(keys=keys, group=group, extension=extension)
        return self.replace(project + own + tables)

    def replace(self, text: str) -> Project:
        (self.root / "pyproject.toml").write_text(text, encoding="utf-8")
        return self

    def load(self, environ: Mapping[str, str] | None = None, **settings: str | list[str]) -> LoadedConfig:
        """Settings by key without the prefix; `.` is written `__` and `-` is written `_`."""
        named = {f"gpuwheel.{name.replace('__', '.').replace('_', '-')}": value for name, value in settings.items()}
        return self.load_with(named, environ)

    def load_with(
        self, settings: Mapping[str, str | list[str]], environ: Mapping[str, str] | None = None
    ) -> LoadedConfig:
        """Settings as a frontend passes them."""
        return load_config(self.root, environ=environ or {}, config_settings=settings)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
