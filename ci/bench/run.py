"""Measure how one set of operators is built: by gpuwheel, and by torch.utils.cpp_extension in several layouts.

In one run, on one machine, the same operators (`sample_extension/csrc`) for the same archs:

  gpuwheel  pip wheel of the sample
  classic   torch.utils.cpp_extension, torch/extension.h in every .cpp and .cu
  stable    torch.utils.cpp_extension, torch's stable ABI in every .cpp and .cu
  split     the same, with the .cu free of torch's headers but for its 16-bit types

and, where asked for, the same sources for nvcc by gpuwheel, with the same nvcc (--torch 2.14):

  nvcc-classic, nvcc-stable

Scenarios:

  cold      all caches empty: what a new machine or a CI job does. gpuwheel: pip wheel in isolation. cpp_extension: what
            isolation does, step by step, since one environment serves all layouts: a virtual environment, pip install
            of the build requirements (and for mode nvcc gpuwheel fetch), pip wheel --no-build-isolation
  warm      environment installed, caches full, clean tree: pip wheel --no-build-isolation; in mode nvcc the cache holds
            compilers and headers, and nothing compiled
  no-op     the same again, nothing changed (median of three)
  one line  the same again, one line of one kernel changed

All of it takes an hour of two idle cores, 3 GB of downloads and 15 GB of disk. Finished measurements are kept in the
work folder: a run that was interrupted goes on where it stopped.

  python ci/bench/run.py                                    # everything; prints the JSON's path
  python ci/bench/run.py --operators swiglu --only gpuwheel # a quick look
  python ci/bench/run.py --torch 2.14 --only classic,stable,nvcc-classic,nvcc-stable # mode nvcc
  python ci/bench/run.py --write-docs                       # and write the tables of docs/explanation/performance.md
  python ci/bench/run.py --docs-only FILE                   # only write the tables, from stored figures
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path

from contestants import CPP_EXTENSION, EMBED, NVCC, Bench, Contestant
from layouts import TORCH_CUDA
from machine import describe
from report import read_results, write_docs

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
NO_OPS = 3
BY_DEFAULT = (EMBED, *CPP_EXTENSION)


def main(argv: list[str] | None = None) -> int:
    """Run what is asked for."""
    options = _parser().parse_args(argv)
    if options.docs_only is not None:
        write_docs(read_results(options.docs_only))
        return 0
    operators = tuple(options.operators.split(",")) if options.operators else ()
    if options.fresh:
        shutil.rmtree(options.work, ignore_errors=True)
    bench = Bench.open(options.work.resolve(), ROOT, operators, options.torch)
    chosen = _chosen(options.only)
    for contestant in chosen:
        run_scenarios(bench, contestant)
    for contestant in chosen:
        bench.measurements[contestant.name].pop("wheels", None)  # what there is now
        bench.step(contestant, "wheels", partial(bench.wheels, contestant))
    result = {
        "schema": 1,
        "command": _command(options),
        "machine": describe(),
        "operators": list(bench.sample.operators),
        "archs": bench.sample.archs,
        "titles": {c.name: c.title for c in chosen},
        "versions": {c.name: bench.versions(c) for c in chosen},
        "measurements": bench.measurements,
    }
    out: Path = options.out
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    print(f"wrote {out}")
    if options.write_docs:
        write_docs(read_results(out))
    return 0


def _chosen(only: str | None) -> tuple[Contestant, ...]:
    if not only:
        return BY_DEFAULT
    known = {contestant.name: contestant for contestant in (*BY_DEFAULT, *NVCC)}
    unknown = set(only.split(",")) - set(known)
    if unknown:
        message = f"--only names unknown contestants: {', '.join(sorted(unknown))} (known: {', '.join(known)})"
        raise SystemExit(message)
    return tuple(contestant for name, contestant in known.items() if name in only.split(","))


def run_scenarios(bench: Bench, contestant: Contestant) -> None:
    """Every scenario of one contestant, in the order in which they depend on each other."""
    if contestant.layout is None:
        bench.step(contestant, "cold", lambda: bench.isolated(contestant))
    bench.step(contestant, "environment", lambda: bench.install(contestant))
    bench.step(contestant, "warm", lambda: bench.clean(contestant))
    if contestant.layout is not None:
        bench.step(contestant, "cold", lambda: bench.installed_and_built(contestant))
    for turn in range(NO_OPS):
        bench.step(contestant, f"no-op {turn + 1}", lambda: bench.again(contestant, "no-op"))
    bench.step(contestant, "no-op", lambda: _median(bench, contestant))
    bench.step(contestant, "one line", lambda: bench.changed(contestant))
    if contestant.name in {"split", "stable"}:  # the device code of all layouts is the same
        bench.step(contestant, "size mode", lambda: bench.clean(contestant, "size mode", size_mode=True))
    if contestant.layout is None:
        bench.step(contestant, "stages", lambda: bench.stages(contestant))


def _median(bench: Bench, contestant: Contestant) -> dict[str, object]:
    """The turn with the median wall time of the hook."""
    turns = [bench.measurements[contestant.name][f"no-op {turn + 1}"] for turn in range(NO_OPS)]
    middle = statistics.median_low(turn["hook_wall"] for turn in turns)
    return next(turn for turn in turns if turn["hook_wall"] == middle)


def _command(options: argparse.Namespace) -> str:
    """As anybody would give it: without the folders of this machine."""
    chosen = [f"--{name} {value}" for name in ("torch", "operators", "only") if (value := getattr(options, name))]
    return " ".join(["python ci/bench/run.py", *chosen])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operators", metavar="A,B", help="only these operators (default: all of the sample)")
    parser.add_argument(
        "--only", metavar="A,B", help="only these contestants: gpuwheel, classic, stable, split, nvcc-..."
    )
    parser.add_argument(
        "--torch", choices=TORCH_CUDA, default="2.15", help="what cpp_extension compiles against (default: %(default)s)"
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(tempfile.gettempdir()) / "gpuwheel-bench",
        help="where everything is built and kept (default: %(default)s)",
    )
    parser.add_argument("--fresh", action="store_true", help="empty the work folder first: measure everything again")
    parser.add_argument(
        "--out", type=Path, default=RESULTS / "latest.json", help="file for the figures (default: %(default)s)"
    )
    parser.add_argument(
        "--write-docs", action="store_true", help="write the tables into docs/explanation/performance.md"
    )
    parser.add_argument("--docs-only", type=Path, metavar="FILE", help="measure nothing, write the tables from FILE")
    return parser


if __name__ == "__main__":
    os.chdir(ROOT)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on where this stopped", file=sys.stderr)
        sys.exit(130)
