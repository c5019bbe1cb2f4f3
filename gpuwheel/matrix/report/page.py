"""The report as one file of HTML."""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import TYPE_CHECKING, Any

from gpuwheel._html import html_page
from gpuwheel.matrix.report.timeline import timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["page"]

_STYLE = """
:root { --bad: #cf222e; --stage: #b6d4f2; --source: #2f6fb5; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff7b72; --stage: #274a6e; --source: #6cb0f5; } }
body { max-width: 72rem; }
dd { font-size: 1.25rem; font-variant-numeric: tabular-nums; }
table { width: 100%; }
th, td { padding: .3rem .8rem .3rem 0; }
th { font-weight: 600; color: var(--soft); font-size: .85rem; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code { overflow-wrap: anywhere; }
.built, .kept { color: var(--good); } .failed, .stopped { color: var(--bad); }
small { display: block; }
svg { width: 100%; height: auto; }
svg text { font: 12px ui-monospace, monospace; fill: var(--ink); } svg text.tick { fill: var(--soft); font-size: 11px; }
svg line.tick { stroke: var(--line); }
rect.stage { fill: var(--stage); stroke: var(--paper); } rect.source { fill: var(--source); stroke: var(--paper); }
rect.stage.failed, rect.source.failed { fill: var(--bad); }
"""

_PASSED = {True: "passed", False: "FAILED", None: "not tried"}


def page(document: Mapping[str, Any]) -> str:
    """A report, as HTML."""
    cells: Sequence[Mapping[str, Any]] = document["cells"]
    title = f"{document['sdist']['file'].removesuffix('.tar.gz')}: {_counted(cells)}"
    sources = [source | {"cell": cell["identifier"]} for cell in cells for source in cell["sources"]]
    drawing = timeline(document)
    body = [
        f"<h1>{escape(title)}</h1>",
        _figures(document, sources),
        "<h2>Wheels</h2>",
        _table(("wheel", "state", "size|", "time|", "CPU|", "compiled|", "from the cache|"), map(_cell_row, cells)),
        *(["<h2>When</h2>", drawing] if drawing else []),
        *(["<h2>Sources</h2>", _source_table(sources)] if sources else []),
    ]
    return html_page(title, _STYLE, "".join(body))


def _counted(cells: Iterable[Mapping[str, Any]]) -> str:
    counts = Counter(cell["state"] for cell in cells)
    return ", ".join(f"{number} {state}" for state, number in counts.items())


def _figures(document: Mapping[str, Any], sources: Sequence[Mapping[str, Any]]) -> str:
    cells = document["cells"]
    sizes = sum(cell["size"] or 0 for cell in cells)
    figures = {
        "wall time": _time(document["seconds"]),
        "CPU": _time(sum(cell["cpu_seconds"] for cell in cells)),
        "wheels": _size(sizes),
        "cores": str(document["machine"]["cores"]),
        "compiled": str(len(sources)),
        "from the cache": str(sum(len(cell["reused"]) for cell in cells)),
    }
    peaks = [source["peak"] for source in sources if source.get("peak")]
    if peaks:
        figures["largest compiler"] = _size(max(peaks))
    rows = (f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in figures.items())
    return f"<dl>{''.join(rows)}</dl>"


def _cell_row(cell: Mapping[str, Any]) -> Sequence[str]:
    error = cell["error"]
    said = f"<small>{escape(error['message'])}</small>" if error else ""
    hint = f"<small>{escape(error['hint'])}</small>" if error and error["hint"] else ""
    trials = "".join(
        f"<small>{_PASSED[trial['passed']]}: {escape(str(trial['name']))}</small>" for trial in cell["trials"]
    )
    return (
        f"<td><code>{escape(cell['wheel'] or cell['identifier'])}</code>{said}{hint}{trials}</td>",
        f'<td class="{cell["state"]}">{cell["state"]}</td>',
        f'<td class="number">{_size(cell["size"]) if cell["size"] else ""}</td>',
        f'<td class="number">{_time(cell["seconds"])}</td>',
        f'<td class="number">{_time(cell["cpu_seconds"])}</td>',
        *(f'<td class="number">{len(cell[name])}</td>' for name in ("sources", "reused")),
    )


def _source_table(sources: Sequence[Mapping[str, Any]]) -> str:
    slowest = sorted(sources, key=lambda one: -one["seconds"])
    return _table(("source", "of", "time|", "memory|"), map(_source_row, slowest))


def _source_row(source: Mapping[str, Any]) -> Sequence[str]:
    return (
        f"<td><code>{escape(source['source'])}</code></td>",
        f"<td><code>{escape(source['cell'])}</code></td>",
        f'<td class="number">{_time(source["seconds"])}</td>',
        f'<td class="number">{_size(source["peak"]) if source.get("peak") else ""}</td>',
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; heads that end in "|" stand over numbers."""
    head = "".join(
        f'<th class="number" scope="col">{name[:-1]}</th>' if name.endswith("|") else f'<th scope="col">{name}</th>'
        for name in heads
    )
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _time(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:.0f} min {rest:.0f} s" if minutes else f"{rest:.1f} s"


def _size(size: int) -> str:
    power, unit = next((one for one in ((9, "GB"), (6, "MB")) if size >= 10 ** one[0]), (3, "kB"))
    return f"{size / 10**power:.1f} {unit}"
