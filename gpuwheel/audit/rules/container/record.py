"""RECORD: the list of what is in the wheel, by which tools uninstall, verify and compare.

No installer checks its digests by default (tried: pip 26.3, uv 0.13, installer 1.1); PyPI and who verifies do.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gpuwheel._endings import cut
from gpuwheel.audit.cases import rule
from gpuwheel.audit.rules.container.member_names import misnamed
from gpuwheel.model.findings import Found, Part, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gpuwheel.audit.cases import WheelCase
    from gpuwheel.wheel import Content

__all__ = ["RECORD_RULES"]

_FORMAT = "Recording installed projects (the RECORD file); binary distribution format, The .dist-info directory"
_AGAIN = "build the wheel again, or `wheel unpack` and `wheel pack` it, which writes RECORD anew"
_COLUMNS = 3
_SIGNATURES = ("RECORD.jws", "RECORD.p7s")
_STRONG = {"sha256": 32, "sha384": 48, "sha512": 64}
"""What the format takes, sha256 or better; bytes of each."""
_PYPI = "PyPI refuses the wheel since 2026-02"
_DIGITS = 20
"""Of the largest number that installers take (64 bits)."""


@dataclass(frozen=True)
class _Record:
    """RECORD of a wheel, read once for all rules."""

    folder: str
    members: Mapping[str, Content]
    rows: Sequence[Sequence[str]] | str
    """Its rows; or why there are none."""
    told: frozenset[str]
    """Files that cannot be unpacked, and names of which other rules tell."""

    @property
    def name(self) -> str:
        return f"{self.folder}/RECORD"

    @cached_property
    def listed(self) -> dict[str, Sequence[str]]:
        """Rows that are three columns, by path; of two rows for one path, the last, as pip takes it."""
        rows = self.rows
        return {} if isinstance(rows, str) else {row[0]: row for row in rows if len(row) == _COLUMNS}

    @cached_property
    def exempt(self) -> frozenset[str]:
        """What has no digest in it."""
        return frozenset({self.name, *(f"{self.folder}/{name}" for name in _SIGNATURES)})


def _record(case: WheelCase) -> _Record | None:
    folder = case.wheel.dist_info
    if folder is None:
        return None
    return _Record(folder, case.wheel.members, case.wheel.record, case.wheel.sealed | misnamed(case))


@rule(
    "record",
    needs={Part.MEMBERS},
    why="PyPI refuses the wheel, and who verifies an installation finds it damaged; pip and uv look at no digest",
    fix=_AGAIN,
    source=f"{_FORMAT}; PyPI, Wheel archive confusion attacks (2025-08-07)",
)
def _differs(case: WheelCase) -> Iterator[Found]:
    """RECORD is missing, cannot be read, or differs from the files in the wheel."""
    record = _record(case)
    if record is None:
        return
    if isinstance(record.rows, str):
        yield Found(record.name, record.rows, "pip and uv refuse to install the wheel")
        return
    members = case.wheel.members
    for name in sorted(record.listed.keys() - members.keys() - record.told):
        if not _escapes(name) and _plain(name) not in members and not name.endswith("/"):
            yield Found(cut(name), "is listed in RECORD and not in the wheel (expected both or neither)", _PYPI)
    listed = {_plain(name) for name in record.listed}
    unlisted = record.exempt | record.told
    for name, member in members.items():
        if name in unlisted:
            continue
        if name not in listed:
            why = f"{_PYPI}; uninstalling leaves the file behind"
            yield Found(cut(name), "is in the wheel and not listed in RECORD (expected both)", why)
        elif name in record.listed and name not in case.wheel.damaged:
            yield from _difference(member, record.listed[name])


def _difference(member: Content, row: Sequence[str]) -> Iterator[Found]:
    """What a row says of a member that is not so; digests of the wrong form have a rule of their own."""
    path, digest, size = row
    if size and not (size.isascii() and size.isdigit() and len(size) <= _DIGITS):
        problem = "has a size in RECORD that is no number (expected bytes)"
        yield Found(cut(path), problem, "uv and installer refuse the wheel")
    elif size and int(size) != member.size:
        facts = {"recorded": int(size), "found": member.size}
        yield Found(cut(path), "differs from RECORD (another size)", facts=facts)
        return
    algorithm, _, value = digest.partition("=")
    if algorithm == "sha256" and digest == member.digest:
        return
    if algorithm in _STRONG and _decoded(algorithm, value) is not None:
        found = member.digest if algorithm == "sha256" else _other_digest(member, algorithm)
        if digest != found:
            told = {"recorded": cut(digest), "found": found}
            yield Found(cut(path), "differs from RECORD (another digest)", facts=told)


def _other_digest(member: Content, algorithm: str) -> str:
    digest = hashlib.new(algorithm, member.data).digest()
    return f"{algorithm}={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


@rule(
    "record-hash",
    needs={Part.MEMBERS},
    why="nobody can tell by it whether the file is the one that was built",
    fix=_AGAIN,
    source=f"{_FORMAT}: sha256 or better, urlsafe base64 without padding; md5 and sha1 are not permitted",
)
def _hash(case: WheelCase) -> Iterator[Found]:
    """A file has no digest in RECORD, a weak one, or one in a wrong form."""
    record = _record(case)
    if record is None:
        return
    exempt = record.exempt
    for name, (_, digest, _) in record.listed.items():
        if name in exempt or name not in case.wheel.members:
            continue
        algorithm, _, value = digest.partition("=")
        if not digest:
            yield Found(cut(name), "has no digest in RECORD (expected sha256=...)")
        elif algorithm not in _STRONG:
            shown = cut(algorithm)
            problem = f"has a digest in RECORD that proves nothing ({shown}, expected sha256 or better)"
            yield Found(cut(name), problem, facts={"algorithm": shown})
        elif _decoded(algorithm, value) is None:
            problem = f"has a digest in RECORD in a wrong form (expected {algorithm}= and urlsafe base64 without =)"
            yield Found(cut(name), problem, "tools that compare digests take the file for damaged")


def _decoded(algorithm: str, value: str) -> bytes | None:
    """The digest; `None` where it is not of this algorithm, or not urlsafe base64 without padding."""
    try:
        digest = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest if len(digest) == _STRONG[algorithm] and "=" not in value else None


@rule(
    "record-row",
    needs={Part.MEMBERS},
    why="tools differ in what they make of it",
    fix=_AGAIN,
    source=f"{_FORMAT}; tried with pip, uv and installer",
)
def _row(case: WheelCase) -> Iterator[Found]:
    """A row of RECORD is malformed, occurs twice, or is for a path that is none of the wheel's."""
    record = _record(case)
    if record is None or isinstance(record.rows, str):
        return
    seen: set[str] = set()
    for row in record.rows:
        if len(row) != _COLUMNS:
            yield _malformed(record, row)
            continue
        path = row[0]
        if path in seen:
            why = "a tool may take either of the two for the truth"
            yield Found(cut(path), "is listed in RECORD more than once (expected once)", why)
        seen.add(path)
        if wrong := _misplaced(record, row, case.wheel.members):
            yield wrong
    if record.name not in record.listed:
        why = "a tool that uninstalls by this list leaves RECORD behind"
        yield Found(record.name, "does not list itself (expected a row without a digest)", why, None, Severity.WARNING)


