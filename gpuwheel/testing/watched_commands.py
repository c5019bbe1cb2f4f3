"""A command on the pretend GPU that executes, and what its processes did wrong there."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._files import write_if_changed
from gpuwheel._run import run_in_terminal
from gpuwheel.testing.ptx.reports import as_annotations, as_json, as_text
from gpuwheel.testing.said_mistakes import launches_in, mistakes_of, read_facts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["run_watched"]

_FOLDER = "GPUWHEEL_FAKE_GPU_REPORTS"
_FAILED = 1


def run_watched(program: str, words: Sequence[str], environ: Mapping[str, str], report: Path | None) -> int:
    """Run a command with our terminal, and say on stderr what it and its children did wrong.

    Args:
        program: the file to run.
        words: its arguments, the first of which is its name.
        environ: of a process that sees the pretend GPU.
        report: a file for the mistakes, the exit status and the number of launches, as JSON.

    Returns:
        Its exit status; 1 if that is 0 and there are mistakes; 128 and the number of the signal that ended it.

    Raises:
        FileNotFoundError: there is no such program.
    """
    with tempfile.TemporaryDirectory(prefix="gpuwheel-reports-") as folder:
        status = run_in_terminal([program, *words[1:]], {**environ, _FOLDER: folder})
        # A pytest has a folder of its own within, and removes it at its end, unless it was killed.
        folders = [Path(folder), *(path for path in Path(folder).iterdir() if path.is_dir())]
        mistakes = mistakes_of(fact for each in folders for fact in read_facts(each))
        executed = launches_in(Path(folder))
    if report is not None:
        document = {**json.loads(as_json(mistakes)), "status": status, "executed": executed}
        write_if_changed(report, json.dumps(document, indent=2).encode())
    if mistakes:
        sys.stderr.write(f"gpuwheel: the pretend GPU reports:\n{as_text(mistakes)}\n")
        if environ.get("GITHUB_ACTIONS") == "true":
            sys.stdout.write(as_annotations(mistakes) + "\n")
    return status or (_FAILED if mistakes else 0)
