"""`gpuwheel check`."""

from __future__ import annotations

import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpuwheel._cache import Cache
from gpuwheel._files import write_if_changed
from gpuwheel.cli import parameters
from gpuwheel.errors import AuditError
from gpuwheel.matrix.trials.checked import place_of_package, place_of_wheel
from gpuwheel.toolchain import Context
from gpuwheel.ui import Terminal

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from gpuwheel.matrix.trials.checked import CheckPlace

__all__ = ["check_command"]

_WARNING = "this runs code of {subject}, as the user who runs this: {command}"


@click.command("check")
@click.argument("target", metavar="WHEEL|PACKAGE")
@click.argument("command", nargs=-1, required=True)
@click.option("--torch", metavar="VERSION", help="Of those that a wheel admits (default: the newest).")
@click.option("--python", metavar="X.Y", help="Likewise (default: this one, if the wheel admits it).")
@click.option("--with", "others", multiple=True, metavar="REQUIREMENT", help="What else COMMAND needs beside a wheel.")
@click.option("--devices", type=click.IntRange(1, 16), default=2, show_default=True, help="Pretended ones.")
@click.option("--capability", metavar="X.Y", help="Compute capability (default: one that takes any PTX).")
@click.option("--driver", metavar="X.Y", default="13.0", show_default=True, help="CUDA version of the driver.")
@click.option("--multiprocessors", type=click.IntRange(1, 1024), default=132, show_default=True, help="Of a device.")
@click.option("--checks", metavar="NAMES", default="all", show_default=True, help="all, none, or names with commas.")
@click.option(
    "--patience",
    type=click.IntRange(0),
    metavar="N",
    help="Instructions of warps after which a launch is ended; 0: never (default: 10,000,000,000).",
)
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write the document of --json there.")
@click.option("--yes", is_flag=True, help="Do not ask before code of the package runs.")
@parameters.as_json
def check_command(target: str, command: tuple[str, ...], *, as_json: bool, **asked: Any) -> None:  # noqa: ANN401
    """Run COMMAND with a wheel, or a package that is installed here, on a GPU that is pretended: its kernels are
    executed from the PTX that the package ships, and watched for memory out of bounds or never written, races, barriers
    and streams that are wrong, and leaks.

    A wheel is installed into an environment of its own, with a CUDA build of torch and without NVIDIA's libraries; the
    command runs in the current folder. What this shows and what it cannot (machine code, timing, hardware): see the
    how-to "Test without a GPU".

    Exit code 0: the command ended with 0 and no mistake was found; 9: mistakes; 1: the command failed by itself.

    \b
    Examples:
      gpuwheel check ops-1.0-py3-none-manylinux_2_28_x86_64.whl --with pytest -- pytest tests
      gpuwheel check ops -- python example.py
      gpuwheel check WHEEL --torch 2.12 --checks shared,global --yes --json -- python -c "import ops; ops.demo()"
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    environ = dict(os.environ)
    click.echo(_WARNING.format(subject=target, command=" ".join(command)), err=True)
    if not asked["yes"] and not click.confirm("go on?", err=True):
        raise click.Abort
    context = Context(Cache.from_environment(environ), environ, Terminal())
    with _place(target, asked, context) as place:
        document = _checked(place, command, asked, quiet=as_json)
    if asked["report"] is not None:
        write_if_changed(asked["report"], (json.dumps(document, indent=2) + "\n").encode())
    click.echo(json.dumps(document, indent=2)) if as_json else _tell(document)
    if document["mistakes"]:
        sys.exit(AuditError.exit_code)
    if document["status"]:
        sys.exit(1)


def _place(target: str, asked: dict[str, Any], context: Context) -> AbstractContextManager[CheckPlace]:
    if not target.endswith(".whl"):
        if asked["torch"] or asked["python"] or asked["others"]:
            msg = "--torch, --python and --with are for a wheel: a package that is installed is checked where it is"
            raise click.UsageError(msg)
        return nullcontext(place_of_package(target, context))
    wheel = Path(target)
    if not wheel.is_file():
        msg = f"there is no file {target}"
        raise click.UsageError(msg)
    requires = asked["others"]
    return place_of_wheel(wheel, torch=asked["torch"], python=asked["python"], requires=requires, context=context)


def _checked(place: CheckPlace, command: tuple[str, ...], asked: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    """For machines, schema 1 (`data/check.schema.json`)."""
    capability = ["--capability", asked["capability"]] if asked["capability"] else []
    patience = [] if asked["patience"] is None else ["--patience", str(asked["patience"])]
    options = [
        "--devices",
        str(asked["devices"]),
        "--driver",
        asked["driver"],
        "--multiprocessors",
        str(asked["multiprocessors"]),
        "--checks",
        asked["checks"],
        *capability,
        *patience,
    ]
    found = place.run(command, options, quiet=quiet)
    return {
        "schema": 1,
        "subject": place.subject,
        "where": place.where,
        "command": list(command),
        "status": found["status"],
        "executed": found["executed"],
        "mistakes": found["mistakes"],
    }


def _tell(document: dict[str, Any]) -> None:
    found = len(document["mistakes"])
    said = f"{found or 'no'} mistake{'' if found == 1 else 's'}"
    click.echo(f"{document['subject']} with {document['where']}: {document['executed']} launches executed, {said}")
    if not document["executed"]:
        click.echo("nothing was shown: the command launched no kernel", err=True)
