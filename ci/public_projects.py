"""Build public projects from their own sources, with nothing changed but a pyproject.toml.

python ci/public_projects.py FOLDER ... [-C KEY=VALUE] [--json] [-- COMMAND]

FOLDER is a checkout of the project; a copy of it is built with what `gpuwheel init` makes of its setup.py, by pip and
without isolation (this environment has gpuwheel), and the wheel is audited. COMMAND then runs in that copy, with the
wheel on PYTHONPATH: its own tests, for example, `PYTHON -m pytest -p gpuwheel.testing.plugin --fake-gpu tests`
with the Python of an environment that has a CUDA build of torch. Nothing is fetched but the toolchain, and nothing of a
project is kept but its figures.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._run import run
from gpuwheel.audit import audit_wheel
from gpuwheel.compatibility import load_tables
from gpuwheel.model.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[1]


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
    """The end of the output: of a build that failed, or of the command."""
    status: int = 0
    """Of the command."""
    command_seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether there is a wheel that holds what it claims, with which the command ends well."""
        return bool(self.wheel) and not self.findings and self.status == 0


def main() -> int:
    """Build what is named; 1 if one of them cannot be built."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("projects", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument(
        "-C", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="as for pip wheel"
    )
    parser.add_argument("--json", action="store_true", help="print a document instead of a table")
    words = sys.argv[1:]
    at = words.index("--") if "--" in words else len(words)
    options, command = parser.parse_args(words[:at]), words[at + 1 :]
    outcomes = []
    for folder in options.projects:
        if not folder.is_dir():
            parser.error(f"{folder}: expected a folder that exists")
        outcomes.append(build(folder, settings=options.settings, command=command))
        if not options.json:
            print(_line(outcomes[-1]), flush=True)
    if options.json:
        print(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))
    return 0 if all(outcome.ok for outcome in outcomes) else 1


def build(folder: Path, *, settings: Sequence[str], command: Sequence[str] = ()) -> Outcome:
    """Build a copy of `folder` with the pyproject.toml of `gpuwheel init`, and run `command` in it."""
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
        outcome = Outcome(name, wheel.name, wheel.stat().st_size, seconds, errors, "")
        return _with_command(outcome, wheel, project, command) if command else outcome


def _with_command(outcome: Outcome, wheel: Path, project: Path, command: Sequence[str]) -> Outcome:
    layer = wheel.parent / "layer"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(layer)
    path = os.pathsep.join([str(layer), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    start = time.perf_counter()
    done = run(command, cwd=project, env={**os.environ, "PYTHONPATH": path}, check=False)
    seconds = round(time.perf_counter() - start, 1)
    return replace(outcome, said=done.output[-2000:], status=done.returncode, command_seconds=seconds)


def _line(outcome: Outcome) -> str:
    if not outcome.wheel:
        return f"{outcome.project}: not built after {outcome.seconds} s\n{outcome.said}"
    verdict = "; ".join(outcome.findings) or "holds what it claims"
    line = f"{outcome.project}: {outcome.wheel}, {outcome.size:,} bytes, {outcome.seconds} s: {verdict}"
    if not outcome.said:
        return line
    return f"{outcome.said}\n{line}; its command ended with {outcome.status} after {outcome.command_seconds} s"


if __name__ == "__main__":
    sys.exit(main())
