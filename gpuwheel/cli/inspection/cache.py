"""`gpuwheel cache`."""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from gpuwheel._cache import Cache
from gpuwheel.cli import parameters
from gpuwheel.cli.inspection.caches.cache_care import choose, damage, delete_damaged, measured, obstacles, prune
from gpuwheel.cli.inspection.caches.cache_remote import key_command, remote_command
from gpuwheel.config.reading.convert import parse_size
from gpuwheel.errors import CacheError
from gpuwheel.ui import Painter, Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpuwheel._cache import Entry

__all__ = ["cache_command"]

_DAY = 86400.0  # seconds


@click.group("cache")
def cache_command() -> None:
    """Look after the cache: downloads, compiled images and libraries, folders of editable installs.

    It is safe to delete at any time when no build runs; the next build makes or fetches again what it needs.

    \b
    Examples:
      gpuwheel cache list
      gpuwheel cache verify --fix
      gpuwheel cache prune --older-than 30 --max-size "2 GB"
      gpuwheel cache remote
    """  # noqa: D301 (click reads the escape: leave this paragraph as it is)


cache_command.add_command(key_command)
cache_command.add_command(remote_command)


@cache_command.command("dir")
def dir_command() -> None:
    """Print the cache's folder."""
    click.echo(_cache().root)


@cache_command.command("list")
@click.option("--all", "every", is_flag=True, help="Every entry, the longest unused first, instead of sums.")
@parameters.as_json
def list_command(*, every: bool, as_json: bool) -> None:
    """What is in the cache, how large it is, and when it was used last."""
    cache = _cache()
    entries = measured(cache)
    if as_json:
        _print(cache, entries=[_row(entry, size) for entry, size in entries.items()])
        return
    lines = _each(entries) if every else _sums(entries)
    click.echo("\n".join([*lines, f"{_megabytes(sum(entries.values()))}  in {cache.root}"]))


@cache_command.command("verify")
@click.option("--fix", is_flag=True, help="Delete what is damaged: the next build makes or fetches it again.")
@parameters.as_json
def verify_command(*, fix: bool, as_json: bool) -> None:
    """Read all of every entry again. The exit code is 7 if something is damaged, and was not deleted.

    A build looks over what it takes from the cache too: small things by content, large ones by size, inode and times.
    """
    cache = _cache()
    entries = [*cache.entries(), *obstacles(cache)]
    found = {}
    with Terminal().progress("reading the cache", len(entries), "entries") as progress:
        for entry in entries:
            found[entry] = damage(entry)
            progress.advance(1)
    damaged = [entry for entry, what in found.items() if what]
    fixed = {entry for entry in damaged if fix and delete_damaged(cache, entry)}
    if as_json:
        states = {
            entry: "unchecked" if what is None else "damaged" if what else "whole" for entry, what in found.items()
        }
        rows = [_row(entry) | {"state": states[entry], "problem": found[entry] or None} for entry in entries]
        _print(cache, entries=rows, deleted=len(fixed))
    else:
        painter = Painter(sys.stdout, os.environ)
        for entry in damaged:
            verdict = painter.paint("error", "damaged") + (", deleted" if entry in fixed else "")
            click.echo(f"{verdict}  {entry.path}: {found[entry]}", color=painter.colour)
        checked = sum(what is not None for what in found.values())
        click.echo(f"{checked} of {len(entries)} entries have a digest; {len(damaged)} damaged")
        if len(fixed) < len(damaged) and not fix:
            click.echo(f"{painter.paint('hint', 'fix:')} gpuwheel cache verify --fix", color=painter.colour)
    # Also after --fix: what another process had in use is still there.
    if len(fixed) < len(damaged):
        sys.exit(CacheError.exit_code)


@cache_command.command("prune")
@click.option("--older-than", type=click.FloatRange(min=0), metavar="DAYS", help="What was not used for so long.")
@click.option("--max-size", metavar="SIZE", help='The longest unused, until so much is left: "2 GB".')
@click.option("--dry-run", is_flag=True, help="Delete nothing; say what would go.")
@parameters.as_json
def prune_command(*, older_than: float | None, max_size: str | None, dry_run: bool, as_json: bool) -> None:
    """Delete old entries, and what killed builds left; without an option the latter alone.

    Safe beside running builds: what was used within the last hour stays, and within the last day while one runs.
    """
    cache = _cache()
    entries = measured(cache)
    since = None if older_than is None else time.time() - older_than * _DAY
    pruned = prune(cache, choose(entries, unused_since=since, most=_size(max_size)), entries, dry_run=dry_run)
    if as_json:
        rows = [_row(entry, size) for entry, size in pruned.entries.items()]
        _print(
            cache, entries=rows, leftovers=len(pruned.leftovers), bytes=pruned.size, kept=pruned.kept, dry_run=dry_run
        )
        return
    parts = f"{len(pruned.entries)} entries and {len(pruned.leftovers)} leftovers of killed builds"
    click.echo(f"{'would delete' if dry_run else 'deleted'} {parts}, {_megabytes(pruned.size).strip()}")
    if pruned.kept:
        click.echo(f"kept {pruned.kept} that a build may be using")


def _cache() -> Cache:
    return Cache.from_environment(os.environ)


def _size(text: str | None) -> int | None:
    try:
        return None if text is None else parse_size(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--max-size") from None


def _megabytes(size: int) -> str:
    return f"{size / 1e6:10.1f} MB"


def _date(used: float) -> str:
    return datetime.fromtimestamp(used, timezone.utc).strftime("%Y-%m-%d %H:%M")


def _sums(entries: dict[Entry, int]) -> Iterator[str]:
    for kind in sorted({entry.kind for entry in entries}):
        sizes = {entry: size for entry, size in entries.items() if entry.kind == kind}
        last = _date(max(entry.used for entry in sizes))
        yield f"{_megabytes(sum(sizes.values()))}  {kind:<10}  {len(sizes):>5} entries, last used {last}"


def _each(entries: dict[Entry, int]) -> Iterator[str]:
    for entry, size in entries.items():
        yield f"{_megabytes(size)}  {_date(entry.used)}  {entry.kind}/{entry.key}"


def _row(entry: Entry, size: int | None = None) -> dict[str, Any]:
    row = {"kind": entry.kind, "key": entry.key, "used": datetime.fromtimestamp(entry.used, timezone.utc).isoformat()}
    return row if size is None else row | {"bytes": size}


def _print(cache: Cache, **facts: Any) -> None:  # noqa: ANN401  (what JSON takes)
    """The document for machines, schema 1 (`data/cache.schema.json`)."""
    click.echo(json.dumps({"schema": 1, "root": str(cache.root), **facts}, indent=2))
