"""Break the code of keys, audit, cache and binary readers in small ways, one at a time; a test has to notice each.

A mutant is one text of one file, replaced. The tests named beside it run on a copy of the package; if they pass,
it *survives*: nobody would notice that mistake. All tests named here are a part of what `nox -s tests` runs.

  python ci/mutants.py                # all of them, two at a time: some minutes; the exit code is 1 if one survives
  python ci/mutants.py seals audit    # those whose file or number has this in its name
  python ci/mutants.py --draw 12      # so many of them, drawn by --seed
  python ci/mutants.py --list
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

from gpuwheel._run import run
from gpuwheel._toml import read_toml

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "ci" / "mutants.toml"
COPIED = ("gpuwheel", "templates", "tests", "ci", "docs", "pyproject.toml", "README.md", "noxfile.py", "CHANGELOG.md")
LONGEST = 120.0  # seconds of the tests of one mutant: a mutant that hangs is noticed too


@dataclass(frozen=True)
class Mutant:
    """One mistake."""

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]

    def problem(self) -> str | None:
        """Why it can no longer be made."""
        count = (ROOT / self.file).read_text(encoding="utf-8").count(self.before)
        return None if count == 1 else f"{self.name}: {self.file} has {self.before!r} {count} times (expected once)"


def read_mutants() -> list[Mutant]:
    """Those of the table, in its order."""
    document = read_toml(TABLE)
    found = []
    for group in document["file"]:
        for number, (before, after) in enumerate(group["mutants"], 1):
            name = f"{Path(group['path']).stem}-{number}"
            found.append(Mutant(name, group["path"], before, after, tuple(group["tests"])))
    return found


class Copies:
    """Copies of the project, each for one mutant at a time."""

    def __init__(self, folder: Path, count: int) -> None:
        self.free: Queue[Path] = Queue()
        for number in range(count):
            copy = folder / str(number)
            copy.mkdir()
            for name in COPIED:
                source = ROOT / name
                if source.is_dir():
                    shutil.copytree(source, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
                elif source.is_file():
                    shutil.copy(source, copy / name)
            self.free.put(copy)

    def outcome(self, tests: tuple[str, ...], mutant: Mutant | None = None) -> tuple[bool, str]:
        """Whether the tests pass on a copy, and what they said."""
        copy = self.free.get()
        path = None if mutant is None else copy / mutant.file
        whole = "" if path is None else path.read_text(encoding="utf-8")
        try:
            if path is not None and mutant is not None:
                path.write_text(whole.replace(mutant.before, mutant.after), encoding="utf-8")
            environ = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
            words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly", *tests]
            done = run(words, cwd=copy, env=environ, check=False, timeout=LONGEST)
        except TimeoutError as error:
            return False, str(error)
        else:
            return done.returncode == 0, done.output
        finally:
            if path is not None:
                path.write_text(whole, encoding="utf-8")
            self.free.put(copy)


def main(argv: list[str] | None = None) -> int:
    """Try the mutants that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="parts of names")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--draw", type=int, metavar="N", help="try N of them")
    parser.add_argument("--seed", type=int, default=1, help="of that draw (default: %(default)s)")
    parser.add_argument("--list", action="store_true", dest="listed", help="name them, and try none")
    options = parser.parse_args(argv)
    mutants = [one for one in read_mutants() if not options.words or any(word in one.name for word in options.words)]
    if options.draw is not None:
        drawn = random.Random(options.seed).sample(mutants, min(options.draw, len(mutants)))  # noqa: S311 (no secret)
        mutants = [one for one in mutants if one in drawn]
    if options.listed:
        for mutant in mutants:
            print(f"{mutant.name:24} {mutant.before.strip()!r} -> {mutant.after.strip()!r}")
        return 0
    problems = [problem for mutant in mutants if (problem := mutant.problem())]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:
        copies = Copies(Path(folder), options.jobs)
        suites = sorted({mutant.tests for mutant in mutants})
        for tests, (passed, said) in zip(suites, pool.map(copies.outcome, suites), strict=True):
            if not passed:
                problems.append(f"{' '.join(tests)} fail without any mutant:\n{said}")
        if problems:
            print("\n".join(problems), file=sys.stderr)
            return 2
        survivors = []
        outcomes = pool.map(lambda one: copies.outcome(one.tests, one), mutants)
        for mutant, (survived, _) in zip(mutants, outcomes, strict=True):
            print(f"{'SURVIVES' if survived else 'killed':9} {mutant.name}", flush=True)
            if survived:
                survivors.append(mutant)
    print(json.dumps({"mutants": len(mutants), "survivors": [mutant.name for mutant in survivors]}))
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
