"""What kernels cost, for people: the table in the build log, and the budget that a project sets."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from gpuwheel.errors import CompileError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpuwheel.model.kernels import CompiledGroup, KernelCost

__all__ = ["check_budget", "summary"]

_LONGEST_NAME = 64


def summary(group: CompiledGroup) -> list[str]:
    """Registers per thread of each kernel and architecture, as an aligned table; `+N` are bytes spilled."""
    archs = [arch.sm for arch in group.cubin_archs]
    rows = [["kernel", *archs]]
    namespace = _common_namespace(group.kernels)
    for name, costs in group.kernels.items():
        rows.append([_shortened(name.removeprefix(namespace)), *(_cell(costs.get(arch)) for arch in archs)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    size = group.fatbin.stat().st_size
    ptx = "".join(f", {arch.compute}" for arch in group.ptx_archs)
    title = f"kernel group {group.name}: {len(group.kernels)} kernels for {', '.join(archs)}{ptx}, {size:,} bytes"
    spilled = any(cost.spill for costs in group.kernels.values() for cost in costs.values())
    legend = "registers per thread" + (", +bytes spilled" if spilled else "")
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    return [title, legend, *(line.rstrip() for line in lines)]


def check_budget(group: CompiledGroup, budget: int) -> None:
    """Refuse kernels that use more than `budget` registers per thread on any architecture.

    Raises:
        CompileError: naming the kernels, worst first.
    """
    over = sorted(
        ((cost.registers, name, arch) for name, costs in group.kernels.items() for arch, cost in costs.items()),
        key=lambda row: (-row[0], row[1:]),
    )
    over = [row for row in over if row[0] > budget]
    if over:
        registers, name, arch = over[0]
        msg = f"kernel {name} uses {registers} registers per thread on {arch} (budget of group {group.name}: {budget})"
        detail = "\n".join(f"{registers:4} registers  {arch:8}  {name}" for registers, name, arch in over)
        hint = f"bound it with __launch_bounds__, or raise budget in [tool.gpuwheel.kernels.{group.name}]"
        raise CompileError(msg, hint=hint, detail=detail)


def _cell(cost: KernelCost | None) -> str:
    if cost is None:
        return "-"
    return f"{cost.registers}+{cost.spill}" if cost.spill else str(cost.registers)


def _common_namespace(names: Iterable[str]) -> str:
    """What every name starts with, as whole namespaces: "pkg::kernels::"."""
    # Ahead of "<": template arguments have namespaces of their own.
    scopes = [name.partition("<")[0].split("::")[:-1] for name in names]
    shared = takewhile(lambda parts: len(set(parts)) == 1, zip(*scopes, strict=False))
    return "".join(f"{parts[0]}::" for parts in shared)


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
