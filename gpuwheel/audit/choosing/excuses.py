"""Findings that a project knows and lives with, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from gpuwheel.audit.choosing.fingerprints import project_of
from gpuwheel.audit.choosing.selection import UnknownRuleError
from gpuwheel.audit.rules import RULES

if TYPE_CHECKING:
    from gpuwheel.model.findings import Finding

__all__ = ["Excuse"]


@dataclass(frozen=True)
class Excuse:
    """Why findings of one rule do not count, in all files or in some."""

    rule: str
    pattern: str
    """Which files: `*` stands for any text."""
    reason: str

    @classmethod
    def parse(cls, key: str, reason: str) -> Excuse:
        """From "RULE" or "RULE:PATTERN", as a configuration has it.

        Raises:
            UnknownRuleError: no rule has that name.
            ValueError: there is no reason.
        """
        rule, _, pattern = key.partition(":")
        if rule not in {each.id for each in RULES}:
            raise UnknownRuleError(rule)
        if not reason.strip():
            msg = f"{key!r} has no reason (expected why this finding does not count)"
            raise ValueError(msg)
        return cls(rule, pattern.strip() or "*", " ".join(reason.split()))

    def __str__(self) -> str:
        return self.rule if self.pattern == "*" else f"{self.rule}:{self.pattern}"

    def covers(self, wheel: str, finding: Finding, subject: str) -> bool:
        """Whether it is about that finding in that file; about a whole wheel, also by its project's name."""
        names = {subject, project_of(wheel)} if subject == wheel else {subject}
        return finding.rule == self.rule and any(fnmatchcase(name, self.pattern) for name in names)
