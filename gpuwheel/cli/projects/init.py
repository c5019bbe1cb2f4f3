"""`gpuwheel init`."""

from __future__ import annotations

import difflib
import json
import os
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import click

from gpuwheel._files import atomic_file
from gpuwheel.adopt import (
    CMAKE_FILE,
    Machine,
    default_toolkit,
    fitting_torches,
    parse_pyproject,
    propose,
    read_setup,
    record_cmake,
    render_pyproject,
)
from gpuwheel.cli import parameters
from gpuwheel.compatibility import load_tables
from gpuwheel.errors import ConfigError
from gpuwheel.ui import Painter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gpuwheel.adopt import Proposal

__all__ = ["init_command"]

_PYPROJECT = "pyproject.toml"


class _WithArguments(click.Command):
    """A command that hands on what stands behind `--`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words behind the first `--` for setup.py."""
        if "--" in args:
            # Before click sees them: it would take "--cuda_ext" for an option of ours.
            place = args.index("--")
            ctx.obj, args = args[place + 1 :], args[:place]
        else:
            ctx.obj = []
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The usage line, with the words for setup.py."""
        return [*super().collect_usage_pieces(ctx), "[-- ARGUMENTS]"]


@click.command("init", cls=_WithArguments)
@parameters.project
@click.option("--dry-run", is_flag=True, help="Show what would change in pyproject.toml; write nothing.")
@parameters.as_json
@click.pass_obj
def init_command(arguments: list[str], project: Path, *, dry_run: bool, as_json: bool) -> None:
    """Write pyproject.toml for PROJECT, which builds its CUDA extensions by setup.py, and say what is left to do.

    setup.py is run, as pip itself would, up to its call of setup(), with your environment and ARGUMENTS. It sees a
    torch, a CUDA toolkit and a GPU that need not be there; nothing is compiled, and what it usually writes, starts or
    downloads is held back. That is no sandbox: it runs with your rights, so call this where you would call pip. What it
    says of sources, flags and architectures becomes [tool.gpuwheel]; the rest of pyproject.toml stays as it is.
    setup.py is not changed. A project with a CMakeLists.txt and no setup.py keeps its CMake.

    \b
    Examples:
      gpuwheel init --dry-run
      gpuwheel init path/to/project
      gpuwheel init -- --cuda_ext
      FORCE_CUDA=1 gpuwheel init
      gpuwheel init --json | jq '.left[]'
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    path = project / _PYPROJECT
    text = _text(path)
    pyproject = parse_pyproject(text)
    tables = load_tables()
    toolkit = default_toolkit()
    if (project / CMAKE_FILE).is_file() and not (project / "setup.py").is_file():
        record = record_cmake(project, pyproject)
    else:
        machines = [Machine.of(tables, toolkit, torch) for torch in fitting_torches(tables, toolkit)]
        record = read_setup(project, machines, dict(os.environ), arguments)
    proposal = propose(record, pyproject, tables)
    # Before anything is written: what cannot be rendered leaves the file as it is.
    new = render_pyproject(text, proposal)
    if not dry_run:
        with atomic_file(path) as file:
            file.write(new.encode())
    if as_json:
        click.echo(json.dumps(_document(proposal, new, written=not dry_run), indent=2))
        return
    painter = Painter(sys.stdout, os.environ)
    if dry_run:
        click.echo("".join(_diff(text, new)), nl=False)
    for line in _report(proposal, painter, place=None if dry_run else path):
        click.echo(line, color=painter.colour)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read ({error})"
        raise ConfigError(msg) from error


def _diff(old: str, new: str) -> Iterator[str]:
    lines = (old.splitlines(keepends=True), new.splitlines(keepends=True))
    return difflib.unified_diff(*lines, _PYPROJECT if old else os.devnull, _PYPROJECT)


def _report(proposal: Proposal, painter: Painter, place: Path | None) -> Iterator[str]:
    """What was read, what is left, what comes next."""
    yield painter.paint("title", "extensions")
    for extension in proposal.extensions:
        sources = len(extension.sources)
        interface = f"torch: {extension.interface.torch.value}, Python: {extension.interface.python.value}"
        yield f"  {extension.import_path}  {sources} source{'s' * (sources > 1)}; {interface}"
    if proposal.leftovers:
        yield painter.paint("title", "not carried over")
        for leftover in proposal.leftovers:
            yield f"  {leftover.place}  {leftover.what}"
            yield from textwrap.wrap(leftover.advice, 100, initial_indent=" " * 6, subsequent_indent=" " * 6)
    if place is None:
        yield painter.paint("quiet", "nothing was written (--dry-run)")
        return
    yield f"{painter.paint('ok', 'wrote')} {place}"
    yield f"{painter.paint('hint', 'next:')} gpuwheel plan, then pip wheel . ; setup.py can go when that works"


def _document(proposal: Proposal, new: str, *, written: bool) -> dict[str, Any]:
    """The report for machines, schema 1 (`data/init.schema.json`)."""
    return {
        "schema": 1,
        "written": written,
        "pyproject": new,
        "extensions": [
            {
                "import_path": extension.import_path,
                "sources": list(extension.sources),
                "abi": extension.interface.torch.value,
                "python": extension.interface.python.value,
                "archs": [str(target) for target in proposal.archs.get(extension.import_path, ())],
            }
            for extension in proposal.extensions
        ],
        "left": [
            {"place": leftover.place, "what": leftover.what, "advice": leftover.advice}
            for leftover in proposal.leftovers
        ],
    }
