"""The page of an index that chooses a wheel: one file of HTML, which works from a disk and asks nobody.

It has the law of `choosing` in JavaScript; a test compares the two. Its script, its style and its data are in it. The
browser runs that script and nothing else: the policy of the page names its digest.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

from gpuwheel._resources import resource
from gpuwheel.publish.selector.page_data import page_data

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpuwheel.compatibility import Tables
    from gpuwheel.publish.published import PublishedWheel

__all__ = ["LAW", "SELECTOR_MARK", "page_script", "selector_page"]

LAW = ("versions.js", "tags.js", "judging.js", "choosing.js", "install_lines.js", "machine_text.js")
"""The parts that need no page."""
SELECTOR_MARK = ": choose a wheel</title>"
"""In every such page."""
_SHOWN = ("state.js", "view.js", "controls.js", "start.js")


def selector_page(project: str, rows: Iterable[PublishedWheel], tables: Tables) -> str:
    """The page of one project.

    Args:
        project: its name, normalised.
        rows: its wheels, whose URLs are relative to the page, or absolute.
        tables: for what the page knows of drivers and GPUs.
    """
    script, style = page_script(LAW + _SHOWN), _part("page.css")
    sources = f"script-src {_source(script)}; style-src {_source(style)}; img-src data:"
    policy = f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'"
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">'
        f'<link rel="icon" href="data:,"><title>{escape(project)}{SELECTOR_MARK}<style>{style}</style>'
    )
    body = (
        f"<main>{_part('body.html')}</main>"
        f'<script type="application/json" id="data">{_inert(page_data(project, rows, tables))}</script>'
        f"<script>{script}</script>"
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{body}</body></html>\n'


@cache
def page_script(parts: tuple[str, ...]) -> str:
    """The parts as one script, which leaves no name behind."""
    return '"use strict";\n(() => {\n' + "".join(_part(name) for name in parts) + "})();\n"


@cache
def _part(name: str) -> str:
    return resource("publish", "selector", "page_parts", name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """The digest by which a policy admits an element with this text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _inert(data: Any) -> str:  # noqa: ANN401  # plain data
    """JSON that ends no element and begins none, whatever is in it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    # Escapes of JSON: the text of an element `script` ends at the first "</script", and changes at "<!--".
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
