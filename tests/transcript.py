"""Pages that show a terminal: every command of a page is run, and must print what the page says.

In a block marked `console`, a line that begins with `$ ` is typed (`> ` continues it) and the lines below it are what
it prints; `...` stands for any text, as in doctest. A block marked `diff` is a change that the reader makes.
"""

from __future__ import annotations

import doctest
import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Step", "follow", "read_steps"]

_BLOCK = re.compile(r"^```(console|diff)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CWD = "##cwd "


@dataclass(frozen=True)
class Step:
    """Something the reader does, and what the page shows of its output."""

    command: str
    output: str
    change: str = ""
    """A patch, which is applied to the files below the current folder."""


def read_steps(page: str) -> list[Step]:
    """The steps of a page, in order."""
    steps: list[Step] = []
    for kind, block in _BLOCK.findall(page):
        if kind == "diff":
            steps.append(Step("patch -p1", "...", block))
            continue
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            count = 1 + next((i for i, line in enumerate(lines[1:]) if not line.startswith("> ")), len(lines) - 1)
            command = "\n".join([lines[0], *(line[2:] for line in lines[1:count])])
            steps.append(Step(command, "\n".join(lines[count:])))
    return steps


def follow(steps: list[Step], folder: Path, environ: Mapping[str, str]) -> None:
    """Do the steps, each in the folder where the one before it ended.

    Raises:
        AssertionError: a command printed something else; the message shows both.
        ProcessFailedError: a command failed.
    """
    for step in steps:
        script = f"set -e\n{step.command}\nprintf '\\n{_CWD}%s' \"$PWD\"\n"
        output = run(["bash", "-c", f"{{\n{script}}} 2>&1"], cwd=folder, env=environ, stdin=step.change).stdout
        said, _, where = output.rpartition(f"\n{_CWD}")
        folder = type(folder)(where)
        if not _agree(step.output, said):
            both = f"the page:\n{textwrap.indent(step.output, '  ')}\nthe program:\n{textwrap.indent(said, '  ')}"
            message = f"$ {step.command}\nprints something else\n{both}"
            raise AssertionError(message)


def _agree(expected: str, found: str) -> bool:
    checker = doctest.OutputChecker()
    return checker.check_output(f"{expected.strip()}\n", f"{found.strip()}\n", doctest.ELLIPSIS)
