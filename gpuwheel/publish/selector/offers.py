"""A wheel that may be chosen, and what follows from what was found in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from gpuwheel.audit.kernel_manifests import TOOLKIT_FILE
from gpuwheel.compatibility import load_tables
from gpuwheel.publish.wheel_facts import split_variant

if TYPE_CHECKING:
    from gpuwheel.publish.device_facts import DeviceCode
    from gpuwheel.publish.published import PublishedWheel
    from gpuwheel.publish.wheel_facts import WheelFacts

__all__ = ["Offer"]

_DASHES = 4
"""In a name without the number of a build."""
_TOOLKIT = re.compile(r"\.cu\d+\.\d+\.fatbin$")


@dataclass(frozen=True)
class Offer:
    """One wheel file of an index."""

    published: PublishedWheel
    inspected: bool = True
    """Whether its bytes were looked at; else the facts are of its name and metadata alone."""

    @property
    def facts(self) -> WheelFacts:
        """What was found in it."""
        return self.published.facts

    @cached_property
    def version(self) -> Version:
        """Of the wheel."""
        return Version(self.facts.version)

    @cached_property
    def build(self) -> tuple[int, str] | tuple[()]:
        """Its build number, from the name."""
        plain = split_variant(self.facts.filename)[0]
        if plain.count("-") == _DASHES:
            return ()
        try:
            return parse_wheel_filename(plain)[2]
        except (InvalidWheelFilename, InvalidVersion):
            return ()

    @property
    def asks_gpu(self) -> bool:
        """Whether it does something on a GPU: by device code of its own, or by libraries of CUDA."""
        return bool(self.facts.code or self.facts.runtimes)

    @cached_property
    def driver(self) -> str | None:
        """The oldest driver for it; without device code that of CUDA's libraries; `None`: nothing tells."""
        if self.facts.code:
            return self.facts.driver
        rows = load_tables().cuda.values()
        floor = min((row.driver_floor for row in rows if row.version.major in self.facts.runtimes), default=None)
        return None if floor is None else str(floor)

    @cached_property
    def parts(self) -> tuple[tuple[DeviceCode, ...], ...]:
        """Device code by what is called as one: alternatives by several toolkits together, the first one's first.

        `ops/fused.cu13.0.fatbin` is such an alternative: of `ops/fused.cu12.9.fatbin`, or of what libraries embed.
        """
        groups: dict[str, list[DeviceCode]] = {}
        for code in self.facts.code:
            if not code.further:
                for member in code.members:
                    groups.setdefault(_stem(member), []).append(code)
        for code in self.facts.code:
            if code.further:
                own = [_stem(member) for member in code.members]
                for stem in [stem for stem in own if stem in groups] or list(groups) or own:
                    groups.setdefault(stem, []).append(code)
        return tuple(dict.fromkeys(tuple(dict.fromkeys(group)) for group in groups.values()))


def _stem(member: str) -> str:
    return _TOOLKIT.sub(".fatbin", member) if TOOLKIT_FILE.fullmatch(member) else member
