"""Build public projects from their own sources, with nothing changed but a pyproject.toml.

python ci/public_projects.py FOLDER ... [-C KEY=VALUE] [--json]

FOLDER is a checkout of the project; a copy of it is built with what `gpuwheel init` makes of its setup.py, by pip and
without isolation (this environment has gpuwheel), and the wheel is audited. Nothing is fetched but the toolchain, and
nothing of a project is kept but its figures.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._run import run
from gpuwheel.audit import audit_wheel
from gpuwheel.compatibility import load_tables
from gpuwheel.model.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Outcome:
    """What became of one project."""

    project: str
    wheel: str
    """File name; empty if the build failed."""
    size: int
    """Bytes."""
    seconds: float
    findings: tuple[str, ...]
    """Errors of the audit."""
    said: str
    """The end of the output of a build that failed."""

    @property
    def ok(self) -> bool:
        """Whether there is a wheel that holds what it claims."""
        return bool(self.wheel) and not self.findings


def main() -> int:
    """Build what is named; 1 if one of them cannot be built."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("projects", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument(
        "-C", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="as for pip wheel"
    )
    parser.add_argument("--json", action="store_true", help="print a document instead of a table")
    options = parser.parse_args()
    outcomes = []
    for folder in options.projects:
        if not folder.is_dir():
            parser.error(f"{folder}: expected a folder that exists")
        outcomes.append(build(folder, settings=options.settings))
        if not options.json:
            print(_line(outcomes[-1]), flush=True)
    if options.json:
        print(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))
    return 0 if all(outcome.ok for outcome in outcomes) else 1


def build(folder: Path, *, settings: Sequence[str]) -> Outcome:
    """Build a copy of `folder` with the pyproject.toml of `gpuwheel init`."""
    name = folder.resolve().name
    with tempfile.TemporaryDirectory() as scratch:
        project, out = Path(scratch, "project"), Path(scratch, "out")
        shutil.copytree(folder, project, symlinks=True, ignore=shutil.ignore_patterns(".git", "build", "out"))
        run([sys.executable, "-m", "gpuwheel", "init", project], env=dict(os.environ))
        start = time.perf_counter()
        pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
        words = [word for setting in settings for word in ("-C", setting)]
        done = run([*pip, *words, "--wheel-dir", out, project], env=dict(os.environ), check=False)
        seconds = round(time.perf_counter() - start, 1)
        if done.returncode != 0:
            return Outcome(name, "", 0, seconds, (), done.output[-2000:])
        (wheel,) = out.iterdir()
        errors = tuple(
            f"{finding.subject} {finding.problem}"
            for finding in audit_wheel(wheel, load_tables())
            if finding.severity is Severity.ERROR
        )
        return Outcome(name, wheel.name, wheel.stat().st_size, seconds, errors, "")


def _line(outcome: Outcome) -> str:
    if not outcome.wheel:
        return f"{outcome.project}: not built after {outcome.seconds} s\n{outcome.said}"
    verdict = "; ".join(outcome.findings) or "holds what it claims"
    return f"{outcome.project}: {outcome.wheel}, {outcome.size:,} bytes, {outcome.seconds} s: {verdict}"


if __name__ == "__main__":
    sys.exit(main())
