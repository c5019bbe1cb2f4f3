"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["as_json", "config_settings", "project", "settings"]

F = TypeVar("F", bound="Callable[..., Any]")


def project(command: F) -> F:
    """PROJECT: the folder with `pyproject.toml`, the current one unless stated."""
    return click.argument("project", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".")(
        command
    )


def settings(command: F) -> F:
    """`-C KEY=VALUE`, as build frontends take it."""
    text = "As for pip wheel: -C gpuwheel.archs='9.0'."
    return click.option("-C", "settings", multiple=True, metavar="KEY=VALUE", help=text)(command)


def as_json(command: F) -> F:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print a document instead of text.")(command)


def config_settings(words: tuple[str, ...]) -> dict[str, str | list[str]]:
    """What a frontend hands to the build hooks for these `-C`.

    Raises:
        click.UsageError: one has no value.
    """
    pairs = [word.partition("=") for word in words]
    for key, equals, _ in pairs:
        if not equals:
            msg = f"-C {key} has no value (expected KEY=VALUE)"
            raise click.UsageError(msg)
    # Of a key that comes twice the last one counts.
    return {key: value for key, _, value in pairs}
