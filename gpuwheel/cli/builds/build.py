"""`gpuwheel build`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gpuwheel.cli import parameters
from gpuwheel.cli.builds.machines import machines
from gpuwheel.cli.builds.showing import showing
from gpuwheel.errors import MatrixError
from gpuwheel.matrix.executors.cluster_address import ClusterAddress
from gpuwheel.matrix.run import Options, named, prepared
from gpuwheel.matrix.trials import Level
from gpuwheel.ui import Terminal

if TYPE_CHECKING:
    from gpuwheel.matrix.shards import Shard

__all__ = ["build_command"]


@click.command("build")
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
@click.option(
    *("-p", "--project"),
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    help="The folder with pyproject.toml, instead of the current one.",
)
@parameters.settings
@click.option(
    *("-o", "--out"),
    type=click.Path(file_okay=False, path_type=Path),
    help="Where wheels go, instead of dist in the project.",
)
@click.option(
    "--test",
    type=click.Choice([level.value for level in Level]),
    default=Level.NONE.value,
    callback=lambda _context, _option, value: Level(value),
    show_default=True,
    help="Try each wheel where it is installed: import, load (smoke), and run the project's tests (full).",
)
@click.option("--resume", is_flag=True, help="Take the wheels that an earlier run finished from the same sources.")
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Wheels at once, instead of one for each core.")
@click.option("--timeout", type=click.FloatRange(1), metavar="SECONDS", help="End a wheel that takes longer.")
@machines
@click.option("--dry-run", is_flag=True, help="Say what would be built, and build nothing.")
@parameters.as_json
def build_command(  # noqa: PLR0913 (click hands each option over by its name)
    *,
    patterns: tuple[str, ...],
    project: Path,
    settings: tuple[str, ...],
    out: Path | None,
    test: Level,
    resume: bool,
    jobs: int | None,
    timeout: float | None,
    shard: Shard | None,
    costs: tuple[Path, ...],
    place: str | None,
    executor: str,
    dask_ca: Path | None,
    dask_cert: Path | None,
    dask_key: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Build every wheel that `gpuwheel plan` lists, or those whose identifiers a PATTERN matches, into one folder.

    All are made from one snapshot of the sources, nothing is compiled twice, and each is audited. If some cannot be
    built, the others are all the same, and the exit code is 16.

    \b
    Examples:
      gpuwheel build
      gpuwheel build '*-cp312-*' --out wheelhouse
      gpuwheel build --in manylinux_2_28
      gpuwheel build --resume --test smoke
      gpuwheel build --json > report.json
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    terminal = Terminal()
    cluster = ClusterAddress.parse(executor, dask_ca, dask_cert, dask_key)
    if cluster is not None and place is not None:
        msg = f"--in starts containers on this machine (found --executor {executor} beside it, expected one of them)"
        raise click.UsageError(msg)
    options = Options(out or project / "dist", patterns, resume, jobs, timeout, shard, costs, cluster, place, test)
    given = parameters.config_settings(settings)
    if dry_run:
        for identifier in named(project.resolve(), dict(os.environ), given, options, terminal):
            click.echo(identifier)
        return
    with prepared(project.resolve(), dict(os.environ), given, options, terminal) as run:
        if shard is not None:
            terminal.step(f"part {shard}: {len(run.tasks)} wheels")
        with showing(terminal, run.wheelhouse, os.environ, len(run.tasks)) as shown:
            outcomes = []
            for outcome in run.outcomes(shown.heard):
                outcomes.append(outcome)
                shown.ended(outcome)
    if as_json:
        click.echo(json.dumps(run.report(), indent=2))
    failed = [outcome for outcome in outcomes if outcome.finished is None]
    if failed:
        names = ", ".join(outcome.task.identifier for outcome in failed)
        msg = f"{len(failed)} of {len(outcomes)} wheels were not built ({names})"
        raise MatrixError(msg, hint="mend what is said above, then gpuwheel build --resume builds those alone")
