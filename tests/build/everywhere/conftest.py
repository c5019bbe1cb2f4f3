"""One wheel file of the sample, and the environments that it goes into."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from interpreters import find_interpreter
from torch_environments import Layer, environment_with, layer_on, release_that_pip_finds

from gpuwheel._run import run
from gpuwheel.testing import require

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[3]
# The CPU build of this one is tested where pip finds one.
CPU_BUILD = ("2.13.0", "3.11")


@dataclass(frozen=True)
class Builder:
    """Builds wheels in isolation, as users do."""

    cache: Path
    links: Path
    """A folder that pip looks for wheels in."""

    def wheel(self, source: Path, out: Path) -> Path:
        """Build a wheel of a project."""
        find_links = f"{os.environ.get('PIP_FIND_LINKS', '')} {self.links}".strip()
        environ = {**os.environ, "PIP_FIND_LINKS": find_links, "GPUWHEEL_CACHE_DIR": str(self.cache)}
        run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", out, source], env=environ)
        (wheel,) = out.glob("*.whl")
        return wheel

    @property
    def gpuwheel(self) -> Path:
        """The wheel of gpuwheel that builds."""
        (wheel,) = self.links.glob("gpuwheel-*.whl")
        return wheel


@pytest.fixture(scope="session")
def builder(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Builder:
    """With gpuwheel's own wheel."""
    builder = Builder(cache, tmp_path_factory.mktemp("gpuwheel"))
    builder.wheel(ROOT, builder.links)
    return builder


@pytest.fixture(scope="session")
def sample_wheel(tmp_path_factory: pytest.TempPathFactory, builder: Builder) -> Path:
    """The one file that every test here installs."""
    return builder.wheel(ROOT / "sample_extension", tmp_path_factory.mktemp("gpuwheel-sample"))


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Layer]:
    """Make a fresh layer on the kept environment with a release of torch and a Python."""

    def make(release: str, version: str = "3.11") -> Layer:
        interpreter = find_interpreter(version)
        if interpreter is None:
            require("pythons", f"no Python {version}")
        folder, environ = tmp_path_factory.mktemp(f"torch-{release}-{version}-"), dict(os.environ)
        if (release, version) == CPU_BUILD:
            release, environ = release_that_pip_finds(release, version, folder)
        return layer_on(environment_with(release, version, interpreter, environ), folder)

    return make
