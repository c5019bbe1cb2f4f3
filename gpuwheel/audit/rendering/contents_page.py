"""The bytes of wheels as one page: the drawing, the same as a table, and what leaving a target out would save."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel._html import html_page
from gpuwheel.audit.rendering.amounts import amount
from gpuwheel.audit.rendering.treemap import TREEMAP_STYLE, tiles, treemap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gpuwheel.audit.contents.arch_costs import Forecast
    from gpuwheel.audit.contents.wheel_contents import WheelContents

__all__ = ["contents_page", "forecast_lines"]

_STYLE = """
body { max-width: 64rem; } th, td { padding: .2rem .8rem .2rem 0; } td.number, th.number { text-align: right; }
"""
_ESTIMATE = "Estimated by their share of the files that hold them; the files themselves are compressed as a whole."
_MEASURED = "Measured: what is left was compressed, as gpuwheel repair --drop-arch compresses it."


def contents_page(contents: WheelContents, forecasts: Sequence[Forecast]) -> str:
    """The page (HTML), light or dark as the reader has it."""
    facts = {
        "file": amount(contents.size),
        "unpacked": amount(contents.unpacked),
        "files": f"{len(contents.members):,}",
        "sha256": contents.sha256,
    }
    listed = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items())
    body = [f"<h1>{escape(cut(contents.file))}</h1><dl>{listed}</dl>", treemap(contents, alone=False)]
    body += [
        "<h2>By file and architecture</h2>",
        _table(("file", "holds", "bytes installed", "about"), _rows(contents)),
    ]
    if forecasts:
        body += ["<h2>Without one architecture</h2>", f"<p>{_MEASURED if forecasts[0].is_measured else _ESTIMATE}</p>"]
        heads = ("without", "wheel file", "installed", "what becomes of the GPUs that run it")
        body.append(_table(heads, [_forecast(one, contents) for one in forecasts]))
    return html_page(f"{contents.file}: bytes by architecture", _STYLE + TREEMAP_STYLE, "".join(body))


def forecast_lines(contents: WheelContents, forecasts: Sequence[Forecast]) -> Iterator[str]:
    """The forecast for a terminal."""
    how = "measured" if forecasts[0].is_measured else "estimated by its share of the files; --measure compresses them"
    yield f"  without one architecture, the wheel file would be smaller by ({how})"
    for one in forecasts:
        target, packed, _, then = _forecast(one, contents)
        yield f"    {target:20} {packed:>18}  {then}"


def _rows(contents: WheelContents) -> Iterator[tuple[str, ...]]:
    for tile in tiles(contents):
        for row in tile.code:
            yield tile.name, f"{row.target} {row.kind}", f"{row.size:,}", amount(row.size)
        if tile.host or not tile.code:
            yield tile.name, "host code and data" if tile.code else "", f"{tile.host:,}", amount(tile.host)


def _forecast(one: Forecast, contents: WheelContents) -> tuple[str, str, str, str]:
    share = 100 * one.packed / contents.size if contents.size else 0
    devices: dict[str, list[str]] = {}
    for device, then in one.otherwise:
        devices.setdefault(then, []).append(device)
    parts = [f"{' '.join(served)} run{'s' if len(served) == 1 else ''} {then}" for then, served in devices.items()]
    if one.unserved:
        parts.append(f"nothing serves {' '.join(one.unserved)}")
    return (
        f"{one.target} {one.kind}",
        f"{'' if one.is_measured else 'about '}{amount(one.packed)} ({share:.0f} %)",
        amount(one.unpacked),
        "; ".join(parts) or "no known GPU runs it: another target serves each of them",
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    lines = ("".join(f"<td>{escape(cut(text))}</td>" for text in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
