"""Coverage as one file of HTML: kernels, and each source with its lines."""

from __future__ import annotations

from collections import defaultdict
from html import escape
from typing import TYPE_CHECKING

from gpuwheel._html import html_page
from gpuwheel.testing.coverage.coverage_texts import line_ranges, share

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpuwheel.testing.coverage.coverage_counts import Coverage, KernelCoverage
    from gpuwheel.testing.coverage.coverage_sources import CoveredSource

__all__ = ["coverage_page"]

_STYLE = """
:root { --good-paper: #e6f6ea; --bad: #b42318; --bad-paper: #fdecea; }
@media (prefers-color-scheme: dark) { :root { --good-paper: #12301b; --bad: #ff8d84; --bad-paper: #3a1917; } }
body { max-width: 80rem; }
dd { font-size: 1.1rem; }
th, td { padding: .25rem .9rem .25rem 0; font-weight: normal; }
thead th { font-weight: 600; color: var(--soft); font-size: .85rem; }
td { font-variant-numeric: tabular-nums; }
.never { color: var(--bad); }
code { overflow-wrap: anywhere; }
details { border-top: 1px solid var(--line); padding: .4rem 0; } summary { cursor: pointer; }
pre { overflow-x: auto; font: 13px/1.4 ui-monospace, monospace; margin: .6rem 0; }
pre i { font-style: normal; display: inline-block; min-width: 14ch; color: var(--soft); user-select: none;
  text-align: right; padding-right: 1.5ch; }
pre b { font-weight: normal; display: block; } pre b.hit { background: var(--good-paper); }
pre b.miss { background: var(--bad-paper); }
"""


def coverage_page(coverage: Coverage, sources: Sequence[CoveredSource]) -> str:
    """The whole. The texts of the sources are read now."""
    whole, executed = sum(len(source.lines) for source in sources), sum(source.executed for source in sources)
    figures = {
        "kernels launched": f"{len(coverage.launched)} of {len(coverage.kernels)}",
        "lines executed": f"{executed} of {whole} ({share(executed, whole)})" if whole else "no line information",
    }
    body = [
        "<h1>Device code that was executed</h1>",
        "<dl>" + "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in figures.items()) + "</dl>",
        "<p><small>On the pretend GPU: lines are those of the PTX, not of machine code.</small></p>",
        "<h2>Kernels</h2>",
        *_kernels(coverage.kernels),
        *(["<h2>Sources</h2>", *map(_source, sources)] if sources else []),
    ]
    return html_page("Device code that was executed", _STYLE, "".join(body))


def _kernels(kernels: Sequence[KernelCoverage]) -> Iterator[str]:
    groups: dict[str, list[KernelCoverage]] = defaultdict(list)
    for kernel in kernels:
        groups[kernel.template].append(kernel)
    head = "".join(f"<th>{name}</th>" for name in ("kernel", "launches", "instructions executed"))
    yield f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>'
    for template, group in groups.items():
        if len(group) > 1:
            launched = f"{sum(1 for kernel in group if kernel.launches)} of {len(group)} instantiations"
            yield f"<tr><th><code>{escape(template)}</code></th><td>{launched}</td><td></td></tr>"
        yield from map(_row, group)
    yield "</tbody></table></div>"


def _row(kernel: KernelCoverage) -> str:
    whole = kernel.instructions
    parts = f"{kernel.executed} of {whole} ({share(kernel.executed, whole)})" if whole else ""
    state = "" if kernel.launches else ' class="never"'
    name = f"<td><code>{escape(kernel.name)}</code></td>"
    return f"<tr{state}>{name}<td>{kernel.launches or 'never'}</td><td>{parts}</td></tr>"


def _source(source: CoveredSource) -> str:
    missed = f"; never: {line_ranges(source.missed)}" if source.missed else ""
    summary = f"<code>{escape(source.name)}</code> {share(source.executed, len(source.lines))}{missed}"
    try:
        text = source.path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        count = source.lines.get(number)
        state = "" if count is None else ' class="hit"' if count else ' class="miss"'
        shown = "" if count is None else f"{count:,}" if count else "never"
        lines.append(f"<b{state}><i>{shown} {number:>5}</i>{escape(line)}</b>")
    return f"<details open><summary>{summary}</summary><pre>{''.join(lines)}</pre></details>"
