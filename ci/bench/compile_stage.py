"""Where the time goes when gpuwheel builds a project in which nothing changed. Run in the project's folder.

python compile_stage.py          # a table
python compile_stage.py --json   # one line, seconds

The project must have been built before; the fastest of several turns counts, the first is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

_started = time.perf_counter()
from gpuwheel.model.reporter import SilentReporter  # noqa: E402 (the import is measured)
from gpuwheel.pipeline import Build  # noqa: E402

IMPORT_S = time.perf_counter() - _started

TURNS = 5
# What the pipeline says when a stage begins -> the stage's name here.
STAGES = {
    "finding the toolchain": "toolchain",
    "compiling kernels": "device",
    "compiled code did not change": "host",
    "checking what was linked": "check and pack",
}


class Stopwatch(SilentReporter):
    """Notes when each stage begins."""

    def __init__(self) -> None:
        self.marks = [("configuration", time.perf_counter())]

    def step(self, text: str) -> None:
        """A stage begins, or the build says its last word."""
        name = next((name for start, name in STAGES.items() if text.startswith(start)), "")
        if name:
            self.marks.append((name, time.perf_counter()))

    def seconds(self) -> dict[str, float]:
        """Stage -> what it took; call when the build is finished."""
        ends = [*(start for _, start in self.marks[1:]), time.perf_counter()]
        taken: dict[str, float] = {}
        for (name, start), end in zip(self.marks, ends, strict=True):
            taken[name] = taken.get(name, 0.0) + end - start
        missing = set(STAGES.values()) - set(taken)
        if missing:
            message = f"no stage {', '.join(sorted(missing))} was seen: was the project built before, unchanged?"
            raise SystemExit(message)
        return taken


def main() -> int:
    """Build several times, print the fastest turn of each stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    as_json = parser.parse_args().json
    turns = [_turn() for _ in range(TURNS + 1)][1:]
    figures = {stage: min(turn[stage] for turn in turns) for stage in turns[0]}
    figures = {"import": IMPORT_S, **figures}
    if as_json:
        print(json.dumps(figures))
    else:
        for name, seconds in figures.items():
            print(f"{name:16} {seconds * 1000:8.1f} ms")
    return 0


def _turn() -> dict[str, float]:
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as out:
        Build(Path.cwd(), os.environ, {}, watch).wheel(Path(out))
    return watch.seconds()


if __name__ == "__main__":
    raise SystemExit(main())
