"""A plan as one file of HTML. Pure."""

from __future__ import annotations

from collections import defaultdict
from html import escape
from typing import TYPE_CHECKING

from gpuwheel._html import html_page
from gpuwheel.plan.explain import served_by
from gpuwheel.plan.views.cell_table import closing_lines, common, differing, next_lines, row_of
from gpuwheel.plan.views.overview import shown_python

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gpuwheel.plan.views.overview import CellFacts, Overview

__all__ = ["plan_page"]

_STYLE = """
:root { --good-paper: #e6f6ea; --bad: #b42318; --bad-paper: #fdecea; --link: #2f6fb5; }
@media (prefers-color-scheme: dark) { :root { --good-paper: #12301b; --bad: #ff8d84; --bad-paper: #3a1917;
  --link: #6cb0f5; } }
body { max-width: 80rem; }
a { color: var(--link); }
dd { font-size: 1.1rem; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
th, td { padding: .25rem .9rem .25rem 0; font-weight: normal; }
thead th { font-weight: 600; color: var(--soft); font-size: .85rem; }
td, tbody th { font-variant-numeric: tabular-nums; }
.grid td { padding: .2rem .7rem; border: 1px solid var(--line); text-align: center; }
.grid thead td { border: 0; }
.grid th { padding: .2rem .7rem; }
code { white-space: nowrap; }
td.build, td.reject { padding-left: .5rem; }
.build { color: var(--good); } td.build { background: var(--good-paper); }
.reject { color: var(--bad); } td.reject { background: var(--bad-paper); }
.lines li { overflow-wrap: anywhere; }
details { border-top: 1px solid var(--line); padding: .4rem 0; } summary { cursor: pointer; }
"""


def plan_page(overview: Overview) -> str:
    """The plan, whole: what stands in the terminal, with all of each cell."""
    release = f"{overview.name} {overview.version or ''}".strip()
    title = f"{release}: {len(overview.accepted)} of {len(overview.cells)} candidates are built"
    body = [
        f"<h1>{escape(title)}</h1>",
        _figures(common(overview)),
        *_grids(overview),
        "<h2>What it comes to</h2>",
        _list(closing_lines(overview, most=None)),
        *(["<h2>What new releases would change</h2>", _list(next_lines(overview))] if overview.next_changes else []),
        "<h2>Cells</h2>",
        _cells(overview),
        "<h2>Each cell</h2>",
        *(_details(facts) for facts in overview.cells),
    ]
    return html_page(title, _STYLE, "".join(body))


def _figures(alike: dict[str, str]) -> str:
    rows = (f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in alike.items())
    return f"<dl>{''.join(rows)}</dl>"


def _grids(overview: Overview) -> Iterator[str]:
    """Python against torch, for each of the rest, where a plan has several of both."""
    groups: dict[tuple[str, str, str], list[CellFacts]] = defaultdict(list)
    for facts in overview.cells:
        groups[facts.cell.mode.value, str(facts.cell.cuda), facts.cell.platform].append(facts)
    for (mode, cuda, platform), cells in groups.items():
        pythons = list(dict.fromkeys(shown_python(facts.cell) for facts in cells))
        torchs = list(dict.fromkeys(facts.torch or "-" for facts in cells))
        if len(pythons) < 2 or len(torchs) < 2:  # noqa: PLR2004 (else it is no more than a row of the table)
            continue
        place = {(shown_python(facts.cell), facts.torch or "-"): facts for facts in cells}
        head = "".join(f'<th scope="col">Python {escape(python)}</th>' for python in pythons)
        rows = "".join(
            f'<tr><th scope="row">torch {escape(torch)}</th>'
            + "".join(_square(place.get((python, torch))) for python in pythons)
            + "</tr>"
            for torch in torchs
        )
        caption = f"mode {mode}, CUDA {cuda}, {platform}"
        yield (
            f'<div class="table"><table class="grid"><caption>{escape(caption)}</caption>'
            f"<thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        )


def _square(facts: CellFacts | None) -> str:
    if facts is None:
        return "<td></td>"
    word = _verdict(facts)
    return f'<td class="{word}"><a class="{word}" href="#{escape(facts.cell.identifier)}">{word}</a></td>'


def _cells(overview: Overview) -> str:
    names = differing(overview)
    if len(overview.cells) == 1:
        names = ("cell", "verdict", "file")
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = "".join(_row(facts, names) for facts in overview.cells)
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _row(facts: CellFacts, names: Sequence[str]) -> str:
    row, parts = row_of(facts), []
    for name in names:
        text = escape(row[name])
        if name == "cell":
            parts.append(f'<th scope="row"><a href="#{text}"><code>{text}</code></a></th>')
        elif name == "verdict":
            parts.append(f'<td class="{_verdict(facts)}">{text}</td>')
        else:
            parts.append(f"<td>{f'<code>{text}</code>' if name == 'file' else text}</td>")
    return f"<tr>{''.join(parts)}</tr>"


def _details(facts: CellFacts) -> str:
    decision, word = facts.decision, _verdict(facts)
    named = escape(facts.cell.identifier)
    lines = [
        *([f"hint: {decision.hint}"] if decision.hint else []),
        *(f"note: {note}" for note in decision.notes),
        *([f"file: {facts.file}"] if facts.file else []),
        *(f"requires: {requirement}" for requirement in facts.requires),
        *(f"narrow: {line}" for line in facts.narrow),
        *(f"data: {row.table}: {row.says}" + (f" ({row.source})" if row.source else "") for row in facts.rows),
    ]
    return (
        f'<details><summary><code>{named}</code> <span class="{word}">{word}</span>: '
        f"{escape(decision.reason)}</summary>"
        # Inside: a link to it opens what it stands in.
        f'<div id="{named}">{_coverage(facts)}{_list(lines)}</div></details>'
    )


def _coverage(facts: CellFacts) -> str:
    served = served_by(facts.decision.coverage)
    if not served:
        return ""
    rows = "".join(
        f'<tr><th scope="row"><code>{escape(image)}</code></th><td>{escape(" ".join(devices))}</td></tr>'
        for image, devices in served.items()
    )
    head = '<thead><tr><th scope="col">image</th><th scope="col">compute capabilities that it serves</th></tr></thead>'
    return f'<div class="table"><table>{head}<tbody>{rows}</tbody></table></div>'


def _list(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(line.strip())}</li>" for line in lines)
    return f'<ul class="lines">{items}</ul>' if items else "<p>Nothing.</p>"


def _verdict(facts: CellFacts) -> str:
    return "build" if facts.decision.accepted else "reject"
