"""Actions and images that pipelines name: none by what somebody can move."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from gpuwheel._resources import resource
from gpuwheel._toml import parse_toml
from gpuwheel.compatibility import ci_services, load_tables
from gpuwheel.compatibility.ci_services import load_ci_services
from gpuwheel.compatibility.parsing import Reader
from gpuwheel.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = resource("data", "ci.toml").read_text(encoding="utf-8")


def test_every_service_has_a_machine_and_a_limit_and_every_platform_an_image() -> None:
    services, machines = load_ci_services(), {policy.machine for policy in load_tables().platforms}
    assert set(services.cores) == set(services.limits) == set(services.runners) == {"github", "gitlab"}
    for runners in services.runners.values():
        assert set(runners) <= machines
    for image in services.images.values():
        assert set(image.references) == machines
    for cuda, images in services.cuda_images.items():
        assert set(images) == set(services.images)
        for platform, image in images.items():
            for machine, reference in image.references.items():
                assert f"{platform}_{machine}_cuda{cuda.major}_{cuda.minor}" in reference
    assert {name for name, action in services.actions.items() if action.uses.startswith("actions/cache")} == {
        "cache-restore",
        "cache-save",
    }, "what restores and saves in one step cannot be kept from writing"


@pytest.fixture
def damaged(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    load_ci_services.cache_clear()
    yield monkeypatch
    load_ci_services.cache_clear()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r'commit = "\w{40}"', 'commit = "main"'),
        (r'commit = "\w{40}"', 'commit = "3d3c42e"'),
        (r'version = "v7\.0\.1"', 'version = "v7"'),
        (r'_x86_64@sha256:\w+"', '_x86_64:latest"'),
        (r"github = 360", "github = 3600"),
        (r"github = 4", "github = 0"),
        (r'actions = "tags.*"\n', ""),
        (r"\[limits\]", "[limits]\nother = 'x'"),
    ],
)
def test_what_can_be_moved_is_refused(damaged: pytest.MonkeyPatch, old: str, new: str) -> None:
    text, count = re.subn(old, new, TEXT, count=1)
    assert count == 1
    damaged.setattr(ci_services, "read_table", lambda name: Reader(name, parse_toml(text.encode())))
    with pytest.raises(DataError):
        load_ci_services()
