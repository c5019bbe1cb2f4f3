"""`gpuwheel update`."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, Literal

import click

from gpuwheel._cache import Cache
from gpuwheel.cli import parameters
from gpuwheel.cli.projects.answers import data, given_answers
from gpuwheel.cli.projects.pipelines import refreshed
from gpuwheel.errors import MergeConflictError
from gpuwheel.scaffold import Change, update_project
from gpuwheel.ui import Painter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gpuwheel.scaffold import Update

__all__ = ["update_command"]

_CONFLICTS = click.Choice(["inline", "rej"])
_CONFLICT_HELP = "How conflicts are shown: by markers in FILE, or with the template's text there and yours in FILE.rej."


@click.command("update")
@parameters.project
@data
@click.option("--conflict", type=_CONFLICTS, default="inline", show_default=True, help=_CONFLICT_HELP)
@click.option("--dry-run", is_flag=True, help="Show what would change; write nothing.")
@parameters.as_json
def update_command(
    project: Path, *, data: tuple[str, ...], conflict: Literal["inline", "rej"], dry_run: bool, as_json: bool
) -> None:
    """Bring the templates of this gpuwheel into PROJECT, which `gpuwheel new` made, or change answers that it gave.

    The project is a git repository with everything committed; the changes appear in its files, to be looked through and
    committed. What both the project and the template changed at the same place is a conflict: both versions are in the
    file, between markers, and the exit code is 14. Files that the project has deleted stay deleted.

    \b
    Examples:
      gpuwheel update --dry-run
      gpuwheel update
      gpuwheel update --data "archs=8.0 9.0 12.0+PTX"
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    change = Change(project, given_answers(data), conflict, dry_run)
    cache = Cache.from_environment(os.environ)
    update = update_project(change, cache=cache, environ=dict(os.environ), finish=refreshed)
    if as_json:
        click.echo(json.dumps(_document(update, written=not dry_run), indent=2))
    else:
        painter = Painter(sys.stdout, os.environ)
        for line in _report(update, painter, dry_run=dry_run):
            click.echo(line, color=painter.colour)
    if update.conflicts:
        count = len(update.conflicts)
        verb = "would have" if dry_run else "has" if count == 1 else "have"
        msg = f"{count} file{'s' * (count > 1)} {verb} conflicts (found in {', '.join(update.conflicts)})"
        where = "between <<<<<<< and >>>>>>>" if conflict == "inline" else "from each FILE.rej"
        # An exit status of its own: CI may update by itself, and has to know when a person is needed.
        raise MergeConflictError(msg, hint=None if dry_run else f"choose {where}, then git add and git commit")


def _report(update: Update, painter: Painter, *, dry_run: bool) -> Iterator[str]:
    files = (*update.added, *update.changed, *update.removed)
    if not files:
        yield f"{painter.paint('ok', 'up to date')} with templates {update.after}"
        return
    if dry_run:
        yield update.diff.rstrip("\n")
    conflicts = set(update.conflicts)
    for word, names in (("added", update.added), ("changed", update.changed), ("removed", update.removed)):
        for name in names:
            yield f"  {painter.paint('error', 'conflict') if name in conflicts else f'{word:<8}'}  {name}"
    versions = update.after if update.before == update.after else f"{update.before} -> {update.after}"
    if dry_run:
        yield painter.paint("quiet", f"templates {versions}; nothing was written (--dry-run)")
        return
    yield f"{painter.paint('ok', 'updated')} to templates {versions}"
    if not conflicts:
        yield f"{painter.paint('hint', 'next:')} git diff, then git add --all && git commit"


def _document(update: Update, *, written: bool) -> dict[str, Any]:
    """The report for machines, schema 1 (`data/update.schema.json`)."""
    return {
        "schema": 1,
        "written": written,
        "from": update.before,
        "to": update.after,
        "added": list(update.added),
        "changed": list(update.changed),
        "removed": list(update.removed),
        "conflicts": list(update.conflicts),
        "diff": update.diff,
    }
