"""Cells as work to hand out: plain data, which travels to another process or machine as JSON."""

from __future__ import annotations

import fnmatch
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from gpuwheel.compile.reuse.store import content_key
from gpuwheel.errors import PlanError
from gpuwheel.model.choices import Mode, PythonAbi, TorchAbi
from gpuwheel.plan import rejection
from gpuwheel.plan.checks import listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpuwheel.model.cells import Cell, Decision

__all__ = ["Settings", "Task", "selected", "task_of"]

Settings = dict[str, "str | list[str]"]
"""What a frontend hands to the hooks (`-C`)."""


@dataclass(frozen=True)
class Task:
    """One cell to build."""

    identifier: str
    """Of the cell, as the plan lists it."""
    python: str | None
    """The only Python that can build it: "3.12"; `None`: any."""
    settings: Settings
    """Of the whole build, and which cell this is."""
    shares: tuple[str, ...]
    """Names of work that other cells with the same name need too: the first that is built does it for them."""
    key: str
    """Digest of all that the wheel is made from, as far as it is known before."""

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Task:
        """From what `as_json` gave."""
        return cls(**{**document, "shares": tuple(document["shares"])})

    def as_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def selected(decisions: Sequence[Decision], patterns: Sequence[str]) -> list[Decision]:
    """The accepted candidates that a pattern names, in the order of the plan; all of them, if there is no pattern.

    Raises:
        PlanError: a pattern names no candidate, or only rejected ones, or nothing can be built.
    """
    for pattern in patterns:
        named = [one for one in decisions if fnmatch.fnmatchcase(one.cell.identifier, pattern)]
        if not named:
            found = listed(one.cell.identifier for one in decisions)
            msg = f"{pattern!r} names no wheel of this project (expected of {found})"
            raise PlanError(msg, hint="gpuwheel plan lists them; * stands for any characters")
        if not any(one.accepted for one in named):
            raise rejection(named)
    chosen = [
        one
        for one in decisions
        if one.accepted and (not patterns or any(fnmatch.fnmatchcase(one.cell.identifier, each) for each in patterns))
    ]
    if not chosen:
        raise rejection(decisions)
    return chosen


def task_of(cell: Cell, settings: Settings, made_from: Mapping[str, Any]) -> Task:
    """The work of building `cell`.

    Args:
        cell: accepted by the plan.
        settings: `-C` of the build; which cell it is comes on top.
        made_from: what is common to all cells: sources, gpuwheel, the environment's words for tools.
    """
    own: Settings = {**settings, "gpuwheel.only": cell.identifier}
    python = str(cell.python) if cell.python_abi is PythonAbi.VERSION else None
    return Task(cell.identifier, python, own, _shared(cell), content_key({**made_from, "settings": own}))


def _shared(cell: Cell) -> tuple[str, ...]:
    """Device code is made for a toolkit and its architectures; what includes torch's C++ headers for one torch too."""
    if cell.mode is Mode.PYTHON:
        return ()
    device = f"device code of {cell.mode.value} by CUDA {cell.cuda}"
    host = f"code for torch {cell.torch_floor} on {cell.machine} beside CUDA {cell.cuda}"
    return (device, host) if cell.torch is TorchAbi.EXACT else (device,)
