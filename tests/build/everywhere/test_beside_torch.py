"""Builds without isolation in an environment that has torch with its own NVRTC and cuda-bindings: neither is used."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from gpuwheel.compatibility import load_tables
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Builder
    from torch_environments import Layer

PROJECT = Path(__file__).resolve().parents[3] / "docs" / "tutorial" / "first-wheel"
COMPILER = "nvidia-cuda-nvrtc-cu12"
NVRTC_OF_TORCH = {"2.10.0": "12.8", "2.15.0": "13.2"}

pytestmark = [pytest.mark.compiler, pytest.mark.network, pytest.mark.slow]


def compiler_pins(release: str) -> list[str]:
    """The NVRTC and the bindings that a torch release asks for."""
    pins = []
    for text in load_tables().torch[MinorVersion.parse(release)].requires:
        requirement = Requirement(text)
        if requirement.name == "cuda-toolkit":
            requirement.extras = {"nvrtc"}
        if requirement.name in {"cuda-toolkit", "cuda-bindings", COMPILER}:
            pins.append(str(requirement))
    return pins


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(PROJECT, tmp_path_factory.mktemp("project") / "first-wheel"))


@pytest.fixture(scope="module")
def isolated_wheel(tmp_path_factory: pytest.TempPathFactory, project: Path, builder: Builder) -> Path:
    return builder.wheel(project, tmp_path_factory.mktemp("isolated"))


def without_images(cache: Path, folder: Path) -> Path:
    """A cache that shares what was downloaded and has no compiled image, so that the compiler really runs."""
    (folder / "v1").mkdir(parents=True)
    for kind in ("sdk", "toolchains"):
        (cache / "v1" / kind).mkdir(parents=True, exist_ok=True)
        (folder / "v1" / kind).symlink_to(cache / "v1" / kind)
    return folder


@pytest.fixture(params=NVRTC_OF_TORCH)
def beside_torch(
    request: pytest.FixtureRequest, layer: Callable[..., Layer], builder: Builder, tmp_path: Path
) -> Layer:
    """An environment with torch, its compiler, and all that a build without isolation needs."""
    there = layer(request.param)
    there.install(builder.gpuwheel, "pip", "cmake", "ninja", *compiler_pins(request.param))
    asked = "from cuda.bindings import nvrtc; print('%d.%d' % nvrtc.nvrtcVersion()[1:])"
    assert there.run("-c", asked, cwd=tmp_path).stdout.strip() == NVRTC_OF_TORCH[request.param]
    return there


def test_the_pinned_compiler_is_used(
    beside_torch: Layer, project: Path, isolated_wheel: Path, builder: Builder, tmp_path: Path
) -> None:
    environ = {"GPUWHEEL_CACHE_DIR": str(without_images(builder.cache, tmp_path / "cache"))}
    words = ("-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path / "out", project)
    beside_torch.run(*words, cwd=tmp_path, environ=environ)

    (wheel,) = (tmp_path / "out").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        (sbom,) = (name for name in archive.namelist() if name.endswith("gpuwheel.cdx.json"))
        components = {part["name"]: part["version"] for part in json.loads(archive.read(sbom))["components"]}
    assert components[COMPILER].startswith("12.9.")
    assert any((tmp_path / "cache" / "v1" / "images").iterdir()), "nothing was compiled"
    assert wheel.read_bytes() == isolated_wheel.read_bytes()
