"""`gpuwheel diff`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from gpuwheel.audit.contents.comparison import compare
from gpuwheel.audit.rendering.comparison_text import comparison_document, comparison_lines
from gpuwheel.cli import parameters
from gpuwheel.errors import AuditError, UnreadableError
from gpuwheel.ui import Painter

__all__ = ["diff_command"]

_WHEEL = click.Path(exists=True, dir_okay=False, path_type=Path)
_DIFFERENT = 1


@click.command("diff")
@click.argument("old", type=_WHEEL)
@click.argument("new", type=_WHEEL)
@click.option("--kernels", is_flag=True, help="Compare kernels, too: registers, stack and size, for each arch.")
@click.option("--all", "is_whole", is_flag=True, help="Cut no list.")
@parameters.as_json
def diff_command(old: Path, new: Path, *, kernels: bool, is_whole: bool, as_json: bool) -> None:
    """Show what changed from the wheel OLD to the wheel NEW.

    Metadata, requirements, tags, files, what libraries need and show, device code by arch. The exit code is 0 where
    both hold the same, 1 where they differ (archives that are packed differently hold the same), and 17 where one of
    them cannot be read.

    \b
    Examples:
      gpuwheel diff ops-1.0-py3-none-any.whl dist/ops-1.1-py3-none-any.whl
      gpuwheel diff --kernels ops-1.0-py3-none-any.whl dist/ops-1.1-py3-none-any.whl
      gpuwheel diff --json old.whl new.whl > changes.json
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    try:
        found = compare(old, new, kernels=kernels)
    except AuditError as problem:
        raise UnreadableError(problem.message, hint=problem.hint) from problem
    if as_json:
        click.echo(json.dumps(comparison_document(found), indent=2))
    else:
        for line in comparison_lines(found, Painter(sys.stdout, os.environ).paint, is_whole=is_whole):
            click.echo(line)
    if not found.is_same:
        sys.exit(_DIFFERENT)
