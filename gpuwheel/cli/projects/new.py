"""`gpuwheel new`."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpuwheel._cache import Cache
from gpuwheel.cli import parameters
from gpuwheel.cli.projects.answers import complete_template, data, given_answers
from gpuwheel.cli.projects.pipelines import refreshed
from gpuwheel.errors import ScaffoldError
from gpuwheel.scaffold import Wanted, make_project, read_answers, template_summaries
from gpuwheel.ui import Painter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel.scaffold import NewProject

__all__ = ["new_command"]

_EXISTING = "existing"
_ABOUT_EXISTING = "not made from files: gpuwheel init adds gpuwheel to a project with setup.py"
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _show_templates(*, as_json: bool) -> None:
    summaries = {**template_summaries(), _EXISTING: _ABOUT_EXISTING}
    if as_json:
        templates = [{"name": name, "summary": text} for name, text in summaries.items()]
        click.echo(json.dumps({"schema": 1, "templates": templates}, indent=2))
        return
    width = max(map(len, summaries))
    click.echo("\n".join(f"{name:<{width}}  {text}" for name, text in summaries.items()))


@click.command("new")
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option("--template", metavar="NAME", help="Which kind of project.", shell_complete=complete_template)
@click.option("--list", "lists", is_flag=True, help="Show the templates, and make nothing.")
@click.option("--defaults", is_flag=True, help="Ask nothing: what is not answered here has its default.")
@data
@click.option("--data-file", type=_FILE, help="Answers in YAML, the .copier-answers.yml of a project for example.")
@click.option("--no-git", is_flag=True, help="Begin no git repository.")
@click.option("--dry-run", is_flag=True, help="Show which files there would be; write nothing.")
@parameters.as_json
def new_command(  # noqa: PLR0913 (its options)
    path: Path | None,
    *,
    template: str | None,
    lists: bool,
    defaults: bool,
    data: tuple[str, ...],
    data_file: Path | None,
    no_git: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make a project of GPU operators in the new or empty folder PATH: sources, tests, benchmark, docs and CI.

    What it should be is asked for on a terminal; elsewhere, and with --json, by --defaults and --data alone. The
    folder's name is the project's, unless it is answered. `gpuwheel update` brings later templates into it.

    \b
    Examples:
      gpuwheel new my-ops
      gpuwheel new my-ops --template kernels --defaults
      gpuwheel new my-ops --defaults --data license=MIT --data "archs=8.0 9.0+PTX"
      gpuwheel new my-ops --defaults --data image=docker.io/library/python:3.12-slim@sha256:...
      gpuwheel new --list
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    if lists:
        _show_templates(as_json=as_json)
        return
    if path is None:
        msg = "Missing argument 'PATH'."
        raise click.UsageError(msg)
    target = Path(os.path.abspath(path))  # noqa: PTH100 (without following links)
    asks = not (defaults or as_json)
    if template == _EXISTING:
        msg = f"template {_EXISTING} is {_ABOUT_EXISTING}"
        raise ScaffoldError(msg, hint=f"gpuwheel init {shlex.quote(str(path))}")
    # A menu needs both; a script that waits for an answer would hang.
    if not defaults and not (asks and sys.stdin.isatty() and sys.stdout.isatty()):
        msg = "nobody can be asked here (expected a terminal, or --defaults)"
        raise ScaffoldError(msg, hint="add --defaults, and --data KEY=VALUE for what should not have its default")
    given = given_answers((*data, f"template={template}") if template else data)
    answers = {**(read_answers(data_file) if data_file else {}), **given}
    wanted = Wanted(target, answers, asks=asks, git=not no_git, dry_run=dry_run)
    project = make_project(wanted, cache=Cache.from_environment(os.environ), environ=dict(os.environ), finish=refreshed)
    if as_json:
        click.echo(json.dumps(_document(project, written=not dry_run), indent=2))
        return
    painter = Painter(sys.stdout, os.environ)
    for line in _report(project, painter, path, dry_run=dry_run):
        click.echo(line, color=painter.colour)


def _report(project: NewProject, painter: Painter, path: Path, *, dry_run: bool) -> Iterator[str]:
    """What was made, and what to type next."""
    count, template = len(project.files), project.answers["template"]
    if dry_run:
        yield from project.files
        yield painter.paint("quiet", f"{count} files of template {template}; nothing was written (--dry-run)")
        return
    yield f"{painter.paint('ok', 'made')} {path}: {count} files of template {template} {project.version}"
    yield f"{painter.paint('hint', 'next:')} (in an environment with torch)"
    if path != Path():
        yield f"  cd {shlex.quote(str(path))}"
    install = shlex.join(["pip", "install", "--editable", ".", *project.test_requirements])
    yield f"  {install}"
    yield "  pytest"
    if project.is_repository:
        yield '  git add --all && git commit --message "Begin"'
    yield painter.paint("quiet", "README.md says the rest")


def _document(project: NewProject, *, written: bool) -> dict[str, Any]:
    """The report for machines, schema 1 (`data/new.schema.json`)."""
    return {
        "schema": 1,
        "written": written,
        "path": str(project.path),
        "template": project.answers["template"],
        "version": project.version,
        "answers": dict(project.answers),
        "files": list(project.files),
        "repository": project.is_repository,
    }
