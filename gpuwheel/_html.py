"""Pages of our own: one file of HTML, without scripts and network, light or dark as the reader has it."""

from __future__ import annotations

from html import escape

__all__ = ["html_page"]

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #59636e; --line: #d5dbe1; --paper: #fff; --good: #1a7f37; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa5b1; --line: #343b44; --paper: #0f1419;
  --good: #4ac26b; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
dl { display: flex; flex-wrap: wrap; gap: .4rem 2.2rem; margin: 1rem 0; }
dt { color: var(--soft); font-size: .85rem; } dd { margin: 0; }
.table { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
code { font: 13px ui-monospace, monospace; }
small { color: var(--soft); }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""What a browser is to refuse: everything but the style above."""


def html_page(title: str, style: str, body: str) -> str:
    """A whole document.

    Args:
        title: as text.
        style: CSS that this page has beyond that of all.
        body: HTML, in which all that comes from outside is escaped.
    """
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'
        f"<title>{escape(title)}</title><style>{_STYLE}{style}</style>"
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body><main>{body}</main></body></html>\n'
