"""Options that answer a template's questions, and their completion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from gpuwheel.errors import ScaffoldError
from gpuwheel.scaffold import questions, template_names, template_summaries

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["complete_template", "data", "given_answers"]

F = TypeVar("F", bound="Callable[..., Any]")


def data(command: F) -> F:
    """`--data KEY=VALUE`."""
    text = "Answer a question in advance; repeatable."
    return click.option(
        "--data", "data", multiple=True, metavar="KEY=VALUE", help=text, shell_complete=_complete_answer
    )(command)


def given_answers(words: tuple[str, ...]) -> dict[str, str]:
    """The answers of these `--data`.

    Raises:
        click.UsageError: one has no value, or a key has two.
    """
    answers: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            msg = f"--data {key} has no value (expected KEY=VALUE)"
            raise click.UsageError(msg)
        if answers.setdefault(key, value) != value:
            msg = f"--data {key} is given twice (found {answers[key]!r} and {value!r}, expected one)"
            raise click.UsageError(msg)
    return answers


def complete_template(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Templates, with their lines where copier is there to read them."""
    del ctx, param
    try:
        summaries = template_summaries()
    except ScaffoldError:
        summaries = dict.fromkeys(template_names(), "")
    return [CompletionItem(name, help=text) for name, text in summaries.items() if name.startswith(incomplete)]


def _complete_answer(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """`key=`, and behind it the choices."""
    del ctx, param
    try:
        known = questions()
    except ScaffoldError:
        return []
    key, equals, _ = incomplete.partition("=")
    if equals and key in known:
        words = {f"{key}={value}": shown for value, shown in known[key].choices.items()}
        words |= {f"{key}={value}": "" for value in ("true", "false") if known[key].is_bool}
    else:
        words = {f"{name}=": question.help for name, question in known.items()}
    return [CompletionItem(word, help=text) for word, text in words.items() if word.startswith(incomplete)]
