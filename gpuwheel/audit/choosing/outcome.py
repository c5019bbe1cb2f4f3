"""An audit of one wheel, sorted by what counts: what stands against it, what is excused, what was known before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gpuwheel._endings import as_ours
from gpuwheel._files import sha256_of
from gpuwheel.audit.cases import WheelCase
from gpuwheel.audit.choosing.baseline import Baseline
from gpuwheel.audit.choosing.fingerprints import fingerprint, unknown_part
from gpuwheel.audit.choosing.selection import Selection
from gpuwheel.audit.inspection import opened
from gpuwheel.audit.rules import RULES, UNREADABLE, judge
from gpuwheel.errors import BugError
from gpuwheel.model.findings import Found, Part, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from gpuwheel.audit.choosing.excuses import Excuse
    from gpuwheel.compatibility import Tables
    from gpuwheel.compatibility.distributions.releases import ReleaseSource
    from gpuwheel.errors import GpuwheelError
    from gpuwheel.model.findings import Finding, Profile

__all__ = ["AuditRequest", "Excused", "Outcome", "audited", "fails"]

_ORDER = list(Severity)


@dataclass(frozen=True)
class AuditRequest:
    """What is asked of every wheel."""

    profile: Profile | None = None
    """What it is held to; `None`: as `audit_wheel` has it."""
    selection: Selection = field(default_factory=Selection)
    excuses: tuple[Excuse, ...] = ()
    baseline: Baseline = field(default_factory=Baseline)
    fail_on: Severity | None = Severity.ERROR
    """The least that fails; `None`: nothing does."""
    releases: ReleaseSource | None = None
    """Who knows what distributions bring; `None`: the table alone."""
    digests: bool = True
    """Whether the digest of each file is to be told."""


@dataclass(frozen=True)
class Excused:
    """A finding that does not count, and why."""

    finding: Finding
    excuse: Excuse


@dataclass(frozen=True)
class Outcome:
    """One wheel, looked at."""

    path: Path
    size: int
    """Bytes of the file."""
    sha256: str | None
    """`None`: nobody asked for it, or the file cannot be read at all."""
    profile: Profile | None
    """What it was held to; `None`: it could not be opened."""
    findings: tuple[Finding, ...] = ()
    """Those that count, errors first."""
    excused: tuple[Excused, ...] = ()
    known: tuple[Finding, ...] = ()
    """Those that the baseline has."""
    seen: frozenset[str] = frozenset()
    """Fingerprints of all that were found, whatever became of them."""
    not_checked: tuple[tuple[str, str], ...] = ()
    """Rules that were not asked, and why."""
    problem: GpuwheelError | None = None
    """Why the file could not be read; then it has one finding, which says so."""

    @property
    def name(self) -> str:
        """Of the file."""
        return self.path.name


def audited(path: Path, request: AuditRequest, tables: Tables) -> Outcome:
    """Look at one wheel. A file that is no wheel is an outcome, too: others may have their turn.

    Raises:
        GpuwheelError: of a bug of ours alone.
    """
    size, sha256 = _identity(path, digests=request.digests)
    try:
        with opened(path, strict=False) as wheel:
            case = WheelCase(wheel, tables, asked=request.profile, releases=request.releases)
            found, profile, parts = judge(case), case.profile, case.parts
    except Exception as error:
        ours = as_ours(error)
        # A bug of ours is no finding about somebody's wheel.
        if isinstance(ours, BugError):
            raise
        unread = Found(path.name, f"cannot be checked: {ours.message}", fix=ours.hint)
        return Outcome(path, size, sha256, None, (UNREADABLE.finding(unread),), problem=ours)
    return _sorted(
        Outcome(path, size, sha256, profile, not_checked=tuple(_left_out(request, parts, profile))), found, request
    )


def fails(outcome: Outcome, at: Severity | None) -> bool:
    """Whether something that counts is at least as bad as `at`."""
    return at is not None and any(_ORDER.index(one.severity) <= _ORDER.index(at) for one in outcome.findings)


def _identity(path: Path, *, digests: bool) -> tuple[int, str | None]:
    try:
        if not path.is_file():  # reading a pipe may never end
            return 0, None
        with path.open("rb") as file:
            return path.stat().st_size, sha256_of(file) if digests else None
    except OSError:
        return 0, None


def _left_out(request: AuditRequest, parts: frozenset[Part], profile: Profile) -> Iterator[tuple[str, str]]:
    for rule in RULES:
        unknown = sorted(part.value for part in rule.needs - parts - {Part.BUILD})
        if not request.selection.asks(rule):
            yield rule.id, "not selected"
        elif rule.profile is not None and rule.profile is not profile:
            yield rule.id, f"asked with --profile {rule.profile.value} alone"
        elif Part.BUILD in rule.needs:
            yield rule.id, "asked while a wheel is built, of what the build set out to make"
        elif unknown:
            yield rule.id, f"not known: {', '.join(unknown)}"


def _sorted(outcome: Outcome, found: Iterable[Finding], request: AuditRequest) -> Outcome:
    """Each finding where it belongs; of one that is in several files, each file where that belongs."""
    rules = {rule.id: rule for rule in RULES}
    findings: list[Finding] = []
    excused: list[Excused] = []
    known: list[Finding] = []
    seen: set[str] = set()
    for finding in found:
        rule = rules[finding.rule]
        if not request.selection.asks(rule):
            continue
        if request.baseline.fingerprints:  # else nobody asks, and a finding may be about thousands of files
            seen.update(fingerprint(outcome.name, finding, subject) for subject in finding.where)
        counted = replace(finding, severity=request.selection.severity_of(finding, rule))
        for excuse, part in _parts(outcome.name, counted, request.excuses):
            if excuse is not None:
                excused.append(Excused(part, excuse))
                continue
            known_before = request.baseline.fingerprints
            new = unknown_part(outcome.name, part, known_before) if known_before else part
            if new is None or new.where != part.where:
                known.append(_without(part, new))
            if new is not None:
                findings.append(new)
    places = {rule: place for place, rule in enumerate(rules)}
    findings.sort(key=lambda finding: (_ORDER.index(finding.severity), places[finding.rule]))
    return replace(outcome, findings=tuple(findings), excused=tuple(excused), known=tuple(known), seen=frozenset(seen))


def _parts(wheel: str, finding: Finding, excuses: Iterable[Excuse]) -> Iterator[tuple[Excuse | None, Finding]]:
    """A finding by the excuse that covers each of its files."""
    where: dict[Excuse | None, list[str]] = {}
    for subject in finding.where:
        excuse = next((one for one in excuses if one.covers(wheel, finding, subject)), None)
        where.setdefault(excuse, []).append(subject)
    for excuse, subjects in where.items():
        yield excuse, replace(finding, subject=subjects[0], where=tuple(subjects))


def _without(finding: Finding, new: Finding | None) -> Finding:
    rest = tuple(name for name in finding.where if new is None or name not in new.where)
    return replace(finding, subject=rest[0], where=rest)
