"""Names of images: `[HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST]`, as docker and podman read them.

The grammar is that of https://github.com/distribution/reference, with its defaults for Docker Hub.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["DOCKER_HUB", "ImageReference", "host_name", "is_loopback", "parse_hosts", "parse_reference"]

DOCKER_HUB = "docker.io"
_HUB_NAMES = {DOCKER_HUB, "index.docker.io", "registry-1.docker.io"}
_HUB_SERVER = "registry-1.docker.io"
_HUB_NAMESPACE = "library"
"""Of Docker Hub's own images: `python` is `docker.io/library/python`."""
_LONGEST = 255
"""Characters of host and repository together (the reference grammar, NameTotalLengthMax)."""

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:]+\])(?::[0-9]{{1,5}})?")
_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HINT = "write it as docker does: ghcr.io/owner/name:1.0, python:3.12-slim, localhost:5000/name@sha256:..."


@dataclass(frozen=True)
class ImageReference:
    """An image, or a repository of images."""

    registry: str
    """`HOST[:PORT]`, as a person says it: Docker Hub is `docker.io`."""
    repository: str
    tag: str | None = None
    digest: str | None = None
    """`sha256:...`."""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"

    @property
    def name(self) -> str:
        """`REGISTRY/REPOSITORY`."""
        return f"{self.registry}/{self.repository}"

    @property
    def server(self) -> str:
        """The host that answers for this registry."""
        return _HUB_SERVER if self.registry == DOCKER_HUB else self.registry

    @property
    def wanted(self) -> str:
        """What a registry is asked for: the digest, which cannot change, or the tag, or `latest`."""
        return self.digest or self.tag or "latest"

    def at(self, digest: str) -> ImageReference:
        """The same repository, at a digest."""
        return replace(self, tag=None, digest=digest)


def parse_reference(text: str) -> ImageReference:
    """The image that `text` names.

    Raises:
        ConfigError: it is no name of an image.
    """
    stated = text.removeprefix("docker://")
    if "://" in stated:
        raise _wrong(text, "a URL, expected a name without https://")
    rest, at, digest = stated.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise _wrong(text, f"the digest {cut(repr(digest))}, expected sha256: and 64 hexadecimal digits")
    # A colon behind the last slash separates a tag; one before it, a port.
    head, slash, last = rest.rpartition("/")
    last, colon, tag = last.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise _wrong(text, f"the tag {cut(repr(tag))}, expected at most 128 letters, digits, '_', '.' and '-'")
    registry, repository = _split(f"{head}{slash}{last}")
    if not _HOST.fullmatch(registry):
        raise _wrong(text, f"the host {cut(repr(registry))}, expected HOST or HOST:PORT")
    if not _REPOSITORY.fullmatch(repository):
        raise _wrong(text, f"the repository {cut(repr(repository))}, expected lower case words between slashes")
    if len(registry) + len(repository) + 1 > _LONGEST:
        raise _wrong(text, f"{len(registry) + len(repository) + 1} characters, expected at most {_LONGEST}")
    return ImageReference(registry, repository, tag or None, digest or None)


def _split(name: str) -> tuple[str, str]:
    """(registry, repository) with the defaults of Docker Hub."""
    first, slash, rest = name.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        first, rest = DOCKER_HUB, name
    if first in _HUB_NAMES:
        first = DOCKER_HUB
        rest = rest if "/" in rest else f"{_HUB_NAMESPACE}/{rest}"
    return first, rest


def _wrong(text: str, found: str) -> ConfigError:
    msg = f"{cut(repr(text))} is not the name of an image ({found})"
    return ConfigError(msg, hint=_HINT)


def host_name(host: str) -> str:
    """`HOST[:PORT]` without its port, and an IPv6 address without brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def is_loopback(host: str) -> bool:
    """Whether `HOST[:PORT]` is this machine, whatever a name server says."""
    name = host_name(host)
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def parse_hosts(texts: Iterable[str]) -> frozenset[str]:
    """Hosts as `--insecure-registry` takes them.

    Raises:
        ConfigError: one is no `HOST` or `HOST:PORT`.
    """
    hosts = frozenset(texts)
    for text in sorted(hosts):
        if not _HOST.fullmatch(text):
            msg = f"{cut(repr(text))} is not a registry (expected HOST or HOST:PORT)"
            raise ConfigError(msg, hint="for example --insecure-registry registry.lan:5000")
    return hosts
