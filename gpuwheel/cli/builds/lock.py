"""`gpuwheel lock`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from gpuwheel._files import atomic_file
from gpuwheel.cli import parameters
from gpuwheel.compatibility import load_tables
from gpuwheel.compile.cmake.inner import REQUIRED_TOOLS
from gpuwheel.config.project.build_system import build_requirements
from gpuwheel.config.reading.defaults import oldest_python
from gpuwheel.lock.check import check_inputs, check_requirements, make_lock
from gpuwheel.lock.file import LOCK_FILE, read_lock, render_lock
from gpuwheel.lock.resolve import own_requirements, resolve
from gpuwheel.pipeline import Build
from gpuwheel.ui import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.pylock import Pylock

__all__ = ["lock_command"]


@click.command("lock")
@parameters.project
@parameters.settings
@click.option("--check", is_flag=True, help="Write nothing; exit with 12 if the lock file is not up to date.")
def lock_command(project: Path, settings: tuple[str, ...], *, check: bool) -> None:
    """Write PROJECT/pylock.gpuwheel.toml: everything a build of PROJECT takes from outside, with digests.

    A locked build (-C gpuwheel.locked=true, GPUWHEEL_LOCKED=1, or locked = true in [tool.gpuwheel]) refuses anything
    else. The packages are resolved by uv, or else by pip 25.1 or newer; --check needs neither of them, and no network.

    \b
    Examples:
      gpuwheel lock
      gpuwheel lock --check
      pip install -r pylock.gpuwheel.toml
      pip wheel --no-build-isolation --no-deps -C gpuwheel.locked=true .
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    terminal = Terminal()
    build = Build(project.resolve(), dict(os.environ), parameters.config_settings(settings), terminal)
    path = project.resolve() / LOCK_FILE
    # First: a missing lock is told before anything is looked for.
    lock = read_lock(path) if check else None
    pins = (pin.requirement for pin in build.inputs.pins)
    # CMake and Ninja even where this machine has them: the lock is for others, too.
    requirements = [*own_requirements(), *build_requirements(project), *REQUIRED_TOOLS, *pins]
    if lock is not None:
        check_inputs(lock, build.inputs)
        check_requirements(lock, requirements)
        click.echo(f"{LOCK_FILE} is up to date")
        return
    terminal.step("resolving what a build environment needs")
    machines = {policy.machine for policy in load_tables().platforms}
    packages = resolve(requirements, machines=machines, oldest_python=oldest_python(), context=build.context)
    text = render_lock(make_lock(packages, build.inputs))
    with atomic_file(path) as file:
        file.write(text.encode())
    for line in _remarks(packages):
        terminal.warn(line)
    host = f", {build.inputs.host.identity}" if build.inputs.host else ""
    click.echo(f"{path}: {len(packages.packages)} packages{host}")


def _remarks(packages: Pylock) -> list[str]:
    """What a person should know of a lock before sharing it."""
    remarks = []
    names = {package.name for package in packages.packages}
    if "gpuwheel" not in names:
        remarks.append("gpuwheel was not installed from an index: the lock names its version, not where to get it")
    wheels = [wheel for package in packages.packages for wheel in package.wheels or ()]
    if any(wheel.path is not None or (wheel.url or "").startswith("file:") for wheel in wheels):
        remarks.append(
            "the lock names files of this machine, for the package index does: others cannot install from it"
        )
    if packages.environments:
        remarks.append("the lock is for this Python and machine alone: pip made it; with uv it is for all")
    return remarks
