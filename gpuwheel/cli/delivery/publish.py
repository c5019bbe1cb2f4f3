"""`gpuwheel publish`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpuwheel.cli import parameters
from gpuwheel.compatibility import load_tables
from gpuwheel.compatibility.publishing import load_publishing
from gpuwheel.errors import AuditError, GpuwheelError
from gpuwheel.publish.upload.destinations import destination_of
from gpuwheel.publish.upload.release import FileState, PublishRequest, check_release, send_release
from gpuwheel.publish.upload.release_files import release_files_in
from gpuwheel.publish.upload.revision_tags import revision_tags
from gpuwheel.publish.upload.uploaders import TOOLS
from gpuwheel.ui import Painter, Terminal

if TYPE_CHECKING:
    from gpuwheel.model.findings import Finding
    from gpuwheel.publish.upload.release import Published

__all__ = ["publish_command"]

_STYLES = {"error": "error", "warning": "warning", "note": "note"}


@click.command("publish")
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--to", "place", metavar="TARGET", default="pypi", show_default=True, help="Where: see above.")
@click.option("--check-url", metavar="URL", help="The index (PEP 503) that lists what a server has.")
@click.option("--tag", metavar="NAME", help="The tag that is published, in place of that of the commit.")
@click.option("--with", "uploader", type=click.Choice(TOOLS), help="What uploads; by default twine, else uv.")
@click.option("--dry-run", is_flag=True, help="Make every check, say what would be sent, and send nothing.")
@parameters.as_json
def publish_command(files: tuple[Path, ...], *, dry_run: bool, as_json: bool, **asked: Any) -> None:  # noqa: ANN401
    """Check FILES (wheels, sdists, folders of them; dist by default) as a release, and publish it.

    TARGET is pypi, testpypi, the upload URL of a package index, index:DIR, a static index on disk, or kernels:DIR, a
    folder that Hugging Face's kernels loads.

    Everything that stands against a release is told at once, before anything leaves: what the audit finds, size, names,
    versions, the tag, metadata, licences, requirements by URL. What is there with the same bytes is not sent again, so
    the same command goes on after it was cut off. Credentials are those of twine or uv: TWINE_USERNAME and
    TWINE_PASSWORD, ~/.pypirc, UV_PUBLISH_TOKEN, a keyring, trusted publishing.

    The exit code is 9 if something stands against the release, 21 if a server does not take it.

    \b
    Examples:
      gpuwheel publish --dry-run
      gpuwheel publish --to testpypi dist/*.whl dist/*.tar.gz
      gpuwheel publish --to https://wheels.example.com/upload/ --check-url https://wheels.example.com/simple/
      gpuwheel publish --to index:/srv/wheels dist
      gpuwheel publish --to kernels:ops-kernels dist/*.whl
      gpuwheel publish --dry-run --json > release.json
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    to = destination_of(asked["place"], load_publishing(), asked["check_url"])
    found = release_files_in(files or ((Path("dist"),) if Path("dist").is_dir() else ()))
    if not found:
        msg = "there is no wheel and no sdist (expected FILES, or the folder dist with some)"
        raise click.UsageError(msg)
    environ = dict(os.environ)
    tags = (asked["tag"],) if asked["tag"] else revision_tags(Path.cwd(), environ)
    request = PublishRequest(found, to, environ, tags, asked["uploader"])
    terminal = Terminal()
    tables = load_tables()
    published = check_release(request, tables, terminal)
    problem: GpuwheelError | None = None
    if not published.is_refused and not dry_run:
        try:
            send_release(published, request, tables, terminal)
        except GpuwheelError as error:
            problem = error
    if as_json:
        click.echo(json.dumps(_document(published, dry_run=dry_run), indent=2))
    else:
        _tell(published, dry_run=dry_run)
    if problem is not None:
        raise problem
    if published.is_refused:
        sys.exit(AuditError.exit_code)


def _tell(published: Published, *, dry_run: bool) -> None:
    paint = Painter(sys.stdout, os.environ).paint
    for finding in published.findings:
        severity = finding.severity.value
        head = paint(_STYLES[severity], severity)
        click.echo(f"{head} [{finding.rule}] {_shown(finding.subject)} {_shown(finding.problem)}")
        click.echo(f"  why: {finding.why}\n  fix: {_shown(finding.fix)}")
    for note in published.notes:
        click.echo(f"{paint('note', 'note')} {note}")
    files = published.release.files
    width = max((len(file.path.name) for file in files), default=0)
    for file in files:
        state = published.states[file.path.name]
        told = "not sent" if published.is_refused and state is FileState.NEW else state.value
        click.echo(f"{file.path.name:{width}}  {file.size / 1e6:>9,.2f} MB  {told}")
    for variant in published.kernels:
        click.echo(f"  build/{variant}")
    click.echo(_verdict(published, dry_run=dry_run))


def _shown(text: str) -> str:
    """Without what would steer a terminal: some of it is from metadata of others."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _verdict(published: Published, *, dry_run: bool) -> str:
    to = published.release.to.text
    errors = sum(finding.severity.value == "error" for finding in published.findings)
    if errors:
        return f"{errors} error{'s' if errors > 1 else ''}: nothing was sent to {to}"
    states = [state for state in published.states.values() if state is not FileState.LEFT_OUT]
    waiting = sum(state is FileState.NEW for state in states)
    if dry_run:
        return f"nothing stands against it: {waiting} of {len(states)} files would be sent to {to}"
    if waiting:
        return f"{waiting} of {len(states)} files are not at {to} yet"
    return f"{to} has all {len(states)} files"


def _document(published: Published, *, dry_run: bool) -> dict[str, Any]:
    """The release for machines, schema 1 (`data/publish.schema.json`)."""
    return {
        "schema": 1,
        "to": published.release.to.text,
        "dry_run": dry_run,
        "tags": list(published.release.tags),
        "files": [
            {
                "file": file.path.name,
                "project": file.project,
                "version": str(file.version),
                "size": file.size,
                "sha256": file.sha256,
                "state": published.states[file.path.name].name.lower(),
            }
            for file in published.release.files
        ],
        "findings": [_finding(finding) for finding in published.findings],
        "notes": list(published.notes),
        "kernels": list(published.kernels),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return finding.document
