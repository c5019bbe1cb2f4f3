"""`gpuwheel index`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpuwheel.cli import parameters
from gpuwheel.compatibility import load_tables
from gpuwheel.errors import AuditError
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.publish.pages import FolderSource, IndexRequest, Keep, write_index
from gpuwheel.ui import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpuwheel.publish.pages import IndexSummary

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
@click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
@parameters.as_json
def index_command(sources: tuple[str, ...], *, out: Path | None, as_json: bool, **asked: Any) -> None:  # noqa: ANN401
    """Write a static package index of the wheels and sdists in SOURCE, for pip, uv and people.

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
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)
    if asked["copy"] and asked["link"]:
        msg = "--copy and --link are two ways (expected one)"
        raise click.UsageError(msg)
    index = out or Path(sources[0])
    request = IndexRequest(
        index=index,
        sources=[_source(source, index) for source in sources],
        keep=Keep.COPY if asked["copy"] else Keep.LINK if asked["link"] else Keep.STAY,
        base_url=asked["base_url"],
        yanks=dict(map(_yank, asked["yank"])),
        unyanks=asked["unyank"],
        fresh=asked["fresh"],
        dry_run=asked["dry_run"],
    )
    summary = write_index(request, load_tables(), SilentReporter() if as_json else Terminal())
    if as_json:
        click.echo(json.dumps(_document(request, summary), indent=2))
    else:
        _tell(request, summary)
    if summary.left_out:
        sys.exit(AuditError.exit_code)


def _source(text: str, index: Path) -> FolderSource:
    path = Path(text)
    if not path.is_dir():
        msg = f"{text} is not a folder of wheels"
        raise click.UsageError(msg)
    return FolderSource(path, index)


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
    _line(summary.files, "file", [f"of {summary.projects} project{_s(summary.projects)}", f"{summary.read} read"])
    click.echo(f"{len(summary.changed)} page{_s(len(summary.changed))} {would}written, {len(summary.removed)} removed")
    for root in summary.indexes:
        click.echo(f"  {request.index / root}/")


def _line(count: int, what: str, further: Iterable[str]) -> None:
    click.echo(", ".join([f"{count} {what}{_s(count)}", *further]))


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _document(request: IndexRequest, summary: IndexSummary) -> dict[str, Any]:
    """The summary for machines, schema 1 (`data/index.schema.json`)."""
    return {"schema": 1, "index": str(request.index), "dry_run": request.dry_run, **asdict(summary)}
