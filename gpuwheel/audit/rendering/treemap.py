"""Bytes of a wheel by file and architecture, as a drawing (SVG 1.1) that needs no script.

An area is bytes of the installed file: those are exact, while what a part of a member takes in the archive is not
known. Colours stand for targets, and each area says its target and size in words, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel.audit.contents.wheel_contents import added_up
from gpuwheel.audit.rendering.amounts import amount
from gpuwheel.audit.rendering.contents_text import in_folders
from gpuwheel.audit.rendering.squarified import Box, squarified

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gpuwheel.audit.contents.wheel_contents import CodeRow, WheelContents

__all__ = ["TREEMAP_STYLE", "Tile", "tiles", "treemap"]

_WIDTH, _HEIGHT = 1000.0, 620.0
_EDGE, _HEADING = 2.0, 18.0
_CHARACTER, _LINE = 7.4, 15.0
"""About the width and height of a character of 12 units."""
_SMALL = 0.002
"""Share of a wheel below which files are one area together."""
_COLOURS = (
    "#8ecae6",
    "#ffd166",
    "#a8d5a2",
    "#f4a6a6",
    "#cdb4db",
    "#ffc8a2",
    "#9bd8cf",
    "#e2dc8f",
    "#b5c7f2",
    "#e7b8d4",
)
"""Light enough for dark letters, whatever the page is."""

TREEMAP_STYLE = """
.map { font: 12px system-ui, sans-serif; max-width: 100%; height: auto; }
.map .group { fill: #e9edf1; stroke: #8a949e; } .map .file { fill: #1b1f24; }
.map .code { stroke: #fff; stroke-width: .8; } .map .host { fill: #cfd6dd; }
.map .label { fill: #1b1f24; pointer-events: none; }
@media (prefers-color-scheme: dark) {
  .map .group { fill: #232a32; stroke: #59636e; } .map .file { fill: #e6edf3; } .map .code { stroke: #0f1419; }
  .map .host { fill: #9aa5b1; } }
"""
"""For the drawing alone, and for a page that holds it."""


@dataclass(frozen=True)
class Tile:
    """One file, or several small ones, and the device code in it."""

    name: str
    size: int
    """Bytes."""
    code: tuple[CodeRow, ...] = ()

    @property
    def host(self) -> int:
        """Bytes that are no device code."""
        return max(self.size - sum(row.size for row in self.code), 0)


def tiles(contents: WheelContents) -> tuple[Tile, ...]:
    """The areas of a wheel, the largest first; small files are one."""
    folders = in_folders(contents.code)
    sizes = {name: member.size for name, member in contents.members.items()}
    found = [Tile(name, sizes.pop(name), rows) for name, rows in folders.items() if name in sizes]
    for folder, rows in folders.items():
        if folder.endswith(" files)"):
            prefix = folder.rpartition("/")[0] + "/"
            inside = [name for name in contents.code if name.rpartition("/")[0] + "/" == prefix]
            found.append(Tile(folder, sum(sizes.pop(name) for name in inside if name in sizes), rows))
    least = contents.unpacked * _SMALL
    found += [Tile(name, size) for name, size in sizes.items() if size >= least]
    rest = [size for size in sizes.values() if size < least]
    if rest:
        found.append(Tile(f"{len(rest):,} other file{'' if len(rest) == 1 else 's'}", sum(rest)))
    return tuple(sorted(found, key=lambda tile: (-tile.size, tile.name)))


def treemap(contents: WheelContents, *, alone: bool) -> str:
    """The drawing; `alone`: as a file of its own, with its style."""
    colours = _colours(added_up(contents.code.values()))
    shown = tiles(contents)
    boxes = squarified([tile.size for tile in shown], Box(0, 0, _WIDTH, _HEIGHT))
    body = "".join(part for tile, box in zip(shown, boxes, strict=True) for part in _tile(tile, box, colours))
    title = f"{contents.file}: {amount(contents.unpacked)} by file and architecture"
    description = "; ".join(_told(tile) for tile in shown)
    root = f'class="map" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-labelledby="map-title map-text"'
    head = f'<title id="map-title">{escape(title)}</title><desc id="map-text">{escape(description)}</desc>'
    if not alone:
        return f"<svg {root}>{head}{body}</svg>"
    background = "<style>svg { background: #fff; } @media (prefers-color-scheme: dark) { svg { background: #0f1419; } }"
    style = f"{background}{TREEMAP_STYLE}</style>"
    size = f'width="{_WIDTH:g}" height="{_HEIGHT:g}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {root}>{head}{style}{body}</svg>\n'


def _told(tile: Tile) -> str:
    parts = [f"{row.target} {row.kind} {amount(row.size)}" for row in tile.code]
    inside = f" ({', '.join([*parts, f'other {amount(tile.host)}'])})" if parts else ""
    return f"{cut(tile.name)} {amount(tile.size)}{inside}"


def _colours(rows: Sequence[CodeRow]) -> dict[tuple[str, str], str]:
    return {(row.kind, row.target): _COLOURS[index % len(_COLOURS)] for index, row in enumerate(rows)}


def _tile(tile: Tile, box: Box, colours: Mapping[tuple[str, str], str]) -> Iterator[str]:
    yield f'<rect class="group" {_place(box)}><title>{escape(cut(tile.name))}: {amount(tile.size)}</title></rect>'
    has_heading = box.height > 2 * _HEADING and box.width > 4 * _CHARACTER
    if has_heading:
        text = _fitting(f"{cut(tile.name)}  {amount(tile.size)}", cut(tile.name), box.width)
        yield f'<text class="file" x="{box.x + 4:.1f}" y="{box.y + 13:.1f}">{escape(text)}</text>'
    inner = box.inner(_EDGE, _HEADING if has_heading else _EDGE)
    parts = sorted([*((row.size, row) for row in tile.code), (tile.host, None)], key=lambda part: -part[0])
    for (size, row), place in zip(parts, squarified([size for size, _ in parts], inner), strict=True):
        if size and place.width > 0 and place.height > 0:
            yield from _part(tile, size, row, place, colours)


def _part(
    tile: Tile, size: int, row: CodeRow | None, box: Box, colours: Mapping[tuple[str, str], str]
) -> Iterator[str]:
    name = "host code and data" if row is None else f"{row.target} {row.kind}"
    look = 'class="code host"' if row is None else f'class="code" fill="{colours[row.kind, row.target]}"'
    title = escape(f"{cut(tile.name)}: {name} {amount(size)}")
    yield f"<rect {look} {_place(box)}><title>{title}</title></rect>"
    for line, text in enumerate(("other" if row is None else row.target, amount(size))):
        if len(text) * _CHARACTER < box.width - 6 and (line + 1) * _LINE < box.height - 2:
            y = box.y + (line + 1) * _LINE - 2
            yield f'<text class="label" x="{box.x + 4:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _place(box: Box) -> str:
    return f'x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"'


def _fitting(text: str, short: str, width: float) -> str:
    """`text`, or what fits of the end of `short`: names of files differ there."""
    room = int((width - 8) / _CHARACTER)
    if len(text) <= room:
        return text
    short = short.rpartition("/")[2]
    return short if len(short) <= room else f"...{short[len(short) - max(room - 3, 1) :]}"
