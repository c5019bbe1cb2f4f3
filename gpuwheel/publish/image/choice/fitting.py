"""Which wheels a Python in an image takes, and why it does not take others: by tags (PEP 425, PEP 600, PEP 656)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from gpuwheel.errors import ImageError
from gpuwheel.publish.image.image_table import image_table
from gpuwheel.wheel.naming import expand_tag, parse_wheel_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gpuwheel.publish.image.descriptors import ImagePlatform
    from gpuwheel.publish.image.image_plan import BaseImage, ImagePython, ImageWheel

__all__ = ["Target"]

_LINUX = re.compile(r"(?P<libc>manylinux|musllinux)_(?P<major>\d+)_(?P<minor>\d+)_(?P<machine>\w+)")
_LEGACY = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_OLDEST, _NEWEST = 5, 60
"""Minors of glibc 2 in platform tags (PEP 600): the first, and more than there are."""
_BARE = re.compile(r"(?P<name>manylinux1|manylinux2010|manylinux2014|linux)_(?P<machine>\w+)")


@dataclass(frozen=True)
class Target:
    """What wheels are installed for."""

    platform: ImagePlatform
    python: ImagePython
    base: BaseImage | None

    @property
    def machine(self) -> str:
        """In platform tags: "x86_64".

        Raises:
            ImageError: no wheels are made for the architecture.
        """
        known = image_table().architectures
        if self.platform.os != "linux" or self.platform.architecture not in known:
            expected = ", ".join(f"linux/{one}" for one in known)
            msg = f"there are no wheels for {self.platform} (expected one of {expected})"
            raise ImageError(msg, hint="choose another platform: --platform linux/amd64")
        return known[self.platform.architecture]

    def preference(self, filename: str) -> tuple[int, ...] | None:
        """How an installer would rank a wheel file, the least first; `None`: it does not fit."""
        accepted = self._accepted()
        name = parse_wheel_name(filename)
        ranks = []
        for tag in expand_tag(name.tag):
            age = self._age(tag.platform)
            rank = accepted.get((tag.python, tag.abi))
            # A tag without a platform may have another rank than one with it, as `py3-none-any`.
            if age is not None and rank is not None:
                ranks.append((rank, age))
        return min(ranks, default=None)

    def tags(self) -> list[Tag]:
        """Every tag that fits, the best first, as installers order them."""
        base = self.base
        minor = base.glibc[1] if base is not None and base.glibc else _NEWEST if base is None or not base.musl else 0
        legacy = {version: name for name, version in _LEGACY.items()}
        platforms = []
        for one in range(minor, _OLDEST - 1, -1):
            platforms.append(f"manylinux_2_{one}_{self.machine}")
            platforms += [f"{legacy[2, one]}_{self.machine}"] if (2, one) in legacy else []
        if base is not None and base.musl:
            platforms += [f"musllinux_1_{one}_{self.machine}" for one in range(base.musl[1], -1, -1)]
        platforms.append(f"linux_{self.machine}")
        version, abi = self.python.version, self.python.tag
        return [*cpython_tags(version, [abi], platforms), *compatible_tags(version, abi.rstrip("t"), platforms)]

    def best(self, wheels: Sequence[ImageWheel]) -> ImageWheel | None:
        """Of wheels of one version, the one that an installer takes."""
        ranks = {wheel.filename: self.preference(wheel.filename) for wheel in wheels}
        least = min((rank for rank in ranks.values() if rank is not None), default=None)
        fitting = [wheel for wheel in wheels if least is not None and ranks[wheel.filename] == least]
        # Of two builds the later, as installers do.
        return max(fitting, key=lambda wheel: (parse_wheel_filename(wheel.filename)[2], wheel.filename), default=None)

    def refusal(self, filename: str) -> str:
        """Why a wheel does not fit."""
        name = parse_wheel_name(filename)
        pythons = {(tag.python, tag.abi) for tag in expand_tag(name.tag)}
        if not pythons & self._accepted().keys():
            return f"is for Python {name.tag.python}-{name.tag.abi}, and the image has {self.python.tag}"
        libc = self._libc()
        return f"is for {name.tag.platform}, and the image is {self.platform}{f' with {libc}' if libc else ''}"

    def _libc(self) -> str:
        if self.base is None:
            return ""
        found = {"glibc": self.base.glibc, "musl": self.base.musl}
        return next((f"{name} {one[0]}.{one[1]}" for name, one in found.items() if one), "")

    def _accepted(self) -> dict[tuple[str, str], int]:
        """(python, abi) -> rank."""
        order: dict[tuple[str, str], int] = {}
        for tag in self._tags():
            order.setdefault((tag[0], tag[1]), len(order))
        return order

    def _tags(self) -> Iterator[tuple[str, str]]:
        version, platforms = self.python.version, ["any"]
        tags: Iterable[str] = [self.python.tag]
        for tag in cpython_tags(version, abis=list(tags), platforms=platforms):
            yield tag.interpreter, tag.abi
        for tag in compatible_tags(version, self.python.tag.removesuffix("t"), platforms):
            yield tag.interpreter, tag.abi

    def _age(self, platform: str) -> int | None:
        """How far below the image's C library a platform tag is; `None`: it does not fit. Plain `any` comes last."""
        if platform == "any":
            return 1_000_000
        base, found = self.base, _LINUX.fullmatch(platform)
        bare = _BARE.fullmatch(platform)
        if found is not None and found["machine"] == self.machine:
            wanted = int(found["major"]), int(found["minor"])
            is_musl = found["libc"] == "musllinux"
        elif bare is not None and bare["machine"] == self.machine:
            wanted, is_musl = _LEGACY.get(bare["name"], (2, 0)), False
        else:
            return None
        if base is None or (base.glibc, base.musl) == (None, None):
            return 1000 - wanted[1] if not is_musl else None  # unknown: as if new enough
        has = base.musl if is_musl else base.glibc
        return None if has is None or has[0] != wanted[0] or wanted > has else has[1] - wanted[1]
