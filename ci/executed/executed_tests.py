"""Every GPU test of the sample and of the templates, on the pretend GPU, by PTX of each arch and beside each torch.

python ci/executed/executed_tests.py                    # each arch beside the newest torch, one beside each other
python ci/executed/executed_tests.py --every-pair       # each arch beside each torch
python ci/executed/executed_tests.py --projects sample --archs 9.0 --torch 2.12 --no-result
python ci/executed/executed_tests.py --draw 1 --seed 1  # one of all pairs; no result

A cell is wrong where a test fails, where one is skipped that needs no hardware, where the checks find a mistake, or
where a kernel, each instantiation for itself, was not launched. Each goes into the result of the day and of the commit
in ci/executed/results, and into docs/reference/executed.md: parts of a run may follow each other.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from collections import Counter
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cells import PROJECTS, ROOT, Cell, Outcome, Workshop
from packaging.version import Version

from gpuwheel._files import atomic_file
from gpuwheel._run import run
from gpuwheel.compatibility import load_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

RESULTS = ROOT / "ci" / "executed" / "results"
PAGE = ROOT / "docs" / "reference" / "executed.md"
EACH_TORCH = "8.0"  # the arch that is tried beside each torch: that of CI's own build of the templates
FEW, MANY = {"nvcc": 2}, 132
"""Multiprocessors: as few as in CI that gpuwheel writes (1 where not named), so that blocks turn; as in an H100."""
NO_CUDA = {"2.13"}
"""Minors whose CUDA build an index may hide behind a CPU build of the same number: not tried."""
HEAD = """\
<!-- Written by ci/executed/executed_tests.py (nox -s executed). -->

# Executed tests

