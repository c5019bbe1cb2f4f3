"""What device code for each target costs in a wheel's file, and what leaving a target out would save and lose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel.audit.contents.wheel_contents import added_up
from gpuwheel.model.archs import Arch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpuwheel.audit.contents.wheel_contents import CodeRow, WheelContents
    from gpuwheel.compatibility import Tables

__all__ = ["Forecast", "forecasts"]


@dataclass(frozen=True)
class Forecast:
    """A wheel without the device code for one target."""

    target: str
    """ "sm_86", "compute_90"."""
    kind: str
    unpacked: int
    """Bytes that the installed files would lose: exact but for padding."""
    packed: int
    """Bytes that the wheel's file would lose: by the target's share of the members that hold it, or as measured."""
    otherwise: tuple[tuple[str, str], ...]
    """GPUs that run this code now (compute capabilities), and what they would run then."""
    unserved: tuple[str, ...]
    """GPUs that run this code now and that nothing else in the wheel serves."""
    is_measured: bool = False
    """Whether what is left was compressed (`audit.repair.measuring`), so that `packed` is no estimate."""


def forecasts(contents: WheelContents, tables: Tables) -> tuple[Forecast, ...]:
    """One for each target of the wheel's device code that GPUs or the driver take, in order of arch.

    Which GPUs are served is judged by all device code of the wheel together: whether each library has what it needs
    is the audit's to say.
    """
    rows = [row for row in added_up(contents.code.values()) if row.kind in {"cubin", "ptx"}]
    return tuple(_without(row, rows, contents, tables) for row in rows)


def _without(row: CodeRow, rows: Iterable[CodeRow], contents: WheelContents, tables: Tables) -> Forecast:
    rest = [other for other in rows if other is not row]
    moved = {
        device: _serving(rest, device)
        for device in tables.devices
        if _serving([row, *rest], device) not in {None, _serving(rest, device)}
    }
    packed = 0.0
    for name, held in contents.code.items():
        size = sum(one.size for one in held if (one.kind, one.target) == (row.kind, row.target))
        member = contents.members[name]
        packed += member.packed * size / member.size if member.size else 0
    return Forecast(
        target=row.target,
        kind=row.kind,
        unpacked=row.size,
        packed=round(packed),
        otherwise=tuple((str(device), then) for device, then in moved.items() if then is not None),
        unserved=tuple(str(device) for device, then in moved.items() if then is None),
    )


def _serving(rows: Iterable[CodeRow], device: Arch) -> str | None:
    """What a driver takes for a GPU: the nearest cubin, else the nearest PTX, as `compatibility.serves` has it."""
    archs = [(row, Arch.parse(row.target)) for row in rows]
    cubins = [arch for row, arch in archs if row.kind == "cubin" and arch.cubin_runs_on(device)]
    if cubins:
        return max(cubins).sm
    ptx = [arch for row, arch in archs if row.kind == "ptx" and arch.ptx_runs_on(device)]
    return max(ptx).compute if ptx else None
