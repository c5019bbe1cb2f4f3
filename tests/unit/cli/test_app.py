"""The group itself: quick to start, and complete."""

from __future__ import annotations

import os
import sys

import click
import pytest
from click.testing import CliRunner

from gpuwheel import __version__
from gpuwheel._run import run
from gpuwheel.cli import main

HEAVY = ["copier", "filelock", "gpuwheel.config", "gpuwheel.pipeline", "packaging", "requests", "tqdm"]


def _names() -> list[str]:
    return main.list_commands(click.Context(main))


def test_the_version() -> None:
    assert CliRunner().invoke(main, ["--version"]).stdout == f"gpuwheel {__version__}\n"


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_what_every_start_pays_for_is_little(option: str) -> None:
    code = (
        "import sys\n"
        "from gpuwheel.cli import main\n"
        f"main([{option!r}], standalone_mode=False)\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
    )
    assert run([sys.executable, "-c", code]).stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", _names())
def test_every_command_has_help_with_an_example(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "Examples:" in result.stdout
    assert name in CliRunner().invoke(main, ["--help"]).stdout


def test_an_unknown_command_is_a_mistake_of_usage() -> None:
    result = CliRunner().invoke(main, ["plam"])
    assert result.exit_code == 2
    assert "No such command 'plam'" in result.stderr


def test_a_misspelt_command_is_told_the_one_that_was_meant() -> None:
    result = CliRunner().invoke(main, ["plna"])
    assert result.exit_code == 2
    assert "plan" in result.stderr.rpartition("Did you mean")[2]


def _complete(words: str) -> list[str]:
    variables = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    environ = {**os.environ, **variables, "_GPUWHEEL_COMPLETE": "bash_complete"}
    code = "from gpuwheel.cli import main; main(prog_name='gpuwheel')"
    lines = run([sys.executable, "-c", code], env=environ).stdout.splitlines()
    return [line.partition(",")[2] for line in lines]


def test_the_shell_completes_commands_and_their_options() -> None:
    assert _complete("gpuwheel pl") == ["plan"]
    assert "--json" in _complete("gpuwheel plan --")


def test_the_shell_completes_rules_and_groups_of_them() -> None:
    found = _complete("gpuwheel audit --select record,torch-f")
    assert found == ["record,torch-floor"]
