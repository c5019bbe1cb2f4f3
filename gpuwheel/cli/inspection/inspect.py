"""`gpuwheel inspect`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gpuwheel.audit.contents.wheel_contents import read_contents
from gpuwheel.audit.rendering.contents_document import contents_document
from gpuwheel.audit.rendering.contents_text import contents_lines
from gpuwheel.cli import parameters
from gpuwheel.errors import AuditError, UnreadableError
from gpuwheel.ui import Painter

if TYPE_CHECKING:
    from gpuwheel.audit.contents.wheel_contents import WheelContents

__all__ = ["inspect_command"]


@click.command("inspect")
@click.argument("wheels", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--symbols", is_flag=True, help="In the document, name each symbol that libraries import and export.")
@parameters.as_json
def inspect_command(wheels: tuple[Path, ...], *, symbols: bool, as_json: bool) -> None:
    """Show what is in WHEELS, without judging: tags, requirements, libraries, device code by arch.

    The exit code is 17 if one of them is no wheel; the others are still shown.

    \b
    Examples:
      gpuwheel inspect dist/*.whl
      gpuwheel inspect --json --symbols dist/*.whl > contents.json
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    found: list[WheelContents] = []
    problems: list[UnreadableError] = []
    paint = Painter(sys.stdout, os.environ).paint
    for wheel in wheels:
        try:
            contents = read_contents(wheel)
        except AuditError as error:  # the other wheels have their turn
            problems.append(UnreadableError(error.message, hint=error.hint))
            continue
        found.append(contents)
        if not as_json:
            for line in contents_lines(contents, paint):
                click.echo(line)
    if as_json:
        click.echo(json.dumps(contents_document(found, symbols=symbols), indent=2))
    for problem in problems[:-1]:
        click.echo(problem.render(), err=True)
    if problems:
        raise problems[-1]
