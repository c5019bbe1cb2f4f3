"""Whether this machine is one that gpuwheel builds on."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["PlatformFacts", "check_platform", "probe_platform"]

_SYSTEM_NAMES = {"darwin": "macOS", "win32": "Windows", "cygwin": "Cygwin", "linux": "Linux"}


@dataclass(frozen=True)
class PlatformFacts:
    """What decides whether pinned binaries run here."""

    system: str
    """`sys.platform`."""
    machine: str
    """`platform.machine()`."""
    libc: str
    """"glibc", "musl", or "" where it is not known."""
    libc_version: str = ""

    def __str__(self) -> str:
        name = _SYSTEM_NAMES.get(self.system, self.system)
        libc = f" with {self.libc} {self.libc_version}".rstrip() if self.libc else ""
        return f"{name}{libc} on {self.machine}"


def probe_platform() -> PlatformFacts:
    """The facts of the running interpreter."""
    libc, version = "", ""
    if sys.platform == "linux":
        try:
            libc, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        except (ValueError, OSError):  # musl has no such name
            libc = ""
        # musl has no way to ask; what Python was compiled for says so.
        if not libc and "musl" in str(sysconfig.get_config_var("HOST_GNU_TYPE") or sysconfig.get_config_var("SOABI")):
            libc = "musl"
    return PlatformFacts(sys.platform, platform.machine(), libc, version)


def check_platform(facts: PlatformFacts, machines: Collection[str]) -> None:
    """Refuse what cannot work before anything is downloaded.

    Args:
        facts: where the build runs.
        machines: the CPU architectures that `data/platforms.toml` knows.

    Raises:
        PlatformError: not Linux, not glibc, or another CPU architecture.
    """
    expected = f"Linux with glibc on {' or '.join(sorted(machines))}"
    if facts.system != "linux":
        hint = (
            "build in a Linux container, for example quay.io/pypa/manylinux_2_28_x86_64, or on a Linux machine or WSL"
        )
    elif facts.libc != "glibc":
        hint = "NVIDIA's compilers need glibc: build in an image of Debian, Ubuntu, Fedora or manylinux, not Alpine"
    elif facts.machine not in machines:
        hint = "neither NVIDIA's compilers nor torch are published for this CPU architecture: build on another machine"
    else:
        return
    msg = f"gpuwheel does not build on this platform (found {facts}, expected {expected})"
    raise PlatformError(msg, hint=hint)
