"""A static index on disk as a place to publish to: the files go into it, and its pages are written anew."""

from __future__ import annotations

import os
import secrets
import shutil
from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel._files import atomic_file
from gpuwheel._limits import INDEX_PAGE
from gpuwheel.errors import PublishError
from gpuwheel.index.pages import html_links
from gpuwheel.publish.pages import FolderSource, IndexRequest, write_index
from gpuwheel.publish.pages.listing import quoted_path
from gpuwheel.publish.pages.records import loaded
from gpuwheel.publish.pages.writing_alone import writing_alone
from gpuwheel.publish.upload.release_files import digest_of
from gpuwheel.publish.variants.variant_wheels import write_indexes

if TYPE_CHECKING:
    from collections.abc import Container, Sequence
    from pathlib import Path

    from gpuwheel.compatibility import Tables
    from gpuwheel.index.pages import Link
    from gpuwheel.model.reporter import Reporter
    from gpuwheel.publish.upload.release_files import ReleaseFile

__all__ = ["add_to_index", "listed_in"]


def listed_in(folder: Path, wanted: Container[str]) -> tuple[dict[str, str], set[str]]:
    """Those of `wanted` that lie in the folder of an index, with their sha256; and those that its pages list.

    A publisher that was killed leaves files that no page lists.

    Raises:
        PublishError: the pages there are of files that lie elsewhere, which would be lost, or would not be found.
    """
    if not folder.is_dir():
        return {}, set()
    offered = list(FolderSource(folder, folder).offered())
    there = {one.filename: one.path for one in offered}
    links = [link for page in sorted((folder / "simple").glob("*/index.html")) for link in _links(page)]
    elsewhere = sorted({link.filename for link in links} - set(there))
    if elsewhere:
        msg = (
            f"{folder} is an index of files that lie elsewhere (found {elsewhere[0]}"
            f"{f' and {len(elsewhere) - 1} more' if len(elsewhere) > 1 else ''}, expected all of them in it)"
        )
        raise PublishError(msg, hint="put the wheels into the folder that it is made of, and run gpuwheel index again")
    base = _base_url(folder)
    stated = {f"{base.rstrip('/')}/{quoted_path(one.within)}" for one in offered} if base else set()
    far = next((link.url for link in links if not link.url.startswith("file:") and link.url not in stated), None)
    if far is not None:
        msg = f"the pages of {folder} name files on a server (found {cut(far)}, expected files beside them)"
        raise PublishError(msg, hint="copy the wheels into it, and run gpuwheel index with its --base-url")
    found = {name: digest_of(path) for name, path in there.items() if name in wanted and path is not None}
    return found, {link.filename for link in links if found.get(link.filename) == link.sha256}


def _base_url(folder: Path) -> str | None:
    state = loaded(folder)
    return None if state is None else state.base_url


def _links(page: Path) -> list[Link]:
    if page.stat().st_size > INDEX_PAGE.value:
        msg = f"{page} is too large for a page of an index ({INDEX_PAGE.passed(f'{page.stat().st_size:,} bytes')})"
        raise PublishError(msg, hint="write the index anew: gpuwheel index")
    return html_links(page.read_bytes(), page.absolute().as_uri())


def add_to_index(folder: Path, files: Sequence[ReleaseFile], tables: Tables, reporter: Reporter) -> None:
    """Copy files into `folder`/PROJECT, each whole under its name, and write the pages of the index.

    Raises:
        PublishError: one has changed since it was checked, another one was put there, or the index lists one not.
        OSError: something cannot be written; pages that were there stay.
    """
    with writing_alone(folder, reporter):
        for file in files:
            _copy(file, folder / file.project / file.path.name)
    for project in sorted({file.project for file in files if file.variant is not None}):
        write_indexes(folder / project)
    request = IndexRequest(folder, [FolderSource(folder, folder)], base_url=_base_url(folder))
    summary = write_index(request, tables, reporter)
    ours = {file.path.name for file in files}
    for left in summary.left_out:
        if left.filename in ours:
            msg = f"the index does not list {left.filename} ({left.problem})"
            raise PublishError(msg, hint=left.hint or "remove it from the index")


def _copy(file: ReleaseFile, path: Path) -> None:
    """The file, whole, under a name that nobody has taken meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f".{path.name}.{secrets.token_hex(8)}.new")
    with file.path.open("rb") as source, atomic_file(made) as out:
        shutil.copyfileobj(source, out, 1 << 20)
    try:
        if out.sha256 != file.sha256:
            msg = f"{file.path.name} changed after it was checked (sha256 {out.sha256}, expected {file.sha256})"
            raise PublishError(msg, hint="let whatever writes it finish, and run the same command again")
        _take(made, path)
    except FileExistsError as error:
        if digest_of(path) != file.sha256:
            msg = f"another {path.name} was put into {path.parent} meanwhile (found other bytes, expected none)"
            raise PublishError(msg, hint="a file that was published is never replaced: raise the version") from error
    finally:
        made.unlink(missing_ok=True)


def _take(made: Path, path: Path) -> None:
    try:
        os.link(made, path)  # unlike a rename, it replaces nothing
    except FileExistsError:
        raise
    except OSError:  # a disk without hard links
        if path.exists():
            raise FileExistsError(path) from None
        made.rename(path)
