"""Findings as SARIF 2.1.0 (OASIS, errata 01), which code hosts and editors show.

A result is about the wheel file, which is the artifact; the member is its logical location, for no service opens
archives. Excused findings are suppressed with their reason, known ones are unchanged against the baseline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gpuwheel import __version__
from gpuwheel.audit.choosing.fingerprints import fingerprint
from gpuwheel.audit.choosing.selection import group_of
from gpuwheel.model.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gpuwheel.audit.choosing.outcome import Outcome
    from gpuwheel.model.findings import Finding, Rule

__all__ = ["sarif_log"]

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}
_SHOWN = 100
"""Files of one result: services take a thousand locations at most."""


def sarif_log(outcomes: Sequence[Outcome], rules: Sequence[Rule[Any]], *, exit_code: int) -> dict[str, Any]:
    """The log, with one run.

    Args:
        outcomes: every wheel.
        rules: all there are.
        exit_code: of this audit.
    """
    places = {rule.id: index for index, rule in enumerate(rules)}
    is_compared = any(outcome.known for outcome in outcomes)
    unread = [outcome for outcome in outcomes if outcome.problem is not None]
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "gpuwheel",
                        "version": __version__,
                        "rules": [_rule(rule) for rule in rules],
                    }
                },
                "invocations": [
                    {
                        "executionSuccessful": not unread,
                        "exitCode": exit_code,
                        "toolExecutionNotifications": [_notification(outcome) for outcome in unread],
                    }
                ],
                "artifacts": [_artifact(outcome) for outcome in outcomes],
                "results": [
                    result | ({"baselineState": "new"} if is_compared and "baselineState" not in result else {})
                    for index, outcome in enumerate(outcomes)
                    for result in _results(outcome, index, places)
                ],
                "columnKind": "utf16CodeUnits",
            }
        ],
    }


def _rule(rule: Rule[Any]) -> dict[str, Any]:
    help_text = f"Why: {rule.why}\n\nFix: {rule.fix}\n\nSource: {rule.source}"
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": f"{rule.summary} {rule.why}"},
        "help": {
            "text": help_text,
            "markdown": f"**Why**: {rule.why}\n\n**Fix**: {rule.fix}\n\n**Source**: {rule.source}",
        },
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": [group_of(rule)], "doctrine": rule.doctrine},
    }


def _artifact(outcome: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = {"location": {"uri": _uri(outcome)}, "roles": ["analysisTarget"]}
    if outcome.sha256 is not None:
        found |= {"length": outcome.size, "hashes": {"sha-256": outcome.sha256}}
    return found


def _uri(outcome: Outcome) -> str:
    # Relative, where it was given so: services look for the file below the root of the repository.
    path = outcome.path
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


def _notification(outcome: Outcome) -> dict[str, Any]:
    text = outcome.problem.message if outcome.problem is not None else ""
    return {"level": "error", "message": {"text": text}, "locations": [{"physicalLocation": _file(outcome, None)}]}


def _file(outcome: Outcome, index: int | None) -> dict[str, Any]:
    return {"artifactLocation": {"uri": _uri(outcome)} | ({} if index is None else {"index": index})}


def _results(outcome: Outcome, index: int, places: Mapping[str, int]) -> list[dict[str, Any]]:
    found = [_result(outcome, index, finding, places) for finding in outcome.findings]
    found += [{**_result(outcome, index, one, places), "baselineState": "unchanged"} for one in outcome.known]
    found += [
        {
            **_result(outcome, index, excused.finding, places),
            "suppressions": [{"kind": "external", "justification": excused.excuse.reason}],
        }
        for excused in outcome.excused
    ]
    return found


def _result(outcome: Outcome, index: int, finding: Finding, places: Mapping[str, int]) -> dict[str, Any]:
    text = f"{finding.place} {finding.problem}"
    command = f" ({finding.command})" if finding.command else ""
    return {
        "ruleId": finding.rule,
        **({"ruleIndex": places[finding.rule]} if finding.rule in places else {}),
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{text}. Why: {finding.why}. Fix: {finding.fix}{command}"},
        "locations": [
            {
                "physicalLocation": _file(outcome, index),
                "logicalLocations": [{"fullyQualifiedName": f"{outcome.name}!{name}", "kind": "member"}],
            }
            for name in finding.where[:_SHOWN]
        ],
        "partialFingerprints": {"gpuwheelFinding/v1": fingerprint(outcome.name, finding)},
        "properties": {"facts": dict(finding.facts)} if finding.facts else {},
    }
