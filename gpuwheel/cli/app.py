"""The `gpuwheel` command: its commands by name, each loaded when it is called, and the end of the process.

Help and completion of the names need no command's module: `gpuwheel --help` and the Tab key answer at once.
"""

from __future__ import annotations

import difflib
import errno
import importlib
import os
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from gpuwheel import __version__
from gpuwheel._endings import StoppedError, stopped_by_signals
from gpuwheel._imports import staying

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["main"]

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


_COMMANDS = {
    "projects": {
        "new": "Make a project of GPU operators from a template.",
        "update": "Bring a later template into a project made by new.",
        "init": "Add gpuwheel to a project that builds by setup.py.",
        "presets": "Let CMake and editors build a CMake project as pip does.",
        "ci": "Write the CI of a project from its plan.",
    },
    "builds": {
        "dev": "Compile what changed, for this GPU, beside the sources.",
        "build": "Every wheel of a project, into one folder.",
        "plan": "Which wheels a project gives, and why not others.",
        "lock": "Write down everything a build uses, with digests.",
        "fetch": "Fill the cache for builds without a network.",
    },
    "inspection": {
        "doctor": "What a build would use on this machine, and what stops it.",
        "audit": "Check what wheels claim, from their bytes.",
        "inspect": "What is in a wheel: libraries, device code by arch, sizes.",
        "diff": "What changed from one wheel to another.",
        "check": "Run a command with a wheel on a pretended GPU, and watch its kernels.",
        "rebuild": "Build a wheel again from its sdist and lock file, and compare.",
        "repair": "Put into wheels what they need and nobody brings.",
        "cache": "List, verify and prune what is kept between builds.",
    },
    "delivery": {
        "index": "Write a static package index of a folder of wheels.",
        "image": "A container image straight from wheels.",
        "which": "The wheel of an index that fits a machine, and why not others.",
        "publish": "Check a release, and publish what is not there yet.",
        "variants": "Make wheels among which uv chooses by the driver.",
    },
}
"""Room -> command -> one line. The command `new` is `new_command` of the module `new` in the room `projects`."""


class _LazyCommands(click.Group):
    """Loads a command when it is called, and turns whatever goes wrong in it into a message and an exit code."""

    def __init__(self, *args: Any, rooms: Mapping[str, Mapping[str, str]], **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self._rooms = rooms
        self._summaries = {name: summary for commands in rooms.values() for name, summary in commands.items()}

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
        return list(self._summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        room = next((room for room, commands in self._rooms.items() if cmd_name in commands), None)
        if room is None:
            return None
        with staying():
            module = importlib.import_module(f"gpuwheel.cli.{room}.{cmd_name}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in self._summaries:
            close = difflib.get_close_matches(args[0], self._summaries, n=1)
            if close:
                ctx.fail(f"No such command {args[0]!r}. Did you mean {close[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        for room, commands in self._rooms.items():
            with formatter.section(room.capitalize()):
                formatter.write_dl(list(commands.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = (
            CompletionItem(name, help=summary)
            for name, summary in self._summaries.items()
            if name.startswith(incomplete)
        )
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(cls=_LazyCommands, rooms=_COMMANDS, context_settings=_SETTINGS)
@click.version_option(__version__, message="gpuwheel %(version)s")
@click.option("--debug", is_flag=True, help="Show where an error was met, as GPUWHEEL_DEBUG=1 does.")
def main(*, debug: bool) -> None:
    """Build, plan and check wheels of GPU extensions.

    The wheel itself is built by any PEP 517 frontend: `pip wheel .`, `uv build`, `python -m build`.

    Shell completion: eval "$(_GPUWHEEL_COMPLETE=bash_source gpuwheel)" (or zsh_source, fish_source).
    """
    if debug:
        # The variable, so that processes which a command starts hear of it too.
        os.environ["GPUWHEEL_DEBUG"] = "1"
