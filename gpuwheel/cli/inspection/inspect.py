"""`gpuwheel inspect`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gpuwheel._files import atomic_file
from gpuwheel.audit.contents.arch_costs import forecasts
from gpuwheel.audit.contents.wheel_contents import read_contents
from gpuwheel.audit.rendering.contents_document import contents_document
from gpuwheel.audit.rendering.contents_page import contents_page, forecast_lines
from gpuwheel.audit.rendering.contents_text import contents_lines
from gpuwheel.audit.rendering.treemap import treemap as drawing
from gpuwheel.cli import parameters
from gpuwheel.compatibility import load_tables
from gpuwheel.errors import AuditError, UnreadableError
from gpuwheel.ui import Painter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpuwheel.audit.contents.wheel_contents import WheelContents

__all__ = ["inspect_command", "write_treemap"]


_PICTURE = click.Path(dir_okay=False, path_type=Path)


@click.command("inspect")
@click.argument("wheels", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--treemap", type=_PICTURE, metavar="FILE", help="Draw its bytes by file and arch: FILE.svg or FILE.html."
)
@click.option(
    "--forecast", is_flag=True, help="Say what leaving out one arch would save, and which GPUs would miss it."
)
@click.option("--kernels", is_flag=True, help="Show every kernel: registers, stack and size, for each arch.")
@click.option("--symbols", is_flag=True, help="In the document, name each symbol that libraries import and export.")
@parameters.as_json
def inspect_command(
    wheels: tuple[Path, ...], *, treemap: Path | None, forecast: bool, kernels: bool, symbols: bool, as_json: bool
) -> None:
    """Show what is in WHEELS, without judging: tags, requirements, libraries, device code by arch.

    The exit code is 17 if one of them is no wheel; the others are still shown.

    \b
    Examples:
      gpuwheel inspect dist/*.whl
      gpuwheel inspect --forecast --treemap sizes.html dist/ops-1.0-py3-none-manylinux_2_28_x86_64.whl
      gpuwheel inspect --kernels dist/*.whl
      gpuwheel inspect --json --symbols dist/*.whl > contents.json
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    if treemap is not None and (len(wheels) > 1 or treemap.suffix not in {".svg", ".html"}):
        msg = "--treemap draws one wheel into a file that ends in .svg or .html"
        raise click.UsageError(msg)
    found, problems = _read(wheels, kernels=kernels)
    paint = Painter(sys.stdout, os.environ).paint
    told = {wheel.sha256: forecasts(wheel, load_tables()) for wheel in found} if forecast else {}
    if as_json:
        document = contents_document(found, symbols=symbols, forecasts=told if forecast else None)
        click.echo(json.dumps(document, indent=2))
    else:
        for contents in found:
            click.echo("\n".join(contents_lines(contents, paint)))
            if told.get(contents.sha256):
                click.echo("\n".join(forecast_lines(contents, told[contents.sha256])))
    if treemap is not None and found:
        write_treemap(treemap, found[0])
    for problem in problems[:-1]:
        click.echo(problem.render(), err=True)
    if problems:
        raise problems[-1]


def _read(wheels: Sequence[Path], *, kernels: bool) -> tuple[list[WheelContents], list[UnreadableError]]:
    """The wheels that can be read, and what is wrong with the others."""
    found: list[WheelContents] = []
    problems: list[UnreadableError] = []
    for wheel in wheels:
        try:
            contents = read_contents(wheel, kernels=kernels)
        except AuditError as error:  # the other wheels have their turn
            problems.append(UnreadableError(error.message, hint=error.hint))
            continue
        found.append(contents)
    return found, problems


def write_treemap(path: Path, contents: WheelContents) -> None:
    """Draw a wheel's bytes by file and architecture: alone, or as a page with tables."""
    is_page = path.suffix == ".html"
    text = contents_page(contents, forecasts(contents, load_tables())) if is_page else drawing(contents, alone=True)
    with atomic_file(path) as out:
        out.write(text.encode())
