"""Build every wheel of public projects on torch's C++ ABI, from their own sources, and install and import each.

python ci/public_matrix.py NAME=FOLDER ... [--torchs 2.13,2.14] [--pythons 3.11,3.12] [--results FILE]

FOLDER is a checkout of the project; a copy of it with `ci/public/NAME.toml` as its pyproject.toml goes through
`gpuwheel build --test smoke`. The figures go into the file of results, where those of other projects stay; nothing of a
project does.
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
from typing import Any

from public_projects import PROJECTS

from gpuwheel._files import atomic_file
from gpuwheel._run import run

WORDS = {True: "passed", False: "FAILED", None: "not tried"}
RESULTS = PROJECTS / "results" / "matrix.json"


@dataclass(frozen=True)
class Outcome:
    """What became of one project."""

    project: str
    commit: str
    """Of its checkout."""
    gpuwheel: str
    """Commit of this one."""
    date: str
    seconds: float
    """By the clock on the wall, trials and what they download included."""
    cells: tuple[dict[str, Any], ...]
    """Each with its wheel, size, CPU seconds, how many sources were compiled and taken from the cache, and trials."""

    @property
    def ok(self) -> bool:
        """Whether there are wheels, and all were imported where they were installed."""
        # `None`: that Python is not on this machine.
        passed = [[t["passed"] for t in cell["trials"] if t["passed"] is not None] for cell in self.cells]
        return bool(passed) and all(map(all, passed)) and all(passed) and all(c["state"] == "built" for c in self.cells)


def main() -> int:
    """Build what is named; 1 if one wheel of them cannot be built or imported."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("projects", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--torchs", default="2.13,2.14", help="minors (%(default)s)")
    parser.add_argument("--pythons", default="3.11,3.12", help="minors (%(default)s)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of figures (%(default)s)")
    options = parser.parse_args()
    settings = {
        "gpuwheel.torch": ";".join(f"=={torch}.*" for torch in options.torchs.split(",")),
        "gpuwheel.pythons": options.pythons.replace(",", ";"),
    }
    is_good = True
    for word in options.projects:
        name, _, folder = word.partition("=")
        if not (PROJECTS / f"{name}.toml").is_file() or not Path(folder).is_dir():
            parser.error(f"{word}: expected NAME=FOLDER with a known name and a folder that exists")
        outcome = build(name, Path(folder), settings)
        keep(outcome, options.results)
        print(shown(outcome), flush=True)
        is_good &= outcome.ok
    return 0 if is_good else 1


def build(name: str, folder: Path, settings: dict[str, str]) -> Outcome:
    """Build all wheels of a copy of `folder`."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch, "project")
        shutil.copytree(folder, project, symlinks=True, ignore=shutil.ignore_patterns(".git", "build", "dist", "out"))
        shutil.copy(PROJECTS / f"{name}.toml", project / "pyproject.toml")
        words = [word for key, value in settings.items() for word in ("-C", f"{key}={value}")]
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "gpuwheel",
            "build",
            "--project",
            project,
            "--test",
            "smoke",
            "--json",
            *words,
        ]
        done = run(command, env=dict(os.environ), check=False)
    if not done.stdout:
        sys.exit(f"{name}: no report\n{done.stderr[-3000:]}")
    cells = json.loads(done.stdout)["cells"]
    for cell in cells:
        if cell["error"]:
            print(f"{cell['identifier']}: {cell['error']['message']}", file=sys.stderr)
    return Outcome(
        name,
        _commit(folder),
        _commit(Path(__file__).parent),
        time.strftime("%Y-%m-%d", time.gmtime()),
        round(time.perf_counter() - start, 1),
        tuple(map(_figures, cells)),
    )


def _figures(cell: dict[str, Any]) -> dict[str, Any]:
    kept = {name: cell[name] for name in ("identifier", "state", "wheel", "size", "seconds", "cpu_seconds")}
    trials = [{"name": trial["name"], "passed": trial["passed"]} for trial in cell["trials"]]
    return {**kept, "compiled": len(cell["sources"]), "from_cache": len(cell["reused"]), "trials": trials}


def _commit(folder: Path) -> str:
    return run(["git", "rev-parse", "--short", "HEAD"], cwd=folder, env=dict(os.environ)).stdout.strip()


def keep(outcome: Outcome, path: Path) -> None:
    """Put it into the file of results, in place of what it has of that project."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        file.write((json.dumps({**known, outcome.project: asdict(outcome)}, indent=2, sort_keys=True) + "\n").encode())


def shown(outcome: Outcome) -> str:
    """A line for each cell."""
    lines = [f"{outcome.project} at {outcome.commit}: {outcome.seconds} s{'' if outcome.ok else '  NOT ALL GOOD'}"]
    for cell in outcome.cells:
        tried = ", ".join(f"{trial['name']} {WORDS[trial['passed']]}" for trial in cell["trials"])
        counts = f"{cell['compiled']} compiled, {cell['from_cache']} from the cache"
        lines.append(f"  {cell['wheel'] or cell['identifier']}: {cell['cpu_seconds']} CPU s, {counts}; {tried}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
