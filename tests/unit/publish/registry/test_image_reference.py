"""Names of images are read as docker reads them, or refused with what is wrong."""

from __future__ import annotations

import pytest

from gpuwheel.errors import ConfigError
from gpuwheel.publish.registry import parse_hosts, parse_reference
from gpuwheel.publish.registry.image_reference import is_loopback

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "full", "wanted"),
    [
        ("python", "docker.io/library/python", "latest"),
        ("python:3.12-slim", "docker.io/library/python:3.12-slim", "3.12-slim"),
        ("nvidia/cuda:13.0.0-base", "docker.io/nvidia/cuda:13.0.0-base", "13.0.0-base"),
        ("docker.io/python", "docker.io/library/python", "latest"),
        ("index.docker.io/a/b", "docker.io/a/b", "latest"),
        ("docker://ghcr.io/o/n:1", "ghcr.io/o/n:1", "1"),
        ("localhost/n", "localhost/n", "latest"),
        ("localhost:5000/n:v", "localhost:5000/n:v", "v"),
        ("[::1]:5000/n", "[::1]:5000/n", "latest"),
        ("registry.lan/a/b/c_d-e.f__g", "registry.lan/a/b/c_d-e.f__g", "latest"),
        (f"ghcr.io/o/n@{DIGEST}", f"ghcr.io/o/n@{DIGEST}", DIGEST),
        (f"ghcr.io/o/n:1@{DIGEST}", f"ghcr.io/o/n:1@{DIGEST}", DIGEST),
    ],
)
def test_a_name_has_the_defaults_of_docker(text: str, full: str, wanted: str) -> None:
    reference = parse_reference(text)

    assert (str(reference), reference.wanted) == (full, wanted)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://ghcr.io/o/n",
        "Python",
        "ghcr.io/O/n",
        "ghcr.io/",
        "ghcr.io/a//b",
        "ghcr.io/a/../b",
        "ghcr.io/a:",
        "ghcr.io/a:-x",
        "ghcr.io/a:" + "x" * 129,
        "ghcr.io/a@sha256:12",
        "ghcr.io/a@md5:" + "0" * 32,
        "user:password@ghcr.io/a",
        "gh cr.io/a",
        "ghcr.io:port/a",
        "ghcr.io/a\n",
        "ghcr.io/" + "a" * 300,
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_reference(text)


def test_docker_hub_is_asked_at_its_server() -> None:
    assert parse_reference("python").server == "registry-1.docker.io"
    assert parse_reference("ghcr.io/a/b").server == "ghcr.io"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost:5000", True), ("127.8.0.1", True), ("[::1]:1", True), ("10.0.0.1", False), ("localhost.lan", False)],
)
def test_this_machine_is_known(host: str, loopback: bool) -> None:  # noqa: FBT001  # a column of the table
    assert is_loopback(host) is loopback


def test_insecure_registries_are_hosts() -> None:
    assert parse_hosts(["a.lan:5000", "b"]) == {"a.lan:5000", "b"}
    with pytest.raises(ConfigError):
        parse_hosts(["http://a.lan"])
