"""Figures as the measuring scripts leave them: a JSON file, and a part of docs/explanation/performance.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

__all__ = ["add_options", "keep", "write_part"]

_ROOT = Path(__file__).resolve().parent.parent.parent
_PAGE = Path("docs") / "explanation" / "performance.md"
_END = "<!-- end -->"


def write_part(command: str, text: str) -> None:
    """Put `text` between the page's markers for `command`.

    Raises:
        SystemExit: the page has no markers.
    """
    page = _ROOT / _PAGE
    marker = f"<!-- begin: {command} -->"
    before, begin, rest = page.read_text(encoding="utf-8").partition(marker)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        message = f"{_PAGE} has no markers {marker} and {_END}"
        raise SystemExit(message)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")
    print(f"wrote {_PAGE}")


def add_options(parser: argparse.ArgumentParser, out: Path) -> None:
    """What `keep` asks for; `out`: where the figures go unless another file is named."""
    parser.add_argument("--out", type=Path, default=out, help="file for the figures (default: %(default)s)")
    parser.add_argument("--write-docs", action="store_true", help="write the table into the page")


def keep(result: dict[str, Any], options: argparse.Namespace, table: Callable[[dict[str, Any]], str]) -> None:
    """Write down figures, and their table if that is asked for.

    Args:
        result: the figures; "command" is what measured them.
        options: as parsed.
        table: the figures as Markdown.
    """
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {options.out}")
    if options.write_docs:
        script = " ".join(result["command"].split()[:2])
        write_part(f"{script} --write-docs", table(result))
