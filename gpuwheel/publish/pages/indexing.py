"""Writing a static package index: what is new is read, everything is listed, pages appear whole and the root last."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING

from packaging.version import Version

from gpuwheel._endings import because
from gpuwheel.errors import AuditError, ConfigError, GpuwheelError, NetworkError
from gpuwheel.publish.pages.front_page import FRONT_MARK, front_page
from gpuwheel.publish.pages.listing import (
    PAGE_MARK,
    ListedFile,
    project_html,
    project_json,
    published_wheels,
    root_html,
    root_json,
    wheels_json,
)
from gpuwheel.publish.pages.narrow_indexes import narrow_indexes
from gpuwheel.publish.pages.page_writer import (
    PageWriter,
    is_copy,
    is_marked,
    is_named_by_its_digest,
    pages_there,
)
from gpuwheel.publish.pages.placing import Keep, Places, holds
from gpuwheel.publish.pages.recorded_files import recorded, refusal_of
from gpuwheel.publish.pages.records import Record, State, loaded, state_path
from gpuwheel.publish.pages.writing_alone import writing_alone
from gpuwheel.publish.pages.yanks import SIDECAR, one_line, read_yanks, write_yanks, yanked_files
from gpuwheel.publish.selector.selector_page import SELECTOR_MARK, selector_page
from gpuwheel.publish.wheel_facts import ChangedFileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from gpuwheel.compatibility import Tables
    from gpuwheel.model.reporter import Reporter
    from gpuwheel.publish.pages.offered import Offered, Source

__all__ = ["IndexRequest", "IndexSummary", "LeftOut", "write_index"]

_FRONT = "index.html"
_SAVE_EVERY = 20.0  # seconds


@dataclass(frozen=True)
class IndexRequest:
    """What to write."""

    index: Path
    """The folder of the index: pages go into `simple/`, and those that choose a wheel into `choose/`."""
    sources: Sequence[Source]
    keep: Keep = Keep.STAY
    base_url: str | None = None
    """Where the files are served that stay in their folder (or the index, with copies); `None`: beside the pages."""
    yanks: Mapping[str, str] = field(default_factory=dict)
    """File name or `project==version` -> reason."""
    unyanks: Sequence[str] = ()
    fresh: bool = False
    """Read every file, whatever was kept of it."""
    dry_run: bool = False


@dataclass(frozen=True)
class LeftOut:
    """A file that is not listed."""

    filename: str
    problem: str
    hint: str | None


@dataclass(frozen=True)
class IndexSummary:
    """What was written."""

    files: int
    """Listed."""
    projects: int
    read: int
    """New, or changed since the last run."""
    yanked: int
    indexes: tuple[str, ...]
    """Paths of `simple/` folders below the index, that of all files first."""
    changed: tuple[str, ...]
    """Pages that were written, below the index."""
    removed: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    """By name."""


def write_index(request: IndexRequest, tables: Tables, reporter: Reporter) -> IndexSummary:
    """Write the pages of an index, or bring them up to date.

    Two runs with the same files give the same bytes: the time of upload is that of the file when it was first listed,
    and is kept. A file that cannot be listed is left out, and told.

    Raises:
        ConfigError: a file lies where no page can name it, or what is to be yanked is not there.
        FileError: the folder is on a file system without locks.
        OSError: something cannot be written.
    """
    if request.dry_run:
        return _Run(request, tables, reporter).whole()
    with writing_alone(request.index, reporter) as is_after_a_cut:
        return _Run(request, tables, reporter, is_after_a_cut=is_after_a_cut).whole()


class _UnreadableError(GpuwheelError):
    """The system does not let a file of a source be read."""


class _Run:
    def __init__(
        self, request: IndexRequest, tables: Tables, reporter: Reporter, *, is_after_a_cut: bool = False
    ) -> None:
        self._request, self._tables, self._reporter = request, tables, reporter
        self._places = Places(request.index, request.keep, request.base_url)
        self._left_out: dict[str, LeftOut] = {}
        self._read = 0
        root = request.index / "simple" / "index.html"
        if root.is_file() and not is_marked(root):
            msg = f"{root} is of another program (expected none, or one that gpuwheel index wrote)"
            raise ConfigError(msg, hint="--out another folder, or remove simple/ if nobody needs it")
        kept = loaded(request.index)
        if kept is None:
            reporter.warn(f"{state_path(request.index)} cannot be read: every file is read again")
        self._before = kept or State()
        # Pages that are to name another place are a choice, and perhaps a forgotten option.
        if request.base_url is None and request.keep is Keep.STAY and self._before.base_url is not None:
            reporter.warn(
                f"until now the pages named files below {self._before.base_url}: without --base-url they do not"
            )
        if is_after_a_cut or not self._before.written:
            self._before.written = dict.fromkeys(pages_there(request.index), "") | self._before.written

    def whole(self) -> IndexSummary:
        offered = self._offered()
        records = self._records(offered)
        try:
            return self._written(offered, records)
        except BaseException:
            self._keep(records)
            raise

    def _written(self, offered: Mapping[str, tuple[Source, Offered]], records: dict[str, Record]) -> IndexSummary:
        request = self._request
        files = sorted(
            self._listed(offered, records), key=lambda file: (file.project, Version(file.version), file.filename)
        )
        if self._read and not request.dry_run:
            os.sync()  # one flush for METADATA of all: nothing is named that a power cut could take away
        pages = PageWriter(request.index, self._before.written, dry_run=request.dry_run)
        for name, record in records.items():
            if record.wheel is not None and (path := self._places.own_metadata(offered[name][1], record.wheel.sha256)):
                pages.written[path] = record.wheel.metadata_sha256
        indexes = self._write_pages(pages, files)
        unnamed = self._retire(pages, records, offered)
        if not request.dry_run:
            unread = {name for name, record in records.items() if record.sha256 is None}
            seen = {name: pair for name, pair in self._before.seen.items() if name in unread}
            self._save(State(records, pages.written, {}, unnamed, seen, self._base_url))
        return IndexSummary(
            files=len(files),
            projects=len({file.project for file in files}),
            read=self._read,
            yanked=sum(file.yanked is not False for file in files),
            indexes=indexes,
            changed=tuple(pages.changed),
            removed=tuple(pages.removed),
            left_out=tuple(self._left_out[name] for name in sorted(self._left_out)),
        )

    def _offered(self) -> dict[str, tuple[Source, Offered]]:
        """Everything that the sources have, by name; of two files of one name the first."""
        found: dict[str, tuple[Source, Offered]] = {}
        for source in self._request.sources:
            for one in source.offered():
                if one.filename in found:
                    first = found[one.filename][1]
                    places = f"in {first.within!a} and {one.within!a}"
                    problem = f"{one.filename!a} is there twice ({places}; the first is listed)"
                    self._reporter.warn(problem)
                else:
                    self._places.check(one)
                    found[one.filename] = source, one
        return dict(sorted(found.items()))

    def _records(self, offered: Mapping[str, tuple[Source, Offered]]) -> dict[str, Record]:
        kept = {} if self._request.fresh else self._before.files
        records, unread = {}, []
        for name, (_, one) in offered.items():
            record = kept.get(name)
            if record is not None and record.identity == one.identity and self._places.is_whole(one, record):
                records[name] = record
            else:
                unread.append(name)
        self._read = len(unread)
        if not unread:
            return records
        saved = time.monotonic()
        with self._reporter.progress("reading wheels", len(unread), "file") as progress:
            try:
                for name in unread:
                    records[name] = self._read_one(*offered[name])
                    progress.advance(1)
                    if time.monotonic() - saved > _SAVE_EVERY:
                        self._keep({**kept, **records})
                        saved = time.monotonic()
            except BaseException:
                self._keep({**kept, **records})
                raise
        return records

    def _keep(self, records: dict[str, Record]) -> None:
        """Keep what was read until now: a run that ends early loses no more."""
        if not self._request.dry_run:
            self._save(replace(self._before, files=records))

    def _save(self, state: State) -> None:
        before = self._before
        rows = {name: row for name, row in before.rows.items() if state.files.get(name) is before.files[name]}
        replace(state, rows=rows).save(self._request.index)

    @property
    def _base_url(self) -> str | None:
        """What a later run over the same folder asks for again."""
        return self._request.base_url if self._request.keep is Keep.STAY else None

    def _read_one(self, source: Source, offered: Offered) -> Record:
        try:
            with source.local(offered) as path:
                try:
                    found = recorded(path, offered, self._tables)
                except OSError as error:  # gone meanwhile, or not for us to read: the others have their turn
                    msg = f"{offered.filename!a} cannot be read ({because(error)})"
                    raise _UnreadableError(msg, hint="let this user read it") from error
                record = self._as_first_seen(offered.filename, found.record)
                if found.metadata is not None and offered.url is not None:
                    record = replace(record, serves_metadata=source.metadata(offered) == found.metadata)
                if not self._request.dry_run and record.sha256 is not None:
                    place = self._places.of(offered, record.sha256)
                    self._warn_of_another(offered, place.metadata, found.metadata)
                    self._places.put(path, place, record, found.metadata)
                return record
        except (ChangedFileError, NetworkError, _UnreadableError) as error:
            # Known by nothing: the next run asks again.
            return refusal_of(replace(offered, identity=""), error)
        except AuditError as error:
            return refusal_of(offered, error)

    def _warn_of_another(self, offered: Offered, path: Path | None, metadata: bytes | None) -> None:
        if offered.filename in self._before.seen or path is None or metadata is None:
            return
        if path.exists() and not holds(path, metadata):
            self._reporter.warn(f"{path} was not METADATA of its wheel: what was in it is replaced")

    def _as_first_seen(self, name: str, record: Record) -> Record:
        """With the time at which this very file was listed first."""
        uploaded, sha256 = self._before.seen.get(name, (0.0, None))
        if sha256 is None:
            return record
        if sha256 == record.sha256:
            return replace(record, uploaded=uploaded)
        self._reporter.warn(
            f"{name} is another file than was listed under this name: who locked its digest is refused it"
        )
        return record

    def _listed(
        self, offered: Mapping[str, tuple[Source, Offered]], records: Mapping[str, Record]
    ) -> Iterator[ListedFile]:
        yanks, seen = self._yanks(records, offered), dict[tuple[object, ...], str]()
        for name, record in records.items():
            if record.refused is not None:
                self._left_out[name] = LeftOut(name, record.refused, record.hint)
                continue
            wheel, found = record.wheel, record.wheel or record.other
            if found is None:
                continue
            one = offered[name][1]
            if wheel is not None:
                build = name.split("-")[2] if name.split("-")[2][:1].isdigit() else ""
                first = seen.setdefault((wheel.name, wheel.version, build, wheel.tags, wheel.variant), name)
                if first != name:
                    problem = f"{name} is for the same as {first} (one version, one set of tags)"
                    self._left_out[name] = LeftOut(name, problem, "keep one of the two, or give it a build number")
                    continue
            place = self._places.of(one, found.sha256)
            has_metadata = place.metadata is not None or record.serves_metadata
            yield ListedFile(
                filename=name,
                project=found.name,
                version=found.version,
                url=place.url,
                sha256=found.sha256,
                size=found.size,
                uploaded=record.uploaded,
                requires_python=found.requires_python,
                metadata_sha256=wheel.metadata_sha256 if wheel is not None and has_metadata else None,
                yanked=yanks.get(name, one.yanked),
                provenance=one.provenance or place.provenance,
                facts=wheel,
            )

    def _yanks(
        self, records: Mapping[str, Record], offered: Mapping[str, tuple[Source, Offered]]
    ) -> dict[str, bool | str]:
        request = self._request
        kept = read_yanks(request.index)
        for name, reason in request.yanks.items():
            kept |= dict.fromkeys(yanked_files(name, records), reason)
        for name in request.unyanks:
            for file in yanked_files(name, records):
                if (one := offered[file][1]).yanked is not False:
                    by = "the list that names it says so" if one.path is None else f"{one.within}{SIDECAR} lies there"
                    msg = f"{file} stays yanked ({by}, which --unyank does not change)"
                    raise ConfigError(msg, hint="take it back there, and run gpuwheel index again")
                kept.pop(file, None)
        if (request.yanks or request.unyanks) and not request.dry_run:
            write_yanks(request.index, kept)
        return {name: one_line(reason) for name, reason in kept.items()}

    def _write_pages(self, pages: PageWriter, files: Sequence[ListedFile]) -> tuple[str, ...]:
        """Write projects before roots: a root names no project whose page is not there."""
        narrow = narrow_indexes(files, self._tables)
        listing = {"simple": list(files), **{f"{path}/simple": chosen for path, chosen in narrow.items()}}
        holding: dict[str, list[str]] = {}
        for root, chosen in listing.items():
            for file in chosen:
                holding.setdefault(file.filename, []).append(root)
        for root, chosen in listing.items():
            pages.refuse_foreign([root, *sorted({f"{root}/{file.project}" for file in chosen})], PAGE_MARK)
        pages.refuse_foreign(sorted({f"choose/{file.project}" for file in files}), SELECTOR_MARK)
        roots: list[tuple[str, bytes]] = []
        for root, chosen in listing.items():
            depth = root.count("/") + 2
            names = []
            for project, group in groupby(chosen, key=lambda file: file.project):
                of_project = list(group)
                names.append(project)
                # First: by its mark, what a killed writer put beside it is known.
                pages.write(f"{root}/{project}/index.html", project_html(project, of_project, depth))
                if root == "simple":
                    rows = published_wheels(of_project, holding, depth)
                    pages.write(f"{root}/{project}/wheels.json", wheels_json(rows))
                    # As many folders below the index: the same URLs.
                    pages.write(f"choose/{project}/index.html", selector_page(project, rows, self._tables).encode())
                pages.write(f"{root}/{project}/index.json", project_json(project, of_project, depth))
            roots += [(f"{root}/index.json", root_json(names)), (f"{root}/index.html", root_html(names))]
        for path, content in reversed(roots):
            pages.write(path, content)
        index = self._request.index
        if pages.is_foreign(_FRONT, FRONT_MARK.encode()):
            self._reporter.warn(f"{index / _FRONT} was not written by gpuwheel index: it stays as it is")
        else:
            pages.write(_FRONT, front_page(files, listing).encode())
        pages.remove_others()
        return tuple(listing)

    def _retire(
        self, pages: PageWriter, records: Mapping[str, Record], offered: Mapping[str, tuple[Source, Offered]]
    ) -> list[str]:
        """Remove copies that no page has named since the run before; what this run does not name goes in the next."""
        named = set()
        for name, record in records.items():
            copy = None if record.sha256 is None else self._places.of(offered[name][1], record.sha256).copy
            named |= set() if copy is None else {copy, f"{copy}.metadata"}
        index = self._request.index
        pages.remove(  # METADATA before its wheel, by whose digest both are known as ours
            path
            for path in sorted(self._before.retired, reverse=True)
            if path not in named and is_copy(path) and is_named_by_its_digest(index / path)
        )
        there = {path.relative_to(index).as_posix() for path in (index / "files").glob("*/*")}
        return sorted(filter(is_copy, there - named))
