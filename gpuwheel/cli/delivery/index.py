"""`gpuwheel index`."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpuwheel._cache import Cache
from gpuwheel.cli import parameters
from gpuwheel.compatibility import load_tables
from gpuwheel.errors import AuditError, ConfigError
from gpuwheel.index.context import Context
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.publish.pages import FolderSource, IndexRequest, Keep, index_server, verify_index, write_index
from gpuwheel.publish.pages.release_list import ReleaseList
from gpuwheel.ui import Terminal

if TYPE_CHECKING:
    from gpuwheel.publish.pages import IndexSummary, Verified
    from gpuwheel.publish.pages.offered import Source

__all__ = ["index_command"]

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command("index")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("-o", "--out", type=_FOLDER, help="Where the index goes; the folder itself if SOURCE is one.")
@click.option("--base-url", metavar="URL", help="Where the files of SOURCE are served, if not beside the pages.")
@click.option("--copy", is_flag=True, help="Copy the files into the index.")
@click.option("--link", is_flag=True, help="As --copy, by hard links where the disk has them.")
@click.option("--yank", multiple=True, metavar="NAME=REASON", help="A file, or PROJECT==VERSION: only for who pins it.")
@click.option("--unyank", multiple=True, metavar="NAME", help="Take that back.")
@click.option("--fresh", is_flag=True, help="Read every file again, not only what is new.")
@click.option("--verify", is_flag=True, help="Hash everything again, say what differs, and write nothing.")
@click.option("--serve", is_flag=True, help="Serve the index at a port of this machine afterwards, for a look.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="For --serve; by default any that is free.")
@click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
@parameters.as_json
def index_command(sources: tuple[str, ...], *, out: Path | None, as_json: bool, **asked: Any) -> None:  # noqa: ANN401
    """Write a static package index of the wheels and sdists in SOURCE, for pip, uv and people.

    SOURCE is a folder, a bucket (s3://bucket/prefix, gs://, az://; extra gpuwheel[remote]), or a list of release files:
    a file with a URL and its #sha256=... on each line, or with paths, or the JSON of an index page.

    Pages go into simple/, METADATA of each wheel beside it, and where wheels of one release differ in torch or CUDA
    there is an index of each, such as torch2.14/cu13.0/simple/. Any web server can serve the folder. Only what is new
    is read; two runs with the same files write the same bytes. A file that is no wheel, or not what its name says, is
    left out: the exit code is 9 then, and the others are listed.

    \b
    Examples:
      gpuwheel index dist
      gpuwheel index wheelhouse -o site --copy
      gpuwheel index dist --base-url https://example.com/wheels -o site
      gpuwheel index dist --yank "ops==1.0=crashes on compute capability 9.0"
      gpuwheel index s3://wheels/ops -o site && aws s3 sync site s3://wheels/ops
      gpuwheel index releases.txt -o site
      gpuwheel index dist --verify
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    if asked["copy"] and asked["link"]:
        msg = "--copy and --link are two ways (expected one)"
        raise click.UsageError(msg)
    if out is None and not Path(sources[0]).is_dir():
        msg = f"{sources[0]} is not a folder (expected --out for the index)"
        raise click.UsageError(msg)
    index = out or Path(sources[0])
    reporter = SilentReporter() if as_json else Terminal()
    context = Context(Cache.from_environment(os.environ), dict(os.environ), reporter)
    request = IndexRequest(
        index=index,
        sources=[_source(source, index, context) for source in sources],
        keep=Keep.COPY if asked["copy"] else Keep.LINK if asked["link"] else Keep.STAY,
        base_url=asked["base_url"],
        yanks=dict(map(_yank, asked["yank"])),
        unyanks=asked["unyank"],
        fresh=asked["fresh"],
        dry_run=asked["dry_run"],
    )
    if asked["verify"]:
        if request.yanks or request.unyanks:
            msg = "--verify writes nothing (expected it without --yank and --unyank)"
            raise click.UsageError(msg)
        _tell_verified(request, verify_index(request, load_tables(), reporter), as_json=as_json)
        return
    summary = write_index(request, load_tables(), reporter)
    if as_json:
        click.echo(json.dumps(_document(request, summary), indent=2))
    else:
        _tell(request, summary)
    if asked["serve"]:
        _serve(index, asked["port"])
    if summary.left_out:
        sys.exit(AuditError.exit_code)


def _serve(index: Path, port: int) -> None:
    with index_server(index, port) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}/simple/"
        click.echo(f"serving at {url} until Ctrl-C: pip install --index-url {url} NAME", err=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


def _tell_verified(request: IndexRequest, verified: Verified, *, as_json: bool) -> None:
    if as_json:
        # Schema 1 (`data/index_verify.schema.json`).
        click.echo(json.dumps({"schema": 1, "index": str(request.index), **asdict(verified)}, indent=2))
    else:
        for one in verified.differences:
            click.echo(f"differs: {one.path} {one.problem}")
        count = len(verified.differences)
        click.echo(f"{verified.checked} files and pages hashed, {count} differ{'s' if count == 1 else ''}")
    if verified.differences:
        if not as_json:
            click.echo("hint: gpuwheel index --fresh publishes the files as they are now", err=True)
        sys.exit(AuditError.exit_code)


def _source(text: str, index: Path, context: Context) -> Source:
    if "://" in text:
        try:
            from gpuwheel.publish.pages.bucket_files import Bucket  # noqa: PLC0415 (of an extra)
        except ModuleNotFoundError as error:
            msg = f"{text} needs the package obstore (found none)"
            raise ConfigError(msg, hint="pip install 'gpuwheel[remote]'") from error
        return Bucket(text, context)
    path = Path(text)
    if not path.exists():
        msg = f"{text} does not exist (expected a folder, a list of files, or a bucket such as s3://wheels/ops)"
        raise click.UsageError(msg)
    return FolderSource(path, index, context.reporter.warn) if path.is_dir() else ReleaseList(path, context)


def _yank(word: str) -> tuple[str, str]:
    """NAME=REASON, where NAME may hold "=="."""
    name, equals, reason = word.replace("==", "\0").partition("=")
    if not equals:
        msg = f"--yank {word} gives no reason (expected NAME=REASON)"
        raise click.UsageError(msg)
    return name.replace("\0", "=="), reason.replace("\0", "==")


def _tell(request: IndexRequest, summary: IndexSummary) -> None:
    for left in summary.left_out:
        click.echo(f"left out: {left.problem}", err=True)
        if left.hint:
            click.echo(f"  hint: {left.hint}", err=True)
    would = "would be " if request.dry_run else ""
    of = f"of {summary.projects} project{_s(summary.projects)}"
    click.echo(f"{summary.files} file{_s(summary.files)} {of}, {summary.read} read")
    click.echo(f"{len(summary.changed)} page{_s(len(summary.changed))} {would}written, {len(summary.removed)} removed")
    for root in summary.indexes:
        click.echo(f"  {request.index / root}/")


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _document(request: IndexRequest, summary: IndexSummary) -> dict[str, Any]:
    """The summary for machines, schema 1 (`data/index.schema.json`)."""
    return {"schema": 1, "index": str(request.index), "dry_run": request.dry_run, **asdict(summary)}
