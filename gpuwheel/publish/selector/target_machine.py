"""A machine that wheels are chosen for, and the order in which installers prefer tags there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpuwheel.model.archs import Arch
from gpuwheel.model.versions import DriverVersion

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CPUS", "SYSTEMS", "Machine", "Platform", "platform_of", "platform_rank", "python_rank"]

SYSTEMS = {"linux": "Linux", "macos": "macOS", "windows": "Windows"}
CPUS = {
    "linux": {"x86_64": "x86_64", "aarch64": "aarch64"},
    "macos": {"x86_64": "x86_64", "aarch64": "arm64"},
    "windows": {"x86_64": "amd64", "aarch64": "arm64"},
}
"""System -> CPU -> what tags call it."""
_NEWEST = {"glibc": (2, 99), "musl": (1, 99), "macos": (99, 0)}
"""A release that is not told: any."""
_LEGACY = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}  # PEP 600, "Legacy manylinux tags"
_LIBC = re.compile(r"(?P<kind>manylinux|musllinux)_(?P<major>\d+)_(?P<minor>\d+)_(?P<cpu>\w+)", re.ASCII)
_OLD = re.compile(r"(?P<name>manylinux(?:1|2010|2014))_(?P<cpu>\w+)", re.ASCII)
_BARE = re.compile(r"(?P<kind>linux|win)_(?P<cpu>\w+)", re.ASCII)
_MACOS = re.compile(r"(?P<kind>macosx)_(?P<major>\d+)_(?P<minor>\d+)_(?P<cpu>\w+)", re.ASCII)
_FORMATS = {
    "arm64": ("arm64", "universal2"),
    "x86_64": ("x86_64", "intel", "fat64", "fat3", "universal2", "universal"),
}
_PYTHON = re.compile(r"(?P<name>py|cp)3(?P<minor>\d*)", re.ASCII)
_STABLE = 2
"""The first Python 3 with a stable ABI (PEP 384)."""


@dataclass(frozen=True)
class Machine:
    """What decides which wheels run somewhere. `None` is what nobody told: it rules nothing out."""

    python: str
    """Its version, at least "3.12"."""
    free_threaded: bool = False
    system: str = "linux"
    """A key of `SYSTEMS`."""
    cpu: str = "x86_64"
    """As Linux calls it."""
    libc: str = "glibc"
    """"glibc" or "musl", on Linux."""
    release: tuple[int, int] | None = None
    """Of the C library on Linux, or of macOS."""
    torch: str | None = None
    """The version that is or will be there."""
    torch_cuda: str | None = None
    """The toolkit that this torch was built with."""
    gpus: tuple[Arch, ...] | None = None
    """Compute capabilities; empty: it has no GPU."""
    driver: DriverVersion | None = None
    pre_releases: bool = False
    """Whether pre-releases are welcome."""

    @property
    def minor(self) -> int:
        """Of Python 3."""
        return int(self.python.split(".")[1])

    def takes_driver(self, floor: DriverVersion) -> bool:
        """Whether its driver is at least that old one; a bare branch, 580, stands for its newest release."""
        if self.driver is None:
            return True
        return floor.parts[: 1 if len(self.driver.parts) == 1 else None] <= self.driver.parts

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            **{key: getattr(self, key) for key in ("python", "free_threaded", "system", "cpu", "libc", "torch")},
            "torch_cuda": self.torch_cuda,
            "release": None if self.release is None else ".".join(map(str, self.release)),
            "gpus": None if self.gpus is None else [str(gpu) for gpu in self.gpus],
            "driver": None if self.driver is None else str(self.driver),
            "pre_releases": self.pre_releases,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Machine:
        """From what `to_json` made.

        Raises:
            ValueError: a value is not of its form.
        """
        values = dict(data)
        if values.get("release") is not None:
            major, minor = str(values["release"]).split(".")
            values["release"] = (int(major), int(minor))
        if values.get("gpus") is not None:
            values["gpus"] = tuple(Arch.parse(gpu) for gpu in values["gpus"])
        if values.get("driver") is not None:
            values["driver"] = DriverVersion.parse(values["driver"])
        return cls(**values)


@dataclass(frozen=True)
class Platform:
    """The last part of a tag, taken apart; what it leaves open is `None`."""

    system: str | None
    """A key of `SYSTEMS`, or the part itself where nobody knows it; `None`: any."""
    cpu: str | None
    """As the tag calls it."""
    libc: str | None
    """"glibc" or "musl"; `None` also on `linux_x86_64`, which promises nothing."""
    release: tuple[int, int] | None
    """Oldest that it runs on: of that library, or of macOS."""
    legacy: bool = False
    """Spelled as before PEP 600."""


def platform_of(tag: str) -> Platform:
    """Take apart `manylinux_2_28_x86_64` and its relatives (PEP 425, 600, 656)."""
    match = _LIBC.fullmatch(tag) or _MACOS.fullmatch(tag)
    if match:
        release = (int(match["major"]), int(match["minor"]))
        libc = {"manylinux": "glibc", "musllinux": "musl"}.get(match["kind"])
        return Platform("linux" if libc else "macos", match["cpu"], libc, release)
    if match := _OLD.fullmatch(tag):
        return Platform("linux", match["cpu"], "glibc", _LEGACY[match["name"]], legacy=True)
    if match := _BARE.fullmatch(tag):
        return Platform({"linux": "linux", "win": "windows"}[match["kind"]], match["cpu"], None, None)
    known = {"any": None, "win32": "windows"}
    return Platform(known.get(tag, tag), "x86" if tag == "win32" else None, None, None)


def platform_rank(machine: Machine, platform: Platform) -> int | None:
    """How early installers come to a platform on this machine, 0 first; `None`: never.

    The order is that of `packaging.tags`: on Linux the newest C library first, `linux_x86_64` last.
    """
    if platform.system is None:
        return 0
    if platform.system != machine.system:
        return None
    cpu = CPUS[machine.system].get(machine.cpu, machine.cpu)
    if machine.system == "macos":
        return _macos_rank(machine, platform, cpu)
    if platform.cpu != cpu:
        return None
    return 0 if machine.system == "windows" else _linux_rank(machine, platform, cpu)


def _linux_rank(machine: Machine, platform: Platform, cpu: str) -> int | None:
    if platform.libc is None or platform.release is None:
        return 1_000
    newest = machine.release or _NEWEST[platform.libc]
    oldest = {"musl": (1, 0), "glibc": (2, 5 if cpu in {"x86_64", "i686"} else 17)}[platform.libc]
    if platform.libc != machine.libc or not oldest <= platform.release <= newest:
        return None
    # An older spelling comes right after the one that PEP 600 gave it.
    return 2 * (100 * (newest[0] - platform.release[0]) + newest[1] - platform.release[1]) + platform.legacy


def _macos_rank(machine: Machine, platform: Platform, cpu: str) -> int | None:
    newest = machine.release or _NEWEST["macos"]
    formats = _FORMATS.get(cpu, ())
    release = platform.release or newest
    if platform.cpu not in formats or release > newest:
        return None
    # Since macOS 11, releases differ by their first number; before, by their second.
    if release[0] > 10:  # noqa: PLR2004
        return None if release[1] else 10 * (newest[0] - release[0]) + formats.index(platform.cpu)
    if cpu == "arm64" and platform.cpu != "universal2":
        return None
    return 10_000 + 10 * (100 - release[1]) + formats.index(platform.cpu)


def python_rank(machine: Machine, python: str, abi: str, *, anywhere: bool) -> tuple[int, int] | None:
    """How early installers come to the first two parts of a tag, lowest first; `None`: never.

    The order is that of `packaging.tags`: this Python's own ABI, the stable one, none; then older ones.

    Args:
        machine: whose Python is asked.
        python: the first part, as "cp312".
        abi: the second, as "abi3".
        anywhere: whether the third part is "any".
    """
    match = _PYTHON.fullmatch(python)
    if match is None:
        return None
    minor = int(match["minor"]) if match["minor"] else None
    behind = None if minor is None else machine.minor - minor
    if behind is not None and behind < 0:
        return None
    if match["name"] == "py":
        late = 6 if anywhere else 4
        # py312, then py3, then py311 and so on.
        return (late, 1 if behind is None else behind + (behind > 0)) if abi == "none" else None
    if behind is None or minor is None or minor < _STABLE:
        return None
    threads = "t" if machine.free_threaded else ""
    ranks = {(f"abi3{threads}", False): (3, behind) if behind else (1, 0)}
    if not behind:
        own = f"cp3{machine.minor}{threads}"
        ranks |= {(own, False): (0, 0), ("none", False): (2, 0), ("none", True): (5, 0)}
    return ranks.get((abi, anywhere))
