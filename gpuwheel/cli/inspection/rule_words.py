"""Options that take rules of the audit: checked, with a suggestion, and completed by the shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from gpuwheel.audit.choosing.selection import Selection, UnknownRuleError, group_of, rule_words
from gpuwheel.audit.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["RuleWord", "selected_rules"]


class RuleWord(click.ParamType):  # type: ignore[type-arg] # generic in new releases alone
    """A rule, a group of rules, or the start of identifiers; several with commas."""

    name = "RULE"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The words, if each of them names a rule."""
        try:
            Selection(select=tuple(word.strip() for word in value.split(",")))
        except UnknownRuleError as error:
            self.fail(str(error), param, ctx)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """What the shell offers for the last word."""
        del ctx, param
        head, comma, last = incomplete.rpartition(",")
        told = {rule.id: rule.summary for rule in RULES}
        return [
            CompletionItem(f"{head}{comma}{word}", help=told.get(word, "a group of rules"))
            for word in rule_words()
            if word.startswith(last)
        ]


def selected_rules(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--select` and `--ignore`."""
    kind = RuleWord()
    groups = ", ".join(dict.fromkeys(group_of(rule) for rule in RULES))
    text = f"Ask only these rules: an id, its start, or a group ({groups})."
    options = (
        click.option("--select", type=kind, multiple=True, help=text),
        click.option("--ignore", type=kind, multiple=True, help="Do not ask these."),
    )
    for option in reversed(options):
        command = option(command)
    return command
