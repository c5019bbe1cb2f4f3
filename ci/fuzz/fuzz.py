"""Try every reader of outside bytes on files that nobody vouches for.

python ci/fuzz/fuzz.py --seconds 60                         # a slice of each reader; for CI
python ci/fuzz/fuzz.py --inputs 1000000 --resume            # as many together, and 50,000 of each at least
python ci/fuzz/fuzz.py --readers elf,zip --seed 7 --no-result

Two engines: Hypothesis on structures (`structures.py`), and on bytes atheris, guided by coverage, where it is installed
(`pip install atheris`; CPython 3.11 to 3.13), else seeded mutations. A reader may return or raise an error of ours; any
other exception, 256 MB more or 10 s are a failure. What failed becomes a case in `tests/unit/hostile`, made by code.
The result is written to `ci/fuzz/results`, with the commit and the seed; `--resume` goes on with an interrupted run
of the same commit.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import random
import secrets
import sys
import time
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from targets import ROOT, TARGETS, clean_up
from watch import Tally

from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).resolve().parent
STATE = ROOT / "build" / "fuzz"
LEAST = 50_000
"""Inputs of each reader where --inputs is given."""
BYTES_SHARE = 0.7
"""Of the time and the inputs; the rest goes to structures, which take longer to make."""
ROUND = 5_000
"""Inputs of one engine and reader before the next one has its turn."""


class TimeIsUpError(BaseException):
    """Ends Hypothesis, which takes other exceptions for findings."""


def on_structures(tally: Tally, *, seed: int, inputs: int, seconds: float) -> None:
    """Hypothesis; a failure is written down, and the next example tried."""
    import hypothesis  # noqa: PLC0415  # after the arguments are read
    from structures import STRUCTURES  # noqa: PLC0415

    end = time.monotonic() + seconds
    target = TARGETS[tally.reader]

    def one(data: bytes) -> None:
        if time.monotonic() > end:
            raise TimeIsUpError
        tally.try_one(target, data)

    settings = hypothesis.settings(
        max_examples=inputs,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    with suppress(TimeIsUpError):
        hypothesis.seed(seed)(settings(hypothesis.given(STRUCTURES[tally.reader])(one)))()


def on_mutations(tally: Tally, *, seed: int, inputs: int, seconds: float) -> None:
    """Bytes without coverage: what an honest file becomes by a few edits."""
    end, chance = time.monotonic() + seconds, random.Random(seed)  # noqa: S311  # to be repeated
    target = TARGETS[tally.reader]
    for _ in range(inputs):
        if time.monotonic() > end:
            return
        tally.try_one(target, _mutated(chance.choice(target.seeds), chance))


def _mutated(honest: bytes, chance: random.Random) -> bytes:
    data = bytearray(honest)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data) + 1)
        length = chance.choice((1, 2, 4, 8, 32))
        edit = chance.randrange(5)
        if edit == 0:
            data[at : at + 1] = bytes([chance.randrange(256)])
        elif edit == 1:
            data[at : at + length] = chance.choice((b"\0", b"\xff", b"\x80", b"[", b"9")) * length
        elif edit == 2:  # noqa: PLR2004
            del data[at : at + length]
        elif edit == 3:  # noqa: PLR2004
            data[at:at] = data[at : at + length] * chance.choice((1, 2, 100))
        else:
            other = chance.randrange(len(data) + 1)
            data[at : at + length] = data[other : other + length]
    return bytes(data)


def on_coverage(tally: Tally, *, seed: int, inputs: int, seconds: float) -> None:
    """atheris, in a process of its own: libFuzzer ends the process that it runs in."""
    out, corpus = STATE / f"{tally.reader}.json", STATE / "corpus" / tally.reader
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(TARGETS[tally.reader].seeds):
        (corpus / f"seed-{number}").write_bytes(data)
    out.unlink(missing_ok=True)
    words = [str(HERE / "coverage_guided.py"), tally.reader, str(out), str(corpus)]
    limits = [str(inputs), str(int(seconds)), str(seed % 2**31)]
    done = run([sys.executable, *words, *limits], check=False, timeout=seconds + 120)
    if not out.is_file():
        sys.exit(f"the coverage-guided fuzzer of {tally.reader} ended without a result:\n{done.output[-2000:]}")
    tally.add(json.loads(out.read_text(encoding="utf-8")))


def engines() -> dict[str, Callable[..., None]]:
    """Engine -> how it is run; the second is that on bytes."""
    guided = importlib.util.find_spec("atheris") is not None
    on_bytes = {"coverage": on_coverage} if guided else {"mutations": on_mutations}
    return {"structures": on_structures, **on_bytes}


def rounds(tallies: dict[tuple[str, str], Tally], options: argparse.Namespace) -> Iterator[tuple[Tally, int, float]]:
    """(reader and engine, inputs, seconds) of what is tried next, until there is enough of each."""
    if options.inputs is None:
        each = options.seconds / len({reader for reader, _ in tallies})
        for (_, engine), tally in tallies.items():
            yield tally, 10**9, each * (1 - BYTES_SHARE if engine == "structures" else BYTES_SHARE)
        return
    readers = {reader for reader, _ in tallies}
    wanted = max(options.inputs // len(readers), LEAST if options.inputs >= LEAST * len(readers) else 1)
    end = time.monotonic() + (options.seconds or 10**9)
    while True:
        open_ones = []
        for (_, engine), tally in tallies.items():
            missing = int(wanted * (1 - BYTES_SHARE if engine == "structures" else BYTES_SHARE)) + 1 - tally.inputs
            if missing > 0:
                open_ones.append((tally, min(missing, ROUND)))
        left = end - time.monotonic()
        if not open_ones or left <= 0:
            return
        tally, inputs = min(open_ones, key=lambda one: one[0].inputs)  # what was tried least
        yield tally, inputs, min(left, 600)


def main() -> int:
    """Fuzz; the exit status is 1 if a reader failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, help="time for all readers together; 60 unless --inputs is given")
    parser.add_argument("--inputs", type=int, help="inputs of all readers together")
    parser.add_argument("--readers", default=",".join(TARGETS), help="comma-separated")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--resume", action="store_true", help="go on with what the last run did")
    parser.add_argument("--no-result", action="store_true", help="write no file into ci/fuzz/results")
    options = parser.parse_args()
    if options.inputs is None and options.seconds is None:
        options.seconds = 60.0
    STATE.mkdir(parents=True, exist_ok=True)
    state = STATE / "state.json"
    kept = json.loads(state.read_text(encoding="utf-8")) if options.resume and state.is_file() else {"tallies": []}
    if kept["tallies"] and kept["commit"] != _commit():  # what an older code did with them says nothing of this one
        print(f"begun anew: the last run was of commit {kept['commit']}")
        kept = {"tallies": []}
    seed = options.seed if options.seed is not None else kept.get("seed", secrets.randbits(31))
    print(f"seed {seed}")
    how = engines()
    tallies = {(reader, engine): Tally(reader, engine) for reader in options.readers.split(",") for engine in how}
    for old in kept["tallies"]:
        if (old["reader"], old["engine"]) in tallies:
            tallies[old["reader"], old["engine"]].add(old)
    started = time.monotonic() - kept.get("seconds", 0)
    try:
        for number, (tally, inputs, seconds) in enumerate(rounds(tallies, options)):
            how[tally.engine](tally, seed=seed + number + tally.inputs, inputs=inputs, seconds=seconds)
            document = _document(tallies, seed, time.monotonic() - started)
            state.write_text(json.dumps(document), encoding="utf-8")
            print(f"{tally.reader:<10} {tally.engine:<10} {tally.inputs:>9,} inputs, {tally.failed} failed", flush=True)
    finally:
        clean_up()
    document = _document(tallies, seed, time.monotonic() - started)
    if not options.no_result:
        print(f"wrote {_written(document)}")
    for failure in (failure for tally in tallies.values() for failure in tally.failures):
        print(json.dumps(failure))
    return 1 if document["failed"] else 0


def _commit() -> str:
    commit = run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT).stdout.strip()
    changed = run(["git", "status", "--porcelain", "--untracked-files=no"], cwd=ROOT).stdout.strip()
    return commit + (" with changes" if changed else "")


def _document(tallies: dict[tuple[str, str], Tally], seed: int, seconds: float) -> dict[str, Any]:
    return {
        "commit": _commit(),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "python": platform.python_version(),
        "seed": seed,
        "seconds": round(seconds, 1),
        "inputs": sum(tally.inputs for tally in tallies.values()),
        "failed": sum(tally.failed for tally in tallies.values()),
        "tallies": [tally.as_json() for tally in tallies.values()],
    }


def _written(document: dict[str, Any]) -> Path:
    path = HERE / "results" / f"{document['date'][:10]}-{document['commit'].partition(' ')[0]}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return path.relative_to(ROOT)


if __name__ == "__main__":
    sys.exit(main())
