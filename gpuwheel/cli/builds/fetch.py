"""`gpuwheel fetch`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from gpuwheel.cli import parameters
from gpuwheel.lock.fetch import fetch_packages
from gpuwheel.lock.file import LOCK_FILE, read_lock
from gpuwheel.pipeline import Build
from gpuwheel.ui import Terminal

__all__ = ["fetch_command"]


@click.command("fetch")
@parameters.project
@parameters.settings
@click.option(
    "--wheels",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Also download the index packages of the lock file that this Python needs, for pip's --find-links.",
)
def fetch_command(project: Path, settings: tuple[str, ...], *, wheels: Path | None) -> None:
    """Fill the cache with what a build of PROJECT downloads, so that the build needs no network. Compiles nothing.

    A download that was cut goes on where it stopped.

    \b
    Examples:
      gpuwheel fetch
      gpuwheel fetch --wheels wheels
      PIP_NO_INDEX=1 pip wheel --no-build-isolation --no-deps .
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    terminal = Terminal()
    root = project.resolve()
    build = Build(root, dict(os.environ), parameters.config_settings(settings), terminal)
    build.fetch()
    if wheels is not None:
        fetch_packages(read_lock(root / LOCK_FILE), wheels, build.context)
    fetched = build.context.traffic.received
    amount = f"{fetched / 1e6:.1f} MB fetched" if fetched else "nothing had to be fetched"
    click.echo(f"{build.context.cache.root} has what a build of {build.config.project.name} needs: {amount}")
