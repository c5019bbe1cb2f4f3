"""`gpuwheel presets`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from gpuwheel.cli import parameters
from gpuwheel.pipeline import Build
from gpuwheel.ui import Terminal

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["presets_command"]


@click.command("presets")
@parameters.project
@parameters.settings
def presets_command(project: Path, settings: tuple[str, ...]) -> None:
    """Let CMake and editors build PROJECT, which has a CMakeLists.txt of its own, as pip would.

    Writes a preset into CMakeUserPresets.json, beside what that file holds: the pinned compilers, the headers of torch,
    and in mode embed the images of the kernels as they are now (run it again when a kernel changed).

    \b
    Examples:
      gpuwheel presets
      cmake --preset gpuwheel
      cmake --build --preset gpuwheel
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    build = Build(project.resolve(), dict(os.environ), parameters.config_settings(settings), Terminal())
    path = build.presets()
    click.echo(f"{path} has the preset gpuwheel; next: cmake --preset gpuwheel")
