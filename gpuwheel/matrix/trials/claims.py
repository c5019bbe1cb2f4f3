"""What a finished wheel claims: the Pythons of its name and Requires-Python, the torches of its Requires-Dist."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename

from gpuwheel.compatibility import load_tables
from gpuwheel.model.versions import MinorVersion
from gpuwheel.wheel.archive import dist_info_folder, stored_members
from gpuwheel.wheel.metadata import field_values, parsed_requirements

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from packaging.tags import Tag

    from gpuwheel.compatibility.rows import TorchBuild

__all__ = ["Claims", "Pair", "claims_of"]


@dataclass(frozen=True)
class Pair:
    """What a wheel is tried with."""

    torch: str | None
    """The release; `None`: the wheel does without."""
    python: str
    """For example "3.12", "3.14t"."""

    def __str__(self) -> str:
        return f"Python {self.python}{f' and torch {self.torch}' if self.torch else ''}"


@dataclass(frozen=True)
class Claims:
    """A wheel, and where it says that it runs."""

    wheel: Path
    distribution: str
    pairs: tuple[Pair, ...]
    """By torch, then by Python, the oldest first."""
    foreign: str | None
    """The platform that it is for, where that is not this machine's."""


def claims_of(wheel: Path) -> Claims:
    """Read them from the file.

    Free-threaded Pythons count for wheels that name one alone: where any Python will do, others show the same.

    Raises:
        AuditError: it is no wheel.
        DataError: the tables are damaged.
    """
    name, _, _, tags = parse_wheel_filename(wheel.name)
    with stored_members(wheel) as members:
        metadata = members[f"{dist_info_folder(members, wheel.name)}/METADATA"].data
    admitted = [SpecifierSet(text) for text in field_values(metadata, "Requires-Python")]
    wanted = [
        requirement.specifier
        for requirement in parsed_requirements(metadata)
        if canonicalize_name(requirement.name) == "torch" and "extra" not in str(requirement.marker or "")
    ]
    rows = [row for _, row in sorted(load_tables().torch.items())]

    def pythons(found: Iterable[str]) -> list[str]:
        return sorted((one for one in found if _is_claimed(one, tags, admitted)), key=_order)

    if wanted:
        torches = [row for row in rows if all(each.contains(row.release, prereleases=True) for each in wanted)]
        pairs = [Pair(row.release, python) for row in torches for python in pythons(row.pythons)]
    else:
        pairs = [Pair(None, python) for python in pythons(_all(rows))]
    machine = platform.machine()
    others = sorted({tag.platform for tag in tags if tag.platform != "any" and not tag.platform.endswith(machine)})
    return Claims(wheel, name, tuple(pairs), others[0] if others else None)


def _all(rows: Iterable[TorchBuild]) -> set[str]:
    return {python for row in rows for python in row.pythons}


def _is_claimed(python: str, tags: Iterable[Tag], admitted: Iterable[SpecifierSet]) -> bool:
    version = MinorVersion.parse(python.rstrip("t"))
    own = f"cp{version.major}{version.minor}"
    if not all(version.is_admitted_by(each) for each in admitted):
        return False
    return any(
        tag.abi == f"{own}{'t' * python.endswith('t')}"
        or (
            not python.endswith("t")
            and ((tag.abi == "abi3" and _of_tag(tag.interpreter) <= version) or tag.interpreter == "py3")
        )
        for tag in tags
    )


def _of_tag(interpreter: str) -> MinorVersion:
    """From "cp310" (PEP 425: one digit for the major)."""
    return MinorVersion(int(interpreter[2]), int(interpreter[3:] or 0))


def _order(python: str) -> MinorVersion:
    return MinorVersion.parse(python.rstrip("t"))
