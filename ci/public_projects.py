"""Build public projects from their own sources, with nothing changed but a pyproject.toml.

python ci/public_projects.py NAME=FOLDER ... [--init] [-C KEY=VALUE] [--json]

FOLDER is a checkout of the project; a copy of it is built with `ci/public/NAME.toml` as its pyproject.toml, or with
what `gpuwheel init` makes of its setup.py, by pip and without isolation (this environment has gpuwheel), and the wheel
is audited. Nothing is fetched but the toolchain.
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

PROJECTS = Path(__file__).resolve().parent / "public"


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
    known = sorted(path.stem for path in PROJECTS.glob("*.toml"))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, epilog=f"known: {', '.join(known)}"
    )
    parser.add_argument("projects", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--init", action="store_true", help="let gpuwheel init write pyproject.toml, of any project")
    parser.add_argument(
        "-C", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="as for pip wheel"
    )
    parser.add_argument("--json", action="store_true", help="print a document instead of a table")
    options = parser.parse_args()
    outcomes = []
    for word in options.projects:
        name, _, folder = word.partition("=")
        if not (options.init or name in known) or not Path(folder).is_dir():
            parser.error(f"{word}: expected NAME=FOLDER with a known name and a folder that exists")
        outcomes.append(build(name, Path(folder), init=options.init, settings=options.settings))
        if not options.json:
            print(_line(outcomes[-1]), flush=True)
    if options.json:
        print(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))
    return 0 if all(outcome.ok for outcome in outcomes) else 1


def build(name: str, folder: Path, *, init: bool, settings: Sequence[str]) -> Outcome:
    """Build a copy of `folder` with the pyproject.toml of `name`, or with that of `gpuwheel init`."""
    with tempfile.TemporaryDirectory() as scratch:
        project, out = Path(scratch, "project"), Path(scratch, "out")
        shutil.copytree(folder, project, symlinks=True, ignore=shutil.ignore_patterns(".git", "build", "out"))
        if init:
            run([sys.executable, "-m", "gpuwheel", "init", project], env=dict(os.environ))
        else:
            shutil.copy(PROJECTS / f"{name}.toml", project / "pyproject.toml")
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
