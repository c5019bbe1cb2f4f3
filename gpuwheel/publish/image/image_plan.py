"""An image before anything of it is written: base, layers as groups of wheels, and how it is run.

A plan is complete and pure: who writes an image from it, as blobs or as a Containerfile, decides nothing any more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from packaging.version import Version

    from gpuwheel.publish.image.descriptors import Descriptor, ImagePlatform

__all__ = ["BaseImage", "ImagePlan", "ImagePython", "ImageWheel", "LayerGroup", "Runtime"]


@dataclass(frozen=True)
class ImageWheel:
    """A wheel file that is installed."""

    path: Path
    filename: str
    sha256: str
    size: int
    """Bytes of the file."""
    name: str
    """Of the distribution, normalised (PEP 503)."""
    version: Version
    metadata: bytes = field(repr=False)
    """METADATA."""
    state: tuple[int, ...] = field(repr=False)
    """What `stat` said of the file when it was read: whoever opens it again gets the same one, or an error."""

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class ImagePython:
    """The Python of the base that runs what is installed."""

    version: tuple[int, int]
    """(3, 13)."""
    executable: str
    """Its path in the image: "/usr/local/bin/python3.13"."""
    free_threaded: bool = False

    def __str__(self) -> str:
        return f"{self.version[0]}.{self.version[1]}{'t' if self.free_threaded else ''}"

    @property
    def tag(self) -> str:
        """Of interpreter and ABI: "cp313", "cp313t"."""
        return f"cp{self.version[0]}{self.version[1]}{'t' if self.free_threaded else ''}"


@dataclass(frozen=True)
class BaseImage:
    """What an image starts from: one platform of it."""

    reference: str
    """As it was given: `oci:DIR:TAG`, `registry/repository@sha256:...`."""
    digest: str
    """Of its manifest."""
    layers: tuple[Descriptor, ...]
    config: Mapping[str, Any] = field(hash=False, repr=False)
    """Its configuration, JSON as the image specification has it."""
    glibc: tuple[int, int] | None = None
    """Version of its C library; `None`: not found, or another one."""
    musl: tuple[int, int] | None = None
    inside: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    """What is worth knowing of its layers, `base_layers.inside_of`."""

    @property
    def run(self) -> Mapping[str, Any]:
        """How its containers start: the object `config` of the configuration."""
        return self.config.get("config") or {}

    @property
    def env(self) -> dict[str, str]:
        """Its variables."""
        pairs = (str(word).partition("=") for word in self.run.get("Env") or ())
        return {name: value for name, _, value in pairs}


@dataclass(frozen=True)
class LayerGroup:
    """What makes one layer."""

    title: str
    wheels: tuple[ImageWheel, ...]
    """By name. None: the folders and links that a virtual environment has."""
    is_project: bool = False
    """Whether this is what changes with every commit, on top of all."""


@dataclass(frozen=True)
class Runtime:
    """How containers of the image start: what is set over the base's own."""

    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    user: str = ""
    """`UID:GID` or a name of the base; "" leaves the base's."""
    workdir: str = ""
    entrypoint: tuple[str, ...] | None = None
    """`None` leaves the base's."""
    cmd: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ImagePlan:
    """One image for one platform."""

    platform: ImagePlatform
    base: BaseImage | None
    """`None`: nothing is below."""
    python: ImagePython
    prefix: str
    """The virtual environment: "/opt/venv"."""
    home: str
    """A folder that `Runtime.user` may write to; "" where none is made."""
    home_owner: int
    """Its user."""
    groups: tuple[LayerGroup, ...]
    """From below to the top."""
    runtime: Runtime
    annotations: Mapping[str, str] = field(hash=False)
    """Of the manifest."""
    created: int
    """Seconds since 1970 that the configuration states: no time of any file."""
    compile_bytecode: bool = False

    @property
    def wheels(self) -> tuple[ImageWheel, ...]:
        """All of them, by name."""
        return tuple(sorted((wheel for group in self.groups for wheel in group.wheels), key=lambda wheel: wheel.name))

    @property
    def layers(self) -> tuple[LayerGroup, ...]:
        """All that are made over the base: with what is of no wheel, the environment and the bill of materials."""
        is_topped = bool(self.groups) and self.groups[-1].is_project
        bill = () if is_topped else (LayerGroup("bill of materials", ()),)
        return LayerGroup("virtual environment", ()), *self.groups, *bill

    @property
    def folders(self) -> dict[str, tuple[int, int, int]]:
        """Folders of the base above what is written that are not root's with mode 755: (mode, user, group)."""
        found = {}
        paths = [f"{self.prefix}/x", *([f"{self.home}/x"] if self.home else [])]
        for path in paths:
            parts = path.strip("/").split("/")
            for count in range(1, len(parts)):
                above = "/".join(parts[:count])
                kind, *numbers = ("" if self.base is None else self.base.inside.get(above, "")).split(" ")
                if kind == "folder" and numbers != ["755", "0", "0"]:
                    found[above] = (int(numbers[0], 8), int(numbers[1]), int(numbers[2]))
        return found

    @property
    def site_packages(self) -> str:
        """Where modules go, without the leading slash."""
        return f"{self.prefix.strip('/')}/lib/python{self.python}/site-packages"
