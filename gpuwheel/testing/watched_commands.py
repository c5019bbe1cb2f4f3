"""A command on the pretend GPU that executes, and what its processes did wrong there."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._files import write_if_changed
from gpuwheel.testing.ptx.reports import as_annotations, as_json, as_text
from gpuwheel.testing.said_mistakes import mistakes_of, read_facts

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
        report: a file for the mistakes, as JSON.

    Returns:
        Its exit status; 1 if that is 0 and there are mistakes; 128 and the number of the signal that ended it.
    """
    with tempfile.TemporaryDirectory(prefix="gpuwheel-reports-") as folder:
        child = os.posix_spawn(program, [*words], {**environ, _FOLDER: folder})
        # It has our terminal and group: an interrupt reaches it without us, and it says how it ends.
        before = {
            signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
            signal.SIGTERM: signal.signal(signal.SIGTERM, lambda number, _: os.kill(child, number)),
        }
        try:
            _, status = os.waitpid(child, 0)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        mistakes = mistakes_of(read_facts(Path(folder)))
    code = os.waitstatus_to_exitcode(status)
    if report is not None:
        write_if_changed(report, as_json(mistakes).encode())
    if mistakes:
        sys.stderr.write(f"gpuwheel: the pretend GPU reports:\n{as_text(mistakes)}\n")
        if environ.get("GITHUB_ACTIONS") == "true":
            sys.stdout.write(as_annotations(mistakes) + "\n")
    return code or (_FAILED if mistakes else 0) if code >= 0 else 128 - code
