"""`gpuwheel image --push`: all that an image needs is in the registry, wherever its base comes from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from tiny_images import TinyWheel, tiny_base

from gpuwheel.cli.app import main
from gpuwheel.publish.image.layout import Layout
from gpuwheel.publish.registry import parse_reference, pull, push

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fake_registry import FakeRegistry

    from gpuwheel.publish.registry import RegistryAccess


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Its standard output."""
    monkeypatch.setenv("GPUWHEEL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    wheel = TinyWheel().write(tmp_path / "wheels")

    def call(*words: object) -> str:
        result = CliRunner().invoke(main, ["image", *map(str, words), str(wheel)])
        assert result.exit_code == 0, result.output
        return result.stdout

    return call


def test_a_base_in_a_folder_is_pushed_with_it(
    registry: FakeRegistry, image: Callable[..., str], access: Callable[..., RegistryAccess], tmp_path: Path
) -> None:
    base = tiny_base(tmp_path / "base")

    image("--base", base, "--push", f"{registry.host}/team/ops:1")

    pulled = pull(parse_reference(f"{registry.host}/team/ops:1"), Layout.create(tmp_path / "pulled"), access())
    assert str(pulled.platform) == "linux/amd64"


def test_layers_of_a_base_in_the_same_registry_are_mounted(
    registry: FakeRegistry, image: Callable[..., str], access: Callable[..., RegistryAccess], tmp_path: Path
) -> None:
    folder, _, tag = tiny_base(tmp_path / "base").removeprefix("oci:").rpartition(":")
    layout = Layout.open(tmp_path / "base")
    base = push(layout, layout.find(tag), parse_reference(f"{registry.host}/base:1"), access()).reference

    image("--base", base, "--push", f"{registry.host}/team/ops:1")
    told = json.loads(image("--base", base, "--push", f"{registry.host}/team/ops:2", "--json"))

    assert folder
    layers = set(registry.blobs["base"])
    assert layers & set(registry.blobs["team/ops"])
    assert [line for line in registry.asked("^POST") if "mount=" in line]
    assert told["digest"]
    pulled = pull(parse_reference(f"{registry.host}/team/ops:2"), Layout.create(tmp_path / "pulled"), access())
    assert pulled.digest == told["digest"]


def test_run_lines_name_what_was_pushed(registry: FakeRegistry, image: Callable[..., str], tmp_path: Path) -> None:
    words = ("--base", tiny_base(tmp_path / "base"), "--push", f"{registry.host}/team/ops:1")

    shown = image(*words, "--run-lines", "kubernetes")

    assert f"{registry.host}/team/ops" in shown.partition("image: ")[2]
