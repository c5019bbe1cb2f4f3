"""What PyPI takes: `refuses` in `gpuwheel/data/publish.toml`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.audit.cases import rule
from gpuwheel.compatibility.publishing import load_publishing
from gpuwheel.model.findings import Found, Part, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.audit.cases import WheelCase

__all__ = ["INDEX_RULES"]

_MIB = 1 << 20


@rule(
    "index-size",
    needs={Part.SIZE},
    why="PyPI refuses larger files unless the project was granted more",
    fix="drop architectures, compress device code, or ask PyPI for a larger limit",
    source="docs.pypi.org, Storage limits; `refuses` in `gpuwheel/data/publish.toml`",
    severity=Severity.NOTE,
)
def _size(case: WheelCase) -> Iterator[Found]:
    """The wheel is larger than PyPI takes of a project without a limit of its own."""
    size, limit = case.wheel.size, load_publishing().refuses.file
    if size is not None and size > limit:
        problem = f"is larger than PyPI takes at first ({size / _MIB:.1f} MiB, expected at most {limit / _MIB:.0f} MiB)"
        yield Found(case.wheel.name, problem, facts={"bytes": size, "limit": limit})


@rule(
    "index-expansion",
    needs={Part.SIZE, Part.MEMBERS},
    why="PyPI takes such an archive for a bomb, and refuses it",
    fix="leave out what compresses so well: tables of zeros, repeated data; make it at run time",
    source="warehouse/forklift/legacy.py; `refuses` in `gpuwheel/data/publish.toml`",
)
def _expansion(case: WheelCase) -> Iterator[Found]:
    """The wheel unpacks to far more than it holds."""
    refuses = load_publishing().refuses
    unpacked = sum(member.size for member in case.wheel.members.values())
    size = case.wheel.size
    if size and unpacked >= refuses.expanded_from and unpacked / size > refuses.expansion:
        problem = f"unpacks to {unpacked / size:.0f} times its size (expected at most {refuses.expansion} times)"
        yield Found(case.wheel.name, problem, facts={"unpacked": unpacked, "bytes": size})


INDEX_RULES = (_size, _expansion)