All GPU tests of the sample and of each template with kernels, as `gpuwheel new` writes it, on the
[pretend GPU](../how-to/test-without-a-gpu.md): `pytest -m gpu --fake-gpu --fake-gpu-driver 13.0`, with all checks. Each
wheel had PTX of one arch, which is what was executed; torch was a CUDA build, NVIDIA's libraries were stubs, and there
was no GPU. *device*: its multiprocessors; on few, blocks do more turns. *kernels*: those that were launched, of all in
the wheel; each instantiation of a template counts for itself. *reports*: what the
[checks](../explanation/kernel-checks.md) found.
"""


def releases() -> list[str]:
    """Of torch: the newest of each minor from the floor of the stable ABI on, oldest first."""
    tables = load_tables()
    rows = [row for version, row in sorted(tables.torch.items()) if version >= tables.torch_floor]
    return [row.release for row in rows if str(row.version) not in NO_CUDA]


def cross(projects: Sequence[str], torches: Sequence[str]) -> Iterator[Cell]:
    """Each arch beside the newest torch on a small device, and one arch beside each of the others on a large one."""
    for project in projects:
        yield from (Cell(project, arch, torches[-1], FEW.get(project, 1)) for arch in PROJECTS[project])
        yield from (Cell(project, EACH_TORCH, torch, MANY) for torch in torches[:-1])


def every_pair(projects: Sequence[str], torches: Sequence[str]) -> Iterator[Cell]:
    """Each arch beside each torch."""
    for project in projects:
        few = FEW.get(project, 1)
        yield from (Cell(project, arch, torch, few) for arch in PROJECTS[project] for torch in torches)


def cells(options: argparse.Namespace) -> list[Cell]:
    """Those that the options leave."""
    pairs = every_pair if options.every_pair or options.draw or options.archs else cross
    found = [
        cell
        for cell in pairs(options.projects, releases())
        if (not options.archs or cell.arch in options.archs)
        and (not options.torch or cell.torch.startswith(tuple(f"{minor}." for minor in options.torch)))
    ]
    if not options.draw:
        return found
    return random.Random(options.seed).sample(found, options.draw)  # noqa: S311 (to be repeated)


def state_of_code() -> str:
    """The commit, and whether anything but results has changed since."""
    besides = (":!ci/executed/results", f":!{PAGE.relative_to(ROOT)}")
    status = run(["git", "-C", ROOT, "status", "--porcelain", "--", ".", *besides]).stdout
    commit = run(["git", "-C", ROOT, "rev-parse", "HEAD"]).stdout.strip()
    return commit + (" with changes" if status.strip() else "")


def keep(outcome: Outcome, commit: str) -> None:
    """Put an outcome into the result of the day, beside others of the same commit, and write the page."""
    path = RESULTS / f"{datetime.now(timezone.utc):%Y-%m-%d}.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    kept = [Outcome(**cell) for cell in found["cells"]] if found.get("commit") == commit else []
    kept = [each for each in kept if each.cell != outcome.cell] + [outcome]
    order = [*PROJECTS]
    kept.sort(key=lambda each: (order.index(each.project), Version(each.torch), Version(each.arch)))
    result = {
        "schema": 1,
        "date": path.stem,
        "commit": commit,
        "cores": len(os.sched_getaffinity(0)),
        "tests": sum(each.passed for each in kept),
        "wrong": sum(any(each.wrong()) for each in kept),
        "cells": [asdict(each) for each in kept],
    }
    RESULTS.mkdir(exist_ok=True)
    with atomic_file(path) as file:
        file.write((json.dumps(result, indent=1) + "\n").encode())
    PAGE.write_text(page(result), encoding="utf-8")


def page(result: Mapping[str, Any]) -> str:
    """The page of the reference that shows a result."""
    lines = [
        "| project | PTX | torch | device | passed | skipped | failed | reports | kernels | launches | seconds |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    reasons: Counter[str] = Counter()
    for cell in result["cells"]:
        reasons.update(cell["skipped"])
        kernels = f"{cell['kernels'] - len(cell['never'])} of {cell['kernels']}"
        tests = f"{cell['passed']:,} | {sum(cell['skipped'].values())} | {cell['failed']} | {cell['reports']}"
        what = f"| `{cell['project']}` | {cell['arch']} | {cell['torch']} | {cell['multiprocessors']}"
        lines.append(f"{what} | {tests} | {kernels} | {cell['launches']:,} | {cell['seconds']:.0f} |")
    shares = (f"- {reason} ({count})" for reason, count in sorted(reasons.items()))
    run_by = f"{result['date'][:10]}, commit {result['commit'][:10]}, `nox -s executed`, {result['cores']} cores"
    return "\n".join([HEAD, *lines, "", "Skipped, in all rows:", "", *shares, "", f"Run: {run_by}.", ""])


def main(argv: Sequence[str] | None = None) -> int:
    """Go through the cells; 1 if one is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--projects", nargs="+", choices=PROJECTS, default=list(PROJECTS), metavar="NAME")
    parser.add_argument("--archs", nargs="+", metavar="X.Y", help="only PTX of these")
    parser.add_argument("--torch", nargs="+", metavar="X.Y", help="only these minors")
    parser.add_argument("--every-pair", action="store_true", help="each arch beside each torch")
    parser.add_argument("--draw", type=int, metavar="N", help="N of all pairs, and no result")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-result", action="store_true", help="leave no result")
    options = parser.parse_args(argv)
    commit, wrong_cells = state_of_code(), 0
    with tempfile.TemporaryDirectory(prefix="gpuwheel-executed-") as folder:
        workshop = Workshop(Path(folder))
        for cell in cells(options):
            outcome = workshop.outcome(cell)
            wrong = list(outcome.wrong())
            wrong_cells += bool(wrong)
            counts = f"{outcome.passed} passed, {sum(outcome.skipped.values())} skipped, {outcome.launches} launches"
            print(f"{cell}: {'wrong' if wrong else 'good'} ({counts}, {outcome.seconds:.0f} s)", flush=True)
            for line in wrong:
                print(f"  {line}", flush=True)
            if not (options.no_result or options.draw):
                keep(outcome, commit)
    return int(wrong_cells > 0)


if __name__ == "__main__":
    sys.exit(main())
