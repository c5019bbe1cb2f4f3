"""The page that people meet first: which projects an index has, and what to tell an installer."""

from __future__ import annotations

from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

from packaging.version import Version

from gpuwheel._html import html_page

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gpuwheel.publish.pages.listing import ListedFile

__all__ = ["FRONT_MARK", "front_page"]

FRONT_MARK = "written-by-gpuwheel-index"
"""In every such page, and nowhere else."""
_STYLE = """
body { max-width: 46rem; } th, td { padding: .3rem 1.2rem .3rem 0; } .count { text-align: right; }
"""


def front_page(files: Sequence[ListedFile], indexes: Iterable[str]) -> str:
    """The page at the top of an index.

    Args:
        files: of all projects, project by project.
        indexes: paths of `simple/` folders, that of all files first.
    """
    rows = [_row(project, list(group)) for project, group in groupby(files, key=lambda file: file.project)]
    links = [f'<li><a href="{escape(root)}/"><code>{escape(root)}/</code></a></li>' for root in indexes]
    body = (
        f'<h1 id="{FRONT_MARK}">Package index</h1>'
        "<p>Choose a project, and its page tells which wheel fits a machine, and what to type for it.</p>"
        '<div class="table"><table><thead><tr><th scope="col">project</th><th scope="col">newest</th>'
        '<th scope="col" class="count">files</th><th scope="col">what it is</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        f"<h2>For installers</h2><ul>{''.join(links)}</ul>"
    )
    return html_page("Package index", _STYLE, body)


def _row(project: str, files: Sequence[ListedFile]) -> str:
    newest = max(files, key=lambda file: (file.yanked is False, Version(file.version)))
    summary = newest.facts.summary if newest.facts is not None else ""
    version = newest.version.partition("+")[0]  # labels tell apart files of one release
    # With the file's name, which a disk does not add.
    link = f'<a href="choose/{escape(project)}/index.html">{escape(project)}</a>'
    return (
        f'<tr><th scope="row">{link}</th><td>{escape(version)}</td>'
        f'<td class="count">{len(files)}</td><td>{escape(summary)}</td></tr>'
    )
