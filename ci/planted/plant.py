"""Are mistakes in kernels seen? Mutants of real kernels, drawn by seed, are executed with all checks.

A mutant is *reported* (a check says so), *wrong* (no report, but the values differ from NumPy's: a test would fail), or
*missed*. Not counted: those that do not compile, those whose PTX is the same as without the mistake (the compiler
proves them equivalent), and those of equivalents.toml, each with a written proof. Unchanged kernels have to be silent.

  python ci/planted/plant.py                    # 14 of each family by seed 1; the result goes to ci/planted/results
  python ci/planted/plant.py --seed 2 --each 5 --no-result
  python ci/planted/plant.py --names barrier    # those drawn whose family or name has this in it
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
import time
import zlib
from collections import Counter
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from bench import Bench
from drawing import ROOT, SUBJECTS, Mutant, Subject, draw, everything
from trials import TRIALS

from gpuwheel._files import atomic_file
from gpuwheel._toml import read_toml
from gpuwheel.testing.ptx.executor import Executor

sys.path.insert(0, str(ROOT / "tests"))
from cuda_ptx import compile_to_ptx  # (shared with the tests, which are no package)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bench import Outcome

    from gpuwheel.testing.ptx.executor import LoadedModule

RESULTS = ROOT / "ci" / "planted" / "results"
TRIES = 5  # trials of a mutant, each with other sizes
TARGET = 0.95
BATCH = 12  # sources that NVRTC compiles at once


@cache
def executor() -> Executor:
    """With all checks."""
    return Executor()


@cache
def original(subject: Subject) -> tuple[str, LoadedModule]:
    """The PTX of a subject as it is, and its module."""
    ((text, log),) = compile_to_ptx([ROOT / subject.folder / subject.source])
    if text is None:
        raise SystemExit(log)
    return plain(text), executor().load(text)


def plain(text: str) -> str:
    """A PTX without what says where it is from."""
    text = text.partition("\t.section\t.debug")[0].partition("\t.file\t")[0]
    text = re.sub(r"\d+_INTERNAL_\w+?_cu_[0-9a-f]{8}_\d+", "_INTERNAL_", text)  # it holds a hash of the path
    return re.sub(r"^\s*(?:\.loc|//|\.file)[^\n]*\n|//[^\n]*", "", text, flags=re.MULTILINE)


def mutated(mutants: Sequence[Mutant]) -> Iterator[tuple[Mutant, str | None]]:
    """The PTX of each, None where it does not compile."""
    with tempfile.TemporaryDirectory() as made:
        sources = []
        for number, mutant in enumerate(mutants):
            folder = Path(made) / str(number)
            shutil.copytree(ROOT / mutant.subject.folder, folder)
            path = folder / mutant.file
            text = path.read_text(encoding="utf-8")
            if mutant.edit is not None:
                path.write_text(
                    text[: mutant.edit.start] + mutant.edit.text + text[mutant.edit.end :], encoding="utf-8"
                )
            sources.append(folder / mutant.subject.source)
        compiled = compile_to_ptx(sources, threads=2)
        yield from ((mutant, text) for mutant, (text, _) in zip(mutants, compiled, strict=True))


def try_out(subject: Subject, module: LoadedModule, number: int, mistake: tuple[str, int] | None = None) -> Outcome:
    """One trial, of sizes that follow from its number."""
    bench = Bench(executor(), module, mistake)
    TRIALS[subject.name](bench, np.random.default_rng([zlib.crc32(subject.name.encode()), number]))
    return bench.finish()


def verdict(mutant: Mutant, module: LoadedModule) -> dict[str, Any] | None:
    """What came of a mutant; None: the trial does not make this mistake of the host."""
    mistake = (mutant.operator, mutant.host) if mutant.edit is None else None
    outcomes = [try_out(mutant.subject, module, number, mistake) for number in range(TRIES)]
    if mistake and not any(outcome.made for outcome in outcomes):
        return None
    kinds = sorted({kind for outcome in outcomes for kind in outcome.kinds})
    right = all(outcome.right for outcome in outcomes)
    said = "reported" if kinds else "missed" if right else "wrong"
    return {
        "name": mutant.name,
        "family": mutant.family,
        "before": " ".join(mutant.before.split()),
        "after": " ".join(mutant.edit.text.split()) if mutant.edit else "",
        "verdict": said,
        "kinds": kinds,
        "right": right,
    }


def judged(drawn: Sequence[Mutant], each: int) -> Iterator[dict[str, Any]]:
    """The first `each` of every family that are mistakes, in the order in which they were drawn."""
    proofs = read_toml(ROOT / "ci" / "planted" / "equivalents.toml")["equivalent"]
    skipped = {proof["name"] for proof in proofs}
    stale = skipped - {mutant.name for mutant in everything()}
    if stale:
        msg = f"equivalents.toml has proofs for what is no longer there: {', '.join(sorted(stale))}"
        raise SystemExit(msg)
    for family in dict.fromkeys(mutant.family for mutant in drawn):
        waiting = [mutant for mutant in drawn if mutant.family == family]
        count = 0
        while waiting and count < each:
            batch, waiting = waiting[:BATCH], waiting[BATCH:]
            sources = dict(mutated([mutant for mutant in batch if mutant.edit is not None]))
            for mutant in batch:
                text = sources.get(mutant)
                usual, module = original(mutant.subject)
                if mutant.name in skipped or count == each:
                    continue
                if mutant.edit is not None:
                    if text is None or plain(text) == usual:
                        continue
                    module = executor().load(text)
                found = verdict(mutant, module)
                if found is not None:
                    count += 1
                    yield found


def twins(launches: int) -> dict[str, int]:
    """Trials of the kernels as they are, until so many launches were made; which of them were not silent and right."""
    made, number, bad = 0, 0, Counter[str]()
    while made < launches:
        for subject in SUBJECTS:
            outcome = try_out(subject, original(subject)[1], number)
            made += outcome.launches
            if outcome.kinds or not outcome.right:
                bad[f"{subject.name} #{number}: {', '.join(outcome.kinds) or 'wrong values'}"] += 1
        number += 1
    return {"launches": made, "not silent": len(bad), **bad}


def summary(found: Iterable[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """How many of each family had which verdict, and of all."""
    table: dict[str, Counter[str]] = {"all": Counter()}
    for one in found:
        table.setdefault(one["family"], Counter())[one["verdict"]] += 1
        table["all"][one["verdict"]] += 1
    return {family: dict(counts) for family, counts in table.items()}


def main(argv: list[str] | None = None) -> int:
    """Draw, try, and write down; 1 if fewer than 95 % were caught or a correct kernel was not silent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=14, help="of each family (default: %(default)s)")
    parser.add_argument("--launches", type=int, default=1000, help="of correct kernels (default: %(default)s)")
    parser.add_argument("--names", default="", help="only those with this in family or name")
    parser.add_argument("--no-result", action="store_true")
    options = parser.parse_args(argv)
    begin = time.monotonic()
    correct = twins(options.launches)
    print(json.dumps(correct), flush=True)
    drawn = [one for one in draw(options.seed, options.each) if options.names in f"{one.family} {one.name}"]
    found = []
    for one in judged(drawn, options.each):
        found.append(one)
        print(f"{one['verdict']:9} {one['family']:13} {one['name']}  {', '.join(one['kinds'])}", flush=True)
    counts = summary(found)
    caught = 1 - counts["all"].get("missed", 0) / max(1, len(found))
    document = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "seed": options.seed,
        "each": options.each,
        "seconds": round(time.monotonic() - begin),
        "correct": correct,
        "mutants": len(found),
        "caught": round(caught, 4),
        "families": counts,
        "found": found,
    }
    if not options.no_result:
        with atomic_file(RESULTS / f"{document['date']}-seed-{options.seed}.json") as file:
            file.write((json.dumps(document, indent=1) + "\n").encode())
    print(json.dumps({key: document[key] for key in ("mutants", "caught", "families", "seconds")}))
    return int(caught < TARGET or correct["not silent"] > 0)


if __name__ == "__main__":
    sys.exit(main())
