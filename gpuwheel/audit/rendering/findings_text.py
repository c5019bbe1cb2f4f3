"""Findings for people: one line for each cause, and on demand why it matters and how to mend it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from gpuwheel._endings import cut
from gpuwheel.model.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from gpuwheel.audit.choosing.outcome import Outcome
    from gpuwheel.model.findings import Finding, Rule

    Paint = Callable[[str, str], str]

__all__ = ["explained", "outcome_lines", "summary_lines"]

_SHOWN = 5
"""Findings of one rule about one wheel, from which on the rest is a number."""
_STYLES = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "hint"}


def outcome_lines(outcome: Outcome, paint: Paint, *, details: bool) -> Iterator[str]:
    """What is said of one wheel."""
    profile = f"  (held to what {_HELD[outcome.profile.value]})" if outcome.profile is not None else ""
    yield f"{paint('title', outcome.name)}: {_verdict(outcome)}{paint('quiet', profile) if outcome.findings else ''}"
    counts = Counter(finding.rule for finding in outcome.findings)
    told = Counter[str]()
    for finding in outcome.findings:
        told[finding.rule] += 1
        if details or told[finding.rule] <= _SHOWN or counts[finding.rule] == _SHOWN + 1:
            yield from _finding(finding, paint, details=details)
        elif told[finding.rule] == counts[finding.rule]:
            yield f"  {counts[finding.rule] - _SHOWN:,} more of {finding.rule} (--details shows them)"
    for excused in outcome.excused if details else ():
        finding = excused.finding
        yield f"  {paint('quiet', 'excused')} [{finding.rule}] {_plain(f'{finding.place} {finding.problem}')}"
        yield f"    reason: {cut(excused.excuse.reason)}"
    for finding in outcome.known if details else ():
        yield f"  {paint('quiet', 'known')} [{finding.rule}] {_plain(f'{finding.place} {finding.problem}')}"


_HELD = {"own": "gpuwheel promises", "any": "breaks for those who install it"}


def summary_lines(outcomes: Sequence[Outcome], paint: Paint, *, details: bool) -> Iterator[str]:
    """The last lines: how many of what, and where to read more. None for one wheel of which there is nothing to say."""
    counts = Counter(finding.severity for outcome in outcomes for finding in outcome.findings)
    excused = sum(len(outcome.excused) for outcome in outcomes)
    known = sum(len(outcome.known) for outcome in outcomes)
    if len(outcomes) == 1 and not (counts or excused or known):
        return
    parts = [_count(counts[severity], severity.value) for severity in Severity if counts[severity]]
    parts += [f"{excused} excused"] if excused else []
    parts += [f"{known} known"] if known else []
    unread = sum(outcome.problem is not None for outcome in outcomes)
    parts += [f"{_count(unread, 'wheel')} not readable"] if unread else []
    yield f"{_count(len(outcomes), 'wheel')}: {', '.join(parts) or 'nothing found'}"
    if counts and not details:
        yield paint("quiet", "why each matters, and how to mend it: --details, or --explain RULE")


def explained(rules: Iterable[Rule[Any]], paint: Paint) -> Iterator[str]:
    """What rules find, why that matters, and how it is mended."""
    for rule in rules:
        yield f"{paint('title', rule.id)} ({rule.severity.value}{', a promise of gpuwheel' if rule.doctrine else ''})"
        yield f"  {rule.summary}"
        yield f"  why: {rule.why}"
        yield f"  fix: {rule.fix}"
        yield f"  source: {rule.source}"


def _finding(finding: Finding, paint: Paint, *, details: bool) -> Iterator[str]:
    word = paint(_STYLES[finding.severity], finding.severity.value)
    yield f"  {word} [{finding.rule}] {_plain(f'{finding.place} {finding.problem}')}"
    if not details:
        return
    yield f"    why: {_plain(finding.why)}"
    yield f"    fix: {_plain(finding.fix)}"
    if finding.command:
        yield f"    command: {finding.command}"
    for name in finding.where[1:]:
        yield f"    also in {cut(name)}"


def _plain(text: str) -> str:
    """On one line, and nothing in it steers a terminal: names in somebody's wheel may be anything."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def _verdict(outcome: Outcome) -> str:
    if outcome.problem is not None:
        return "cannot be checked"
    counts = Counter(finding.severity for finding in outcome.findings)
    found = [_count(counts[severity], severity.value) for severity in Severity if counts[severity]]
    if not counts[Severity.ERROR]:
        return ", ".join(["holds what it claims", *found])
    return ", ".join(found)


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
