"""Sphinx configuration. Tables that repeat the code are made from the code, here, each time the site is built."""

from __future__ import annotations

import inspect

import click

import gpuwheel
from gpuwheel import errors
from gpuwheel.cli import main

project = "gpuwheel"
author = "the gpuwheel developers"
project_copyright = f"2026, {author}"
version = release = gpuwheel.__version__

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist", "substitution"]
myst_heading_anchors = 3
nitpicky = True
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "gpuwheel"


def _error_table() -> str:
    """Every class of the error tree with its exit code and the first line of its docstring."""
    classes = sorted((getattr(errors, name) for name in errors.__all__), key=lambda each: each.exit_code)
    rows = [f"| {each.exit_code} | `{each.__name__}` | {inspect.getdoc(each)} |" for each in classes]
    return "\n".join(["| exit code | error | meaning |", "|---|---|---|", *rows])


def _command_help(command: click.Command, parent: click.Context | None = None) -> str:
    """What `--help` says, for a command and those below it."""
    name = "gpuwheel" if parent is None else command.name
    with click.Context(command, info_name=name, parent=parent, **command.context_settings) as context:
        parts = [f"```text\n{command.get_help(context)}\n```"]
        names = command.list_commands(context) if isinstance(command, click.Group) else ()
        for child in (command.get_command(context, name) for name in names):
            parts += [f"## `{context.command_path} {child.name}`", _command_help(child, context)]
    return "\n\n".join(parts)


myst_substitutions = {"error_table": _error_table(), "commands": _command_help(main)}
