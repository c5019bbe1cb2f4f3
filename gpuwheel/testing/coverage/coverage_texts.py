"""Coverage as text for a terminal, as JSON, and as lcov's tracefile (geninfo(1), "FILES")."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpuwheel.testing.coverage.coverage_counts import Coverage, KernelCoverage
    from gpuwheel.testing.coverage.coverage_sources import CoveredSource

__all__ = ["coverage_json", "coverage_lcov", "coverage_lines", "line_ranges", "share"]

_MOST_NAMES = 20
_NO_LINES = "{count} kernels have no line information (lineinfo = true, or -lineinfo of nvcc): their lines are not told"


def share(part: int, whole: int) -> str:
    """E.g. `93 %`; `100 %` is all of it and `0 %` is nothing, whatever the rounding."""
    if not whole:
        return "-"
    rounded = round(100 * part / whole)
    return f"{100 if part == whole else 0 if not part else min(99, max(1, rounded))} %"


def line_ranges(lines: Sequence[int]) -> str:
    """E.g. `4-7, 12`."""
    found: list[list[int]] = []
    for line in lines:
        if found and line == found[-1][1] + 1:
            found[-1][1] = line
        else:
            found.append([line, line])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


def coverage_lines(coverage: Coverage, sources: Sequence[CoveredSource]) -> Iterator[str]:
    """What is told at the end of a run."""
    whole, executed = sum(len(source.lines) for source in sources), sum(source.executed for source in sources)
    kernels = f"{len(coverage.launched)} of {len(coverage.kernels)} kernels were launched"
    yield f"device code: {kernels}" + (
        f", {executed} of {whole} lines executed ({share(executed, whole)})" if whole else ""
    )
    width = max((len(source.name) for source in sources), default=0)
    for source in sources:
        missed = f"  never: {line_ranges(source.missed)}" if source.missed else ""
        yield f"  {source.name:{width}}  {share(source.executed, len(source.lines)):>5}{missed}"
    if coverage.without_lines:
        yield "  " + _NO_LINES.format(count=coverage.without_lines)
    if coverage.never:
        yield "  never launched:"
        yield from (f"    {kernel.name}" for kernel in coverage.never[:_MOST_NAMES])
        if len(coverage.never) > _MOST_NAMES:
            yield f"    and {len(coverage.never) - _MOST_NAMES} more"


def coverage_json(coverage: Coverage, sources: Sequence[CoveredSource], elsewhere: Sequence[str]) -> str:
    """The whole, for programs; `schema` rises when a meaning changes."""
    document = {
        "schema": 1,
        "kernels": [_kernel(kernel) for kernel in coverage.kernels],
        "files": [
            {"path": source.name, "lines": {str(line): source.lines[line] for line in sorted(source.lines)}}
            for source in sources
        ],
        "elsewhere": list(elsewhere),
        "kernels_without_lines": coverage.without_lines,
    }
    return json.dumps(document, indent=1) + "\n"


def _kernel(kernel: KernelCoverage) -> dict[str, object]:
    return {
        "symbol": kernel.symbol,
        "name": kernel.name,
        "launches": kernel.launches,
        "instructions": kernel.instructions,
        "executed": kernel.executed,
    }


def coverage_lcov(sources: Sequence[CoveredSource]) -> str:
    """A tracefile, for genhtml and for services that show coverage beside a change."""
    lines = []
    for source in sources:
        lines += ["TN:gpuwheel", f"SF:{source.path}"]
        lines += [f"DA:{line},{source.lines[line]}" for line in sorted(source.lines)]
        lines += [f"LF:{len(source.lines)}", f"LH:{source.executed}", "end_of_record"]
    return "".join(f"{line}\n" for line in lines)
