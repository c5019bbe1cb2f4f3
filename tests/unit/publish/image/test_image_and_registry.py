from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from fake_registry import FakeRegistry, fake_registry
from heard import Heard
from tiny_images import TinyWheel, named_image, tiny_base

from gpuwheel.publish.image.base_source import layout_reference
from gpuwheel.publish.image.layout import Layout
from gpuwheel.publish.registry import RegistryAccess, parse_reference, push

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result

    Image = Callable[..., Result]


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRegistry]:
    """With a base: team/base:1."""
    (tmp_path / "home").mkdir()
    for name, value in {"HOME": str(tmp_path / "home"), "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0"}.items():
        monkeypatch.setenv(name, value)
    for name in ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with fake_registry() as state:
        folder, tag = layout_reference(tiny_base(tmp_path / "base"))
        layout = Layout.open(folder)
        access = RegistryAccess(dict(os.environ), Heard())
        push(layout, layout.find(tag), parse_reference(f"{state.host}/team/base:1"), access)
        state.log.clear()
        yield state


def _json(result: Result) -> dict[str, object]:
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_a_base_by_its_tag_is_taken_with_a_warning_that_pins_it(
    image: Image, tmp_path: Path, registry: FakeRegistry
) -> None:
    name = f"{registry.host}/team/base"
    result = image("--base", f"{name}:1", TinyWheel().write(tmp_path))
    assert result.exit_code == 0, result.output
    digest = next(key for key in registry.manifests["team/base"] if key.startswith("sha256:"))
    assert f"--base {name}@{digest}" in result.output
    manifest, _ = named_image(tmp_path / "image")
    notes = manifest["annotations"]
    assert notes["org.opencontainers.image.base.name"] == f"{name}@{digest}"
    assert notes["org.opencontainers.image.base.digest"] == digest
    assert all((tmp_path / "image/blobs/sha256" / one["digest"][7:]).is_file() for one in manifest["layers"])
    again = image("--base", f"{name}@{digest}", TinyWheel().write(tmp_path))
    assert "may be another image tomorrow" not in again.output


def test_a_base_that_is_known_is_mounted_and_not_downloaded(
    image: Image, tmp_path: Path, registry: FakeRegistry
) -> None:
    words = ["--base", f"{registry.host}/team/base:1", "--push", f"{registry.host}/team/ops:1", "--json"]
    wheel = TinyWheel().write(tmp_path)
    first = _json(image(*words, wheel))
    manifest, _ = named_image(tmp_path / "base", "base")
    layer = manifest["layers"][0]["digest"]
    registry.log.clear()
    for kept in (tmp_path / "cache/v1/builds").glob("*/layout/blobs/sha256/*"):
        kept.unlink()
    registry.blobs["team/ops"].clear()
    registry.manifests["team/ops"].clear()
    second = _json(image(*words, wheel))
    assert first["digest"] == second["digest"]
    assert not [line for line in registry.log if line.startswith(f"GET /v2/team/base/blobs/{layer}")]


def test_the_bill_of_materials_is_pushed_with_the_image(image: Image, tmp_path: Path, registry: FakeRegistry) -> None:
    words = ["--base", f"{registry.host}/team/base:1", "--push", f"{registry.host}/team/ops:1", "--json"]
    digest = _json(image(*words, TinyWheel().write(tmp_path)))["digest"]
    documents = [json.loads(data) for _, data in registry.manifests["team/ops"].values()]
    (bill,) = [one for one in documents if one.get("artifactType") == "application/vnd.cyclonedx+json"]
    assert bill["subject"]["digest"] == digest
    assert bill["layers"][0]["digest"] in registry.blobs["team/ops"]


def test_a_base_that_vanished_is_an_error_and_leaves_no_image(
    image: Image, tmp_path: Path, registry: FakeRegistry
) -> None:
    wheel = TinyWheel().write(tmp_path)
    manifest, _ = named_image(tmp_path / "base", "base")
    del registry.blobs["team/base"][manifest["layers"][0]["digest"]]
    gone = image("--base", f"{registry.host}/team/base:1", wheel)
    assert gone.exit_code == 6, gone.output
    assert "lacks sha256:" in gone.output
    assert json.loads((tmp_path / "image/index.json").read_bytes())["manifests"] == []
    never = image("--base", f"{registry.host}/team/other:1", wheel)
    assert never.exit_code == 6, never.output


def test_a_registry_that_refuses_leaves_the_tag_as_it_was(image: Image, tmp_path: Path, registry: FakeRegistry) -> None:
    registry.failures["PUT manifests"] = [403] * 5
    words = ["--base", f"{registry.host}/team/base:1", "--push", f"{registry.host}/team/ops:1"]
    result = image(*words, TinyWheel().write(tmp_path))
    assert result.exit_code != 0
    assert "Traceback" not in result.output
    assert not registry.manifests.get("team/ops")
