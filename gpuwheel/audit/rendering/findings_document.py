"""Findings for machines: schema 1 (`data/audit.schema.json`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpuwheel import __version__
from gpuwheel.audit.choosing.fingerprints import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpuwheel.audit.choosing.outcome import Outcome
    from gpuwheel.model.findings import Finding

__all__ = ["audit_document"]


def audit_document(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """An entry for every wheel, those that could not be read among them."""
    return {"schema": 1, "gpuwheel": __version__, "wheels": [_wheel(outcome) for outcome in outcomes]}


def _wheel(outcome: Outcome) -> dict[str, Any]:
    problem = outcome.problem
    return {
        "file": outcome.name,
        "size": outcome.size,
        "sha256": outcome.sha256,
        "profile": outcome.profile.value if outcome.profile else None,
        "unreadable": None if problem is None else {"message": problem.message, "hint": problem.hint},
        "findings": [_finding(outcome, finding) for finding in outcome.findings],
        "excused": [
            {**_finding(outcome, excused.finding), "excuse": str(excused.excuse), "reason": excused.excuse.reason}
            for excused in outcome.excused
        ],
        "known": [_finding(outcome, finding) for finding in outcome.known],
        "not_checked": [{"rule": rule, "because": why} for rule, why in outcome.not_checked],
        "libraries_not_checked": _libraries_not_checked(outcome),
    }


def _libraries_not_checked(outcome: Outcome) -> list[str]:
    said = [*outcome.findings, *outcome.known, *(excused.finding for excused in outcome.excused)]
    named = (it.facts.get("sonames") for it in said if it.facts.get("checked") is False)
    return sorted({str(name) for names in named if isinstance(names, list) for name in names})


def _finding(outcome: Outcome, finding: Finding) -> dict[str, Any]:
    return {**finding.document, "fingerprint": fingerprint(outcome.name, finding)}
