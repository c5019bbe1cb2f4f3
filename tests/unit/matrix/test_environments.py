"""Projects for which no environment is made, and the environment of those who are in one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gpuwheel import __version__
from gpuwheel._cache import Cache
from gpuwheel.errors import ConfigError, GpuwheelError, ToolchainError
from gpuwheel.matrix.environments import BuildEnvironments, entered
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.toolchain import Context

if TYPE_CHECKING:
    from pathlib import Path


def _environments(root: Path, build_system: str, **environ: str) -> BuildEnvironments:
    root.mkdir(exist_ok=True)
    (root / "pyproject.toml").write_text(f'{build_system}\n[project]\nname = "p"\nversion = "1"\n')
    variables = {"PATH": os.environ["PATH"], "HOME": str(root), **environ}
    return BuildEnvironments(root, Context(Cache(root / "cache"), variables, SilentReporter()))


@pytest.mark.parametrize(
    ("build_system", "message"),
    [
        ("", r"build-backend is 'setuptools\.build_meta"),
        ('[build-system]\nrequires = []\nbuild-backend = "hatchling.build"', "'hatchling.build'"),
        (
            '[build-system]\nrequires = ["gpuwheel"]\nbuild-backend = "wrapper"\nbackend-path = ["tools"]',
            r"'wrapper' from \['tools'\]",
        ),
        (
            '[build-system]\nrequires = ["gpuwheel"]\nbuild-backend = "gpuwheel.backend"\nbackend-path = ["."]',
            r"'gpuwheel\.backend' from \['\.'\]",
        ),
    ],
    ids=["none", "another", "a wrapper", "a shadow"],
)
def test_a_project_that_gpuwheel_itself_does_not_build_is_refused(
    tmp_path: Path, build_system: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        _environments(tmp_path, build_system).python(None, {})

    assert "python -m build" in str(caught.value.hint)


def test_a_project_for_another_gpuwheel_is_refused(tmp_path: Path) -> None:
    text = '[build-system]\nrequires = ["GPUwheel>=99"]\nbuild-backend = "gpuwheel.backend"'

    with pytest.raises(ConfigError, match=rf">=99.*found {__version__}") as caught:
        _environments(tmp_path, text).python(None, {})

    assert caught.value.hint == "pip install 'GPUwheel>=99'"


@pytest.mark.parametrize("requires", ['"gpuwheel"', '["numpy >> 2"]', "[1]"])
def test_requirements_that_are_none(tmp_path: Path, requires: str) -> None:
    text = f'[build-system]\nrequires = {requires}\nbuild-backend = "gpuwheel.backend"'

    with pytest.raises(ConfigError, match=r"build-system\.requires"):
        _environments(tmp_path, text).python(None, {})


def test_a_python_that_is_not_installed_is_named(tmp_path: Path) -> None:
    text = '[build-system]\nrequires = ["gpuwheel"]\nbuild-backend = "gpuwheel.backend"'

    with pytest.raises(ToolchainError, match=r"Python 3\.99 is not installed"):
        _environments(tmp_path, text).python("3.99", {})


def test_nothing_of_another_environment_is_seen_inside(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    outside = {"PATH": "/usr/bin", "PYTHONPATH": "/x", "PYTHONHOME": "/y", "VIRTUAL_ENV": "/z", "CC": "gcc"}

    assert entered(python, outside) == {"PATH": f"{tmp_path}/bin:/usr/bin", "CC": "gcc"}
    assert entered(python, {}) == {"PATH": f"{tmp_path}/bin"}


def test_an_unwritable_cache_is_named(tmp_path: Path) -> None:
    text = '[build-system]\nrequires = ["gpuwheel"]\nbuild-backend = "gpuwheel.backend"'
    (tmp_path / "cache").write_text("a file")

    with pytest.raises(GpuwheelError, match=r"cache folder .* is not a folder"):
        _environments(tmp_path, text).python(None, {})
