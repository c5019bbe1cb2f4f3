"""A registry that can misbehave, an image to push, and an environment without this machine's credentials."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from fake_registry import BIG, FakeRegistry, add_image, fake_registry
from heard import Heard

from gpuwheel.publish.image.layout import Layout
from gpuwheel.publish.registry import RegistryAccess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gpuwheel.publish.image.descriptors import Descriptor


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with fake_registry() as state:
        yield state


@pytest.fixture
def other_registry() -> Iterator[FakeRegistry]:
    with fake_registry() as state:
        yield state


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout.create(tmp_path / "layout")


@pytest.fixture
def image(layout: Layout) -> Descriptor:
    """An image of a layer of 1 MiB and a small one."""
    return add_image(layout, [BIG, b"small"])


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home"
    home.mkdir()
    settings = {"PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1", "PIP_RETRIES": "1"}
    return {"HOME": str(home), "XDG_RUNTIME_DIR": str(tmp_path / "run"), "PATH": os.environ["PATH"], **settings}


@pytest.fixture
def reporter() -> Heard:
    return Heard()


@pytest.fixture
def access(environ: dict[str, str], reporter: Heard) -> Callable[..., RegistryAccess]:
    """How it is reached; parts of 256 KiB."""

    def make(**further: Any) -> RegistryAccess:  # noqa: ANN401
        return RegistryAccess(environ, **{"reporter": reporter, "chunk": 1 << 18, **further})

    return make
