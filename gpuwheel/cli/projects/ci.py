"""`gpuwheel ci`."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gpuwheel._files import atomic_file
from gpuwheel.cli import parameters
from gpuwheel.cli.projects.pipelines import Pipeline, asked_by, shards_of, top_of, with_cibuildwheel, written
from gpuwheel.errors import FileError, WorkflowError
from gpuwheel.ui import Terminal
from gpuwheel.workflows.places import written_by
from gpuwheel.workflows.work import Asked

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ci_command"]

F = TypeVar("F", bound="Callable[..., Any]")

_STDOUT = "-"


@dataclass(frozen=True)
class _Options:
    """Of a command that writes a pipeline, as they were given."""

    project: Path
    check: bool
    force: bool
    output: str | None
    shards: int | None
    branch: str | None
    image: str | None


@click.group("ci")
def ci_command() -> None:
    """Write the CI of a project from its plan: build in parts, cache, audit, tests, publishing.

    What people add between the marks of a file stays when it is written anew. --check writes nothing, and exits with 19
    if the file is not as it would be written now.

    \b
    Examples:
      gpuwheel ci github
      gpuwheel ci github --check
      gpuwheel ci gitlab --shards 4
      gpuwheel ci github --image docker.io/library/python:3.12-slim@sha256:...
      gpuwheel ci cibuildwheel
      gpuwheel ci github --output -
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)


def _writing(command: F) -> F:
    """Options that say where a file goes."""
    for option in reversed(
        (
            parameters.project,
            click.option("--check", is_flag=True, help="Write nothing; exit with 19 if the file is stale."),
            click.option("--force", is_flag=True, help="Write over a file that gpuwheel did not write."),
            click.option("--output", metavar="FILE", help="Another file, or - to print it."),
        )
    ):
        command = option(command)
    return command


def _asking(command: F) -> F:
    """Options that the first line of a file keeps."""
    shards = click.option("--shards", type=click.IntRange(1), metavar="N", help="Jobs that build, for each machine.")
    branch = click.option("--branch", metavar="NAME", help="Whose pushes are built, instead of main.")
    text = "A tag also pushes a container image on this base, NAME@sha256:... (none: no more)."
    image = click.option("--image", metavar="BASE", help=text)(command)
    return shards(branch(image))


@ci_command.command("github")
@_writing
@_asking
def github_command(**options: Any) -> None:  # noqa: ANN401 (click hands each option over by its name)
    """Write .github/workflows/wheels.yml for PROJECT.

    Options that are not stated are those that the file was written with.
    """
    _write("github", _Options(**options))


@ci_command.command("gitlab")
@_writing
@_asking
def gitlab_command(**options: Any) -> None:  # noqa: ANN401 (click hands each option over by its name)
    """Write .gitlab-ci.yml for PROJECT.

    Options that are not stated are those that the file was written with.
    """
    _write("gitlab", _Options(**options))


@ci_command.command("cibuildwheel")
@_writing
def cibuildwheel_command(project: Path, *, check: bool, force: bool, output: str | None) -> None:
    """Write [tool.cibuildwheel] into the pyproject.toml of PROJECT; other keys of that table stay.

    The wheels are built in images of manylinux, with CUDA in them where no index has nvcc, and repaired by gpuwheel.
    """
    _check_asked(output, check=check)
    path = project.resolve() / "pyproject.toml"
    old = _read(path) or ""
    new = with_cibuildwheel(path.parent, old, force=force)
    target = path if output in {None, _STDOUT} else Path(output or "").absolute()
    _place(target, old, new, check=check, printed=output == _STDOUT)


def _write(service: str, given: _Options) -> None:
    root, output, force = given.project.resolve(), given.output, given.force
    _check_asked(output, check=given.check)
    pipeline = Pipeline(root, service, top_of(root))
    path = pipeline.path if output in {None, _STDOUT} else Path(output or "").absolute()
    old = _read(path)
    kept = None if old is None else written_by(old)
    # What somebody wrote by hand is neither looked for marks nor written over.
    if old is not None and kept is None:
        if not (force or output == _STDOUT):
            msg = f"{path} was not written by gpuwheel (found another first line)"
            raise WorkflowError(msg, hint="--output names another file, --force writes over this one")
        old = None
    before = asked_by(kept[1]) if kept is not None and not force else Asked()
    shards = given.shards or before.shards
    if shards is None and kept is None:
        # Once: the file is the same wherever it is written anew, and machines know different things.
        shards = shards_of(root, service, os.environ)
    image = before.image if given.image is None else given.image.removeprefix("none")
    asked = Asked(shards, given.branch or before.branch, image)
    _place(path, old, written(pipeline, asked, old), check=given.check, printed=output == _STDOUT)


def _check_asked(output: str | None, *, check: bool) -> None:
    if check and output == _STDOUT:
        msg = "--check compares a file, and --output - has none"
        raise click.UsageError(msg)


def _place(path: Path, old: str | None, new: str, *, check: bool, printed: bool) -> None:
    """Write `new` to `path`, or say how it differs from `old`.

    Raises:
        WorkflowError: with `check`, the file is not as it would be written.
    """
    shown = _shown(path)
    if printed:
        click.echo(new, nl=False)
    elif old == new:
        Terminal().info(f"{shown} is up to date")
    elif check:
        lines = ((old or "").splitlines(keepends=True), new.splitlines(keepends=True))
        names = (f"{path.name} (there)", f"{path.name} (as written now)")
        click.echo("".join(difflib.unified_diff(*lines, *names)), nl=False)
        msg = f"{shown} is not as it would be written now (found {'another text' if old else 'no file'})"
        raise WorkflowError(msg, hint="the same command without --check writes it")
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            file.write(new.encode())
        Terminal().step(f"wrote {shown}")


def _shown(path: Path) -> Path:
    """As somebody in the current folder names it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _read(path: Path) -> str | None:
    try:
        # A checkout on Windows may end its lines otherwise.
        return path.read_bytes().decode().replace("\r\n", "\n")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read ({error})"
        raise FileError(msg, hint="--output names another file") from error
