"""Every wheel of one project that an index has: from its `wheels.json`, or, where it has none, what its page tells.

Of any other index, names, Requires-Python and METADATA (PEP 658) are known, and nothing of what is in a wheel. Of a
folder of wheels, everything: they are looked into.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion

from gpuwheel._endings import cut, reading
from gpuwheel._limits import INDEX_PAGE, METADATA_FILE
from gpuwheel.errors import NetworkError
from gpuwheel.index.pages import without_credentials
from gpuwheel.index.pinned import PackageIndex
from gpuwheel.index.transport import NotOnServerError, local_path
from gpuwheel.publish.published import PublishedWheel
from gpuwheel.publish.selector.choosing import choose
from gpuwheel.publish.selector.offers import Offer
from gpuwheel.publish.wheel_facts import WheelFacts, facts_of, split_variant
from gpuwheel.wheel.metadata import field_values, requirements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from gpuwheel.compatibility import Tables
    from gpuwheel.index.pages import Link
    from gpuwheel.index.settings import IndexSettings
    from gpuwheel.index.transport import Transport
    from gpuwheel.publish.selector.choosing import Choice
    from gpuwheel.publish.selector.target_machine import Machine

__all__ = ["Catalogue", "choose_from", "read_catalogue"]

_FILE = "wheels.json"
_ROOTS = ("", "simple/")
"""Where an index may begin, below what the user named."""
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MOST_READ = 16
"""Files of METADATA that one answer is worth."""


@dataclass(frozen=True)
class Catalogue:
    """The wheels of a project."""

    project: str
    """Normalised."""
    places: tuple[str, ...]
    """Who has them, without credentials."""
    offers: tuple[Offer, ...]
    """With absolute URLs."""
    with_metadata: frozenset[str] = frozenset()
    """Names of the files whose METADATA is beside them."""


def read_catalogue(
    project: str, settings: IndexSettings, transport: Transport, *, folder: Path | None = None, tables: Tables
) -> Catalogue:
    """Ask every index; of a file that several have, the first one counts.

    Args:
        project: its name.
        settings: whom to ask.
        transport: how.
        folder: of wheels, to look into where it is no index of gpuwheel's.
        tables: for wheels that are looked into.

    Raises:
        NetworkError: none has a wheel of it, or one cannot be asked.
        AuditError: a row of `wheels.json`, or a wheel in the folder, is damaged.
    """
    name = canonicalize_name(project)
    offers: dict[str, Offer] = {}
    places, beside = [], set[str]()
    for index in settings.indexes:
        rows = _of_index(name, index, transport)
        places += [without_credentials(index)] if rows else []
        offers = {offer.facts.filename: offer for offer in rows} | offers
    if folder is not None and not offers:
        offers = {offer.facts.filename: offer for offer in _of_folder(name, folder, tables)} | offers
    asked = []
    for listing in () if offers else PackageIndex(settings, transport).listings(name):
        asked.append(listing.place)
        root = without_credentials(urljoin(listing.url, "..")) if listing.is_index else None
        found = {offer.facts.filename: offer for offer in _of_names(name, listing.links, root)}
        places += [listing.place] if found else []
        beside |= {link.filename for link in listing.links if link.metadata and link.filename not in offers}
        offers = found | offers
    if not offers:
        msg = f"{name} has no wheel there (asked {', '.join(asked or places) or 'nobody'})"
        raise NetworkError(msg, hint="--index names another index, or a folder with wheels")
    return Catalogue(name, tuple(places) or (str(folder),), tuple(offers.values()), frozenset(beside))


def choose_from(catalogue: Catalogue, machine: Machine, transport: Transport) -> Choice:
    """Choose, and read METADATA of whatever would be chosen where nothing else was looked at.

    Raises:
        NetworkError: METADATA that a page promises cannot be had.
    """
    offers = {offer.facts.filename: offer for offer in catalogue.offers}
    unread = set(catalogue.with_metadata)
    for _ in range(_MOST_READ):
        best = choose(machine, tuple(offers.values())).best
        name = None if best is None else best.offer.facts.filename
        if name not in unread or name is None:
            break
        unread.remove(name)
        offers[name] = _with_metadata(offers[name], transport)
    return choose(machine, tuple(offers.values()))


def _of_index(name: str, index: str, transport: Transport) -> list[Offer]:
    """By `wheels.json`; nothing where there is none."""
    root = without_credentials(index).rstrip("/")  # the transport has them
    for below in _ROOTS:
        url = f"{root}/{below}{name}/{_FILE}"
        content = _document(url, transport)
        if content is not None:
            with reading(f"{cut(url)} cannot be read", "rows as gpuwheel index writes them"):
                rows = [PublishedWheel.from_json(row) for row in json.loads(content)]
            return [Offer(_absolute(row, url)) for row in rows if row.facts.name == name]
    return []


def _document(url: str, transport: Transport) -> bytes | None:
    """A document of ours, where a place has it."""
    if local_path(url) is not None:
        return _content(url, transport)
    try:
        page = transport.page(url, "application/json")
    except NetworkError:
        # Buckets refuse what is not there (403), and some indexes know no other file. Whoever cannot be reached at all
        # is told when its page is asked for.
        return None
    # Others answer everything with a page for people.
    return page.content if "json" in page.content_type.lower() else None


def _content(url: str, transport: Transport) -> bytes | None:
    path = local_path(url)
    if path is None:
        try:
            return transport.page(url, "*/*").content
        except NotOnServerError:
            return None
    if not path.is_file():
        return None
    if path.stat().st_size > INDEX_PAGE.value:
        msg = f"{path} is too long ({INDEX_PAGE.passed(f'{path.stat().st_size:,} bytes')})"
        raise NetworkError(msg, hint="an index of fewer wheels, or one for each torch or CUDA")
    return path.read_bytes()


def _absolute(row: PublishedWheel, base: str) -> PublishedWheel:
    indexes = tuple(urljoin(base, index) for index in row.indexes)
    return replace(row, url=urljoin(base, row.url), indexes=indexes)


def _of_folder(name: str, folder: Path, tables: Tables) -> Iterator[Offer]:
    for path in sorted(folder.glob("*.whl")):
        if path.name.partition("-")[0].lower().replace("_", "-").replace(".", "-") == name:
            yield Offer(PublishedWheel(facts_of(path, tables), path.absolute().as_uri()))


def _of_names(name: str, links: Iterable[Link], index: str | None) -> Iterator[Offer]:
    for link in links:
        plain, variant = split_variant(link.filename)
        try:
            project, version, _, tags = parse_wheel_filename(plain)
        except (InvalidWheelFilename, InvalidVersion):
            continue  # an sdist, or nothing that installers take
        if project != name:
            continue
        facts = WheelFacts(
            filename=link.filename,
            size=0,
            # What is no digest would stand in a line that somebody types.
            sha256=link.sha256 if link.sha256 and _SHA256.fullmatch(link.sha256) else "",
            metadata_sha256="",
            name=name,
            version=str(version),
            variant=variant,
            tags=tuple(sorted(map(str, tags))),
            requires_python=link.requires_python,
            requires_dist=(),
            summary="",
            torch=None,
            torch_by_python=(),
            cuda=None,
            runtimes=(),
            driver=None,
            code=(),
        )
        published = PublishedWheel(facts, without_credentials(link.url), link.yanked, (index,) if index else ())
        yield Offer(published, inspected=False)


def _with_metadata(offer: Offer, transport: Transport) -> Offer:
    url = f"{offer.published.url}.metadata"
    content = _content(url, transport) or b""
    if len(content) > METADATA_FILE.value:
        msg = f"{cut(url)} is too long ({METADATA_FILE.passed(f'{len(content):,} bytes')})"
        raise NetworkError(msg, hint="name another index: --index URL")
    wanted = requirements(content)
    facts = replace(
        offer.facts,
        requires_python=next(iter(field_values(content, "Requires-Python")), None) or offer.facts.requires_python,
        requires_dist=wanted,
        summary=next(iter(field_values(content, "Summary")), ""),
        torch=_torch_in(wanted),
    )
    return replace(offer, published=replace(offer.published, facts=facts))


def _torch_in(wanted: Sequence[str]) -> str | None:
    """Of requirements that always hold."""
    ranges = []
    for text in wanted:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if canonicalize_name(requirement.name) == "torch" and requirement.marker is None:
            ranges.append(str(requirement.specifier))
    return ",".join(sorted(filter(None, ranges))) if ranges else None
