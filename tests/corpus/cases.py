"""The registry: `case` makes a function one, and the modules of the package are all there is."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel.model.findings import Profile, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from corpus.wheels import WheelFile

__all__ = ["CASES", "Case", "case"]


@dataclass(frozen=True)
class Case:
    """One way to break a wheel."""

    name: str
    """A phrase that says what is broken."""
    rule: str
    """The one that finds it, and that alone is heard."""
    make: Callable[[], tuple[WheelFile, WheelFile]]
    """The broken wheel, and one that differs from it in nothing else."""
    sneaky: bool = False
    """Whether a simpler check would miss it."""
    profile: Profile = Profile.ANY
    severity: Severity = Severity.ERROR
    """Of what is found."""


CASES: list[Case] = []
"""All of them, by module."""


def case(
    rule: str, *, sneaky: bool = False, profile: Profile = Profile.ANY, severity: Severity = Severity.ERROR
) -> Callable[[Callable[[], tuple[WheelFile, WheelFile]]], Callable[[], tuple[WheelFile, WheelFile]]]:
    """Make a function a case of `rule`; its name is that of the case."""

    def made(make: Callable[[], tuple[WheelFile, WheelFile]]) -> Callable[[], tuple[WheelFile, WheelFile]]:
        CASES.append(Case(make.__name__.strip("_").replace("_", " "), rule, make, sneaky, profile, severity))
        return make

    return made


def load() -> None:
    """Import every module of the package, which registers its cases."""
    folder = Path(__file__).parent
    for module in sorted(found.name for found in pkgutil.iter_modules([str(folder)])):
        if not module.startswith("_"):
            importlib.import_module(f"corpus.{module}")
