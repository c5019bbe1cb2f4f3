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
from gpuwheel.audit.repair.measuring import measured
from gpuwheel.cli import parameters
from gpuwheel.compatibility import load_tables
from gpuwheel.errors import AuditError, UnreadableError
from gpuwheel.ui import Painter, Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpuwheel.audit.contents.arch_costs import Forecast
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
@click.option("--measure", is_flag=True, help="The same, with what would be left compressed: exact, and it takes time.")
@click.option("--kernels", is_flag=True, help="Show every kernel: registers, stack and size, for each arch.")
@click.option("--symbols", is_flag=True, help="In the document, name each symbol that libraries import and export.")
@parameters.as_json
def inspect_command(
    wheels: tuple[Path, ...],
    *,
    treemap: Path | None,
    forecast: bool,
    measure: bool,
    **options: bool,
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
    found, problems = _read(wheels, kernels=options["kernels"])
    paint = Painter(sys.stdout, os.environ).paint
    is_forecast = forecast or measure
    told = (
        {path: _forecasts(path, contents, measure=measure) for path, contents in found.items()} if is_forecast else {}
    )
    if options["as_json"]:
        by_digest = {found[path].sha256: rows for path, rows in told.items()}
        document = contents_document(
            found.values(), symbols=options["symbols"], forecasts=by_digest if is_forecast else None
        )
        click.echo(json.dumps(document, indent=2))
    else:
        for path, contents in found.items():
            click.echo("\n".join(contents_lines(contents, paint)))
            if told.get(path):
                click.echo("\n".join(forecast_lines(contents, told[path])))
    if treemap is not None:
        for path, contents in found.items():
            write_treemap(treemap, contents, told.get(path))
    for problem in problems[:-1]:
        click.echo(problem.render(), err=True)
    if problems:
        raise problems[-1]


def _read(wheels: Sequence[Path], *, kernels: bool) -> tuple[dict[Path, WheelContents], list[UnreadableError]]:
    """The wheels that can be read, and what is wrong with the others."""
    found: dict[Path, WheelContents] = {}
    problems: list[UnreadableError] = []
    for wheel in wheels:
        try:
            contents = read_contents(wheel, kernels=kernels)
        except AuditError as error:  # the other wheels have their turn
            problems.append(UnreadableError(error.message, hint=error.hint))
            continue
        found[wheel] = contents
    return found, problems


def _forecasts(path: Path, contents: WheelContents, *, measure: bool) -> tuple[Forecast, ...]:
    found = forecasts(contents, load_tables())
    return measured(path, found, Terminal()) if measure else found


def write_treemap(path: Path, contents: WheelContents, told: Sequence[Forecast] | None = None) -> None:
    """Draw a wheel's bytes by file and architecture: alone, or as a page with tables."""
    is_page = path.suffix == ".html"
    told = forecasts(contents, load_tables()) if told is None and is_page else told
    text = contents_page(contents, told or ()) if is_page else drawing(contents, alone=True)
    with atomic_file(path) as out:
        out.write(text.encode())