def _malformed(record: _Record, row: Sequence[str]) -> Found:
    if not row:
        problem = "has an empty line (expected path,hash,size)"
        return Found(record.name, problem, "pip stops with an IndexError")
    problem = f"has a row of {len(row)} columns (expected path,hash,size)"
    return Found(record.name, problem, "uv and installer refuse the wheel")


def _misplaced(record: _Record, row: Sequence[str], members: Mapping[str, Content]) -> Found | None:
    path, digest, size = row
    shown, warning = cut(path), Severity.WARNING
    found = None
    if path in record.told:
        pass
    elif _escapes(path):
        why = "a tool that uninstalls by this list would remove a file of somebody else"
        found = Found(shown, "is listed in RECORD and lies outside of the wheel (expected paths inside)", why)
    elif path == record.name and (digest or size):
        why = "a file cannot hold its own digest: who checks it finds the wheel damaged"
        found = Found(shown, "has a digest or a size of itself (expected neither)", why)
    elif path in record.exempt - {record.name}:
        found = Found(shown, "is a signature and listed in RECORD (expected not)", severity=warning)
    elif path.endswith("/"):
        why = "wheels have no folders: pip looks for a file of that name"
        found = Found(shown, "is a folder and listed in RECORD (expected files)", why, severity=warning)
    elif path not in members and _plain(path) in members:
        why = "who compares names finds neither"
        found = Found(shown, f"is how RECORD spells a file of another name ({cut(_plain(path))})", why)
    return found


def _plain(path: str) -> str:
    r"""A path of RECORD as a member would be named: "./a//b" and "a\b" are the files a/b."""
    spelled = path.replace("\\", "/")
    return spelled if {"", "."}.isdisjoint(spelled.split("/")) else str(PurePosixPath(spelled))


def _escapes(path: str) -> bool:
    spelled = path.replace("\\", "/")
    if ".." not in spelled:
        return spelled.startswith("/") or spelled[1:2] == ":"
    depth = 0
    for part in spelled.split("/"):
        depth += {"": 0, ".": 0, "..": -1}.get(part, 1)
        if depth < 0:
            return True
    return spelled.startswith("/") or spelled[1:2] == ":"


@rule(
    "record-signature",
    needs={Part.MEMBERS},
    why="no installer has ever checked such a signature, and none will: the format has dropped them",
    fix="remove it; PyPI's attestations (PEP 740) are checked",
    source="PEP 815, Deprecate RECORD.jws and RECORD.p7s",
    severity=Severity.WARNING,
)
def _signature(case: WheelCase) -> Iterator[Found]:
    """The wheel holds a signature of RECORD that nobody checks."""
    for signature in _SIGNATURES:
        name = f"{case.wheel.dist_info}/{signature}"
        if name in case.wheel.members:
            yield Found(name, "is a signature in a form that nobody checks (expected none)")


RECORD_RULES = (_differs, _hash, _row, _signature)
