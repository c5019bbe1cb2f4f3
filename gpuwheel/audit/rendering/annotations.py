"""Findings as CI services show them beside a change."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from gpuwheel.audit.choosing.fingerprints import fingerprint
from gpuwheel.model.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gpuwheel.model.findings import Finding

__all__ = ["code_quality", "workflow_commands"]

_FILE = "pyproject.toml"
"""Where a finding is shown: a wheel is no file of the change."""
_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
_GRADES = {Severity.ERROR: "blocker", Severity.WARNING: "minor", Severity.NOTE: "info"}


def workflow_commands(found: Mapping[str, Sequence[Finding]]) -> Iterator[str]:
    """Workflow commands of GitHub, one for each finding.

    Source: docs.github.com/actions/reference/workflow-commands-for-github-actions.
    """
    for wheel, findings in found.items():
        for finding in findings:
            title = _property(f"{wheel} [{finding.rule}]")
            text = _data(f"{_text(finding)}\nwhy: {finding.why}\nfix: {finding.fix}")
            yield f"::{_COMMANDS[finding.severity]} file={_FILE},title={title}::{text}"


def code_quality(found: Mapping[str, Sequence[Finding]]) -> list[dict[str, object]]:
    """A report of GitLab, which shows what a merge request adds and removes.

    Source: docs.gitlab.com/ci/testing/code_quality (report format).
    """
    return [
        {
            "description": f"{wheel}: {_text(finding)}. {finding.fix}",
            "check_name": finding.rule,
            # The same for the same finding in another build, whose numbers and version may differ.
            "fingerprint": hashlib.sha256(f"{_tags(wheel)}\0{fingerprint(wheel, finding)}".encode()).hexdigest(),
            "severity": _GRADES[finding.severity],
            "location": {"path": _FILE, "lines": {"begin": 1}},
        }
        for wheel, findings in found.items()
        for finding in findings
    ]


def _tags(wheel: str) -> str:
    """The tags in a wheel's name: a report names each finding once, and wheels for several machines may share one."""
    return "-".join(wheel.split("-")[2:])


def _text(finding: Finding) -> str:
    return f"{finding.place} {finding.problem}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
