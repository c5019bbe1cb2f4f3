"""The `gpuwheel` command: its commands by name, each loaded when it is called, and the end of the process.

Help and completion of the names need no command's module: `gpuwheel --help` and the Tab key answer at once.
"""

from __future__ import annotations

import difflib
import errno
import importlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.shell_completion import CompletionItem

from gpuwheel import __version__
from gpuwheel._endings import StoppedError, stopped_by_signals
from gpuwheel._imports import staying

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["main"]

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _Entry(NamedTuple):
    module: str
    """The module, and the name of the command in it after the colon."""
    summary: str


_COMMANDS = {
    "new": _Entry("gpuwheel.cli.new:new_command", "Make a project of GPU operators from a template."),
    "update": _Entry("gpuwheel.cli.update:update_command", "Bring a later template into a project made by new."),
    "init": _Entry("gpuwheel.cli.init:init_command", "Add gpuwheel to a project that builds by setup.py."),
    "dev": _Entry("gpuwheel.cli.dev:dev_command", "Compile what changed, for this GPU, beside the sources."),
    "plan": _Entry("gpuwheel.cli.plan:plan_command", "Which wheels a project gives, and why not others."),
    "doctor": _Entry(
        "gpuwheel.cli.doctor:doctor_command", "What a build would use on this machine, and what stops it."
    ),
    "lock": _Entry("gpuwheel.cli.lock:lock_command", "Write down everything a build uses, with digests."),
    "fetch": _Entry("gpuwheel.cli.fetch:fetch_command", "Fill the cache for builds without a network."),
    "presets": _Entry(
        "gpuwheel.cli.presets:presets_command", "Let CMake and editors build a CMake project as pip does."
    ),
    "cache": _Entry("gpuwheel.cli.cache:cache_command", "List, verify and prune what is kept between builds."),
    "audit": _Entry("gpuwheel.cli.audit:audit_command", "Check what wheels claim, from their bytes."),
}


class _LazyCommands(click.Group):
    """Loads a command when it is called, and turns whatever goes wrong in it into a message and an exit code."""

    def __init__(self, *args: Any, entries: Mapping[str, _Entry], **kwargs: Any) -> None:  # noqa: ANN401 (click's own)
        super().__init__(*args, **kwargs)
        self._entries = entries

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 (click's own signature)
        try:
            with stopped_by_signals():
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise  # click's own endings
        except StoppedError as stop:
            ctx.exit(stop.exit_code)
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # `gpuwheel ... | head`: click ends quietly
            from gpuwheel.ui import Terminal  # noqa: PLC0415 (only where there is something to say)

            ctx.exit(Terminal().ending(error))

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        entry = self._entries.get(cmd_name)
        if entry is None:
            return None
        module, _, name = entry.module.partition(":")
        with staying():
            command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in self._entries:
            close = difflib.get_close_matches(args[0], self._entries, n=1)
            if close:
                ctx.fail(f"No such command {args[0]!r}. Did you mean {close[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in self._entries.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = (
            CompletionItem(name, help=entry.summary)
            for name, entry in self._entries.items()
            if name.startswith(incomplete)
        )
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(cls=_LazyCommands, entries=_COMMANDS, context_settings=_SETTINGS)
@click.version_option(__version__, message="gpuwheel %(version)s")
@click.option("--debug", is_flag=True, help="Show where an error was met, as GPUWHEEL_DEBUG=1 does.")
def main(*, debug: bool) -> None:
    """Build, plan and check wheels of GPU extensions.

    The wheel itself is built by any PEP 517 frontend: `pip wheel .`, `uv build`, `python -m build`.

    Shell completion: eval "$(_GPUWHEEL_COMPLETE=bash_source gpuwheel)" (or zsh_source, fish_source).
    """
    if debug:
        os.environ["GPUWHEEL_DEBUG"] = "1"
