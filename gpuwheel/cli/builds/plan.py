"""`gpuwheel plan`."""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gpuwheel._cache import Cache
from gpuwheel._files import atomic_file
from gpuwheel.cli import parameters
from gpuwheel.errors import PlanError
from gpuwheel.matrix.report.recorded import recorded
from gpuwheel.pipeline import Build
from gpuwheel.pipeline.planning.planned import with_forecast
from gpuwheel.pipeline.session import jobs_of
from gpuwheel.plan import select
from gpuwheel.plan.checks import listed
from gpuwheel.plan.views.cell_details import details
from gpuwheel.plan.views.cell_table import closing_lines, next_lines, table
from gpuwheel.plan.views.plan_document import plan_document
from gpuwheel.plan.views.plan_page import plan_page
from gpuwheel.ui import Terminal, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpuwheel.plan.views.overview import Overview

__all__ = ["plan_command"]

_FILE = click.Path(dir_okay=False, path_type=Path)
_INDENT = 4
"""Columns that further lines of a long one are moved in, more than any first one is."""


@click.command("plan")
@parameters.project
@parameters.settings
@click.option("--only", metavar="ID", help="Only the wheel of this identifier, as -C gpuwheel.only=ID.")
@click.option("--explain", "explained", metavar="CELL", help="Everything about the cells that match; * is any text.")
@click.option("--html", type=_FILE, metavar="FILE", help="Write the plan as a page too: one file, no script.")
@click.option("--against-next", is_flag=True, help="Say what the next torch, Python and CUDA would change.")
@parameters.as_json
def plan_command(  # noqa: PLR0913 (its options)
    project: Path,
    settings: tuple[str, ...],
    only: str | None,
    explained: str | None,
    html: Path | None,
    *,
    against_next: bool,
    as_json: bool,
) -> None:
    """Say which wheels PROJECT gives, on what they run, why not others, and what would make fewer. Builds nothing.

    \b
    Examples:
      gpuwheel plan
      gpuwheel plan sample_extension -C "gpuwheel.archs=8.0;9.0+PTX"
      gpuwheel plan --explain '*cp312*'
      gpuwheel plan --html plan.html
      gpuwheel plan --against-next
      gpuwheel plan --json | jq '.cells[].identifier'
      gpuwheel plan --only embed-cu12.9-torch2.10-linux_x86_64
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    given = parameters.config_settings(settings) | ({"gpuwheel.only": only} if only is not None else {})
    build = Build(project.resolve(), dict(os.environ), given, Terminal())
    known = recorded(build.config.project.name, project / "dist", Cache.from_environment(os.environ))
    overview = build.overview(against_next=against_next)
    overview = _chosen(with_forecast(overview, build.config, known, cores=jobs_of(os.environ)), build)
    if html is not None:
        # Whole or not at all; a folder that is not there is told as any file that cannot be written.
        with atomic_file(html) as file:
            file.write(plan_page(overview).encode())
    shown = overview if explained is None else _matching(overview, explained)
    if as_json:
        click.echo(json.dumps(plan_document(shown), indent=2))
    elif explained is not None:
        for facts in shown.cells:
            _show(details(facts, overview))
    else:
        _show(table(overview, shutil.get_terminal_size().columns if sys.stdout.isatty() else None))
        _show(closing_lines(overview))
        _show(next_lines(overview))
    # Printed all the same: the reasons are what somebody asked for.
    if not overview.accepted:
        sys.exit(PlanError.exit_code)


def _chosen(overview: Overview, build: Build) -> Overview:
    """With the one cell that `only` names, where it names one; labels and savings are those of the whole plan."""
    named = build.config.settings.only
    if named is None:
        return overview
    chosen = select([facts.decision for facts in overview.cells], named)
    return replace(overview, cells=tuple(facts for facts in overview.cells if facts.decision is chosen))


def _matching(overview: Overview, pattern: str) -> Overview:
    found = tuple(facts for facts in overview.cells if fnmatch.fnmatchcase(facts.cell.identifier, pattern))
    if not found:
        names = listed(facts.cell.identifier for facts in overview.cells)
        msg = f"--explain names no cell of this project (found {pattern!r}, expected of {names})"
        raise PlanError(msg, hint="gpuwheel plan lists them; * stands for any characters")
    return replace(overview, cells=found)


def _show(lines: Iterable[str]) -> None:
    for line in lines:
        text = line.lstrip()
        fits = wrapped(text, indent=_INDENT, stream=sys.stdout)
        click.echo("\n".join([line.removesuffix(text) + fits[0], *fits[1:]]))
