"""Whether an index is what it was when it was written: every file hashed again, and every page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gpuwheel._files import sha256_of
from gpuwheel.errors import GpuwheelError
from gpuwheel.publish.pages.indexing import write_index
from gpuwheel.publish.pages.page_writer import pages_there
from gpuwheel.publish.pages.placing import Keep, Places
from gpuwheel.publish.pages.records import loaded, state_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gpuwheel.compatibility import Tables
    from gpuwheel.model.reporter import Reporter
    from gpuwheel.publish.pages.indexing import IndexRequest
    from gpuwheel.publish.pages.records import State

__all__ = ["Difference", "Verified", "verify_index"]


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was."""

    path: str
    """Of a file of a source by its name, or of a page below the index."""
    problem: str


@dataclass(frozen=True)
class Verified:
    """What a look at everything found."""

    checked: int
    """Files and pages that were hashed."""
    differences: tuple[Difference, ...]


def verify_index(request: IndexRequest, tables: Tables, reporter: Reporter) -> Verified:
    """Hash everything again, and write nothing.

    Raises:
        ConfigError: as `write_index`.
        OSError: something cannot be read.
    """
    state = loaded(request.index)
    if request.base_url is None and request.keep is Keep.STAY and state is not None:
        request = replace(request, base_url=state.base_url)
    is_of_another = state is not None and bool(state.seen) and not state.files
    if state is None or is_of_another or not state_path(request.index).is_file():
        problem = "is not there, cannot be read, or is of another gpuwheel: nothing to compare with"
        return Verified(0, (Difference(state_path(request.index).name, problem),))
    with reporter.progress("hashing files", len(state.files) + len(state.written), "file") as progress:
        found = []
        for difference in (*_files(request, state), *_pages(request.index, state)):
            progress.advance(1)
            found.append(difference)
    differences = [one for one in found if one.problem]
    known = {one.path for one in differences}
    # What would be written now: a file that came or went, a yank, a page of another gpuwheel.
    would = write_index(replace(request, dry_run=True), tables, reporter)
    differences += [Difference(path, "is not what would be written now") for path in would.changed if path not in known]
    orphans = sorted(set(pages_there(request.index)) - set(state.written) - known)
    differences += [Difference(path, "is a page that no wheel of this index needs") for path in orphans]
    return Verified(len(found), tuple(sorted(differences, key=lambda one: one.path)))


def _files(request: IndexRequest, state: State) -> Iterator[Difference]:
    """One row for each file of the sources, with an empty problem where there is none."""
    places, seen = Places(request.index, request.keep, request.base_url), set[str]()
    for source in request.sources:
        for offered in source.offered():
            record = state.files.get(offered.filename)
            if record is None:
                yield Difference(offered.filename, "is not in the index yet")
            elif record.sha256 is not None and offered.filename not in seen:
                try:
                    with source.local(offered) as path:
                        yield _compared(path, offered.filename, record.sha256)
                except GpuwheelError as error:
                    yield Difference(offered.filename, error.message)
                copy = places.of(offered, record.sha256).copy
                if copy is not None:
                    yield _compared(request.index / copy, copy, record.sha256)
            seen.add(offered.filename)
    for name in sorted(state.files.keys() - seen):
        yield Difference(name, "is in the index, and its source has it no more")


def _pages(index: Path, state: State) -> Iterator[Difference]:
    for path, sha256 in sorted(state.written.items()):
        yield _compared(index / path, path, sha256)


def _compared(path: Path, name: str, sha256: str) -> Difference:
    try:
        with path.open("rb") as file:
            found = sha256_of(file)
    except OSError as error:
        return Difference(name, f"cannot be read ({error.strerror})")
    return Difference(name, "" if found == sha256 else f"is another (sha256 {found}, expected {sha256})")
