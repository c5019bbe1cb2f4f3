"""Kernels for people: what each costs on each architecture, and what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel.audit.rendering.amounts import change
from gpuwheel.binary.mangled import demangle_foreign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gpuwheel.audit.contents.comparison import KernelChange
    from gpuwheel.audit.contents.kernel_rows import KernelRow

__all__ = ["changed_kernels", "kernel_lines"]

_LEGEND = "registers, +bytes of stack, ~bytes of spill stores and loads (~? where the code does not say)"


def kernel_lines(rows: Sequence[KernelRow], paint: Callable[[str, str], str]) -> Iterator[str]:
    """A table for each file: registers of each kernel on each architecture, its stack, and what it spills."""
    files: dict[str, dict[str, dict[str, list[KernelRow]]]] = {}
    for row in rows:
        files.setdefault(row.file, {}).setdefault(row.symbol, {}).setdefault(row.target, []).append(row)
    for file, kernels in files.items():
        targets = sorted({target for costs in kernels.values() for target in costs}, key=lambda one: (len(one), one))
        head = "".join(f"{target:>14}" for target in targets)
        yield f"  {paint('title', 'kernels of ' + cut(file))}: {_LEGEND}"
        yield f"  {head}"
        names = demangle_foreign(list(kernels))
        for name, costs in zip(names, kernels.values(), strict=True):
            cells = "".join(f"{' '.join(map(_cost, costs.get(target, ()))):>14}" for target in targets)
            yield f"  {cells}  {cut(name)}"


def changed_kernels(
    changes: Sequence[KernelChange], paint: Callable[[str, str], str], shown: int | None
) -> Iterator[str]:
    """The kernels that came, went, or cost something else."""
    if not changes:
        return
    yield f"  {paint('title', 'kernels')}  {_LEGEND}; bytes of code"
    told = changes if shown is None else changes[:shown]
    for one, name in zip(told, demangle_foreign([each.symbol for each in told]), strict=True):
        if one.before is None or one.after is None:
            row = one.after or one.before
            mark = paint("ok", "+") if one.before is None else paint("error", "-")
            yield f"    {mark} {one.target} {cut(name)}  {'' if row is None else _cost(row)}"
        else:
            costs = " -> ".join(dict.fromkeys((_cost(one.before), _cost(one.after))))
            size = f", {change(one.before.size, one.after.size)}" if one.before.size != one.after.size else ""
            yield f"    ~ {one.target} {cut(name)}  {costs}{size}"
    if len(told) < len(changes):
        yield f"    and {len(changes) - len(told):,} more (--all shows them)"


def _cost(row: KernelRow) -> str:
    stack = f"+{row.local}" if row.local else ""
    if row.spill_stores is None or row.spill_loads is None:
        return f"{row.registers}{stack}~?" if stack else str(row.registers)
    spilled = row.spill_stores + row.spill_loads
    return f"{row.registers}{stack}~{spilled}" if spilled else f"{row.registers}{stack}"
