"""Which rules are asked: by identifier, by the start of one, or by the room that a rule is in."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpuwheel.audit.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gpuwheel.model.findings import Finding, Rule, Severity

__all__ = ["Selection", "UnknownRuleError", "group_of", "rule_words"]

_ROOMS = "gpuwheel.audit.rules."


class UnknownRuleError(ValueError):
    """A word that is no rule's, with what may have been meant."""

    def __init__(self, word: str) -> None:
        """Say which, and the nearest one."""
        close = difflib.get_close_matches(word, rule_words(), n=1, cutoff=0.5)
        meant = f"did you mean {close[0]!r}?" if close else "gpuwheel audit --list-rules has all"
        super().__init__(f"{word!r} is no rule and no group of rules; {meant}")


def group_of(rule: Rule[Any]) -> str:
    """The room that a rule stands in: "device-code", "container"; "" for checks of a release."""
    if not rule.check.__module__.startswith(_ROOMS):
        return ""
    return rule.check.__module__.removeprefix(_ROOMS).partition(".")[0].replace("_", "-")


def rule_words() -> tuple[str, ...]:
    """Every identifier and every group: for completion, and for suggestions."""
    return tuple(dict.fromkeys([*(group_of(rule) for rule in RULES), *(rule.id for rule in RULES)]))


@dataclass(frozen=True)
class Selection:
    """Which rules count, and how much."""

    select: tuple[str, ...] = ()
    """Only these; empty: all."""
    ignore: tuple[str, ...] = ()
    severities: Mapping[str, Severity] = field(default_factory=dict)
    """By rule, group or start of an identifier: what its findings are, in place of what the rule says."""

    def __post_init__(self) -> None:
        for word in (*self.select, *self.ignore, *self.severities):
            if not any(_names(word, rule) for rule in RULES):
                raise UnknownRuleError(word)

    def asks(self, rule: Rule[Any]) -> bool:
        """Whether its findings are told."""
        is_selected = not self.select or _any(self.select, rule)
        return is_selected and not _any(self.ignore, rule)

    def severity_of(self, finding: Finding, rule: Rule[Any]) -> Severity:
        """What a finding counts as; the longest word that names its rule decides."""
        words = [word for word in self.severities if _names(word, rule)]
        return self.severities[max(words, key=lambda word: (word == rule.id, len(word)))] if words else finding.severity


def _any(words: Iterable[str], rule: Rule[Any]) -> bool:
    return any(_names(word, rule) for word in words)


def _names(word: str, rule: Rule[Any]) -> bool:
    return word in {rule.id, group_of(rule)} or rule.id.startswith(f"{word}-")
