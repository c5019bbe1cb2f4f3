"""What building a matrix costs beside the work that has to be done once, and beside building each wheel alone.

The project is `tests/projects/matrix`: one wheel for each torch and Python, eight `.cu`, four `.cpp`. Of its cells a
sample is built: some Pythons for one torch, and some torches for one Python. Each way begins with an empty cache of
compiled code (compilers, headers and environments are there already):

- *together*: one `gpuwheel build` of the sample;
- *isolated*: one `gpuwheel build` for each cell, with no cache at all;
- *sccache*: the same, with sccache as launcher, which keeps what it keeps from one cell to the next.

*Unique work* is counted without keys of gpuwheel. The compile commands of isolated builds run again with `-E`; of all
that agree in their preprocessed text, lines of `#` left out, and in their options, those that only name files left
out, one is compiled. Its CPU seconds count, and preprocessing does not. What all cells of the matrix cost is computed
from the sample: of each source, the unique work for each torch and Python that it was found to depend on; of each way,
what it takes beyond that for each cell.

CPU is user and system time of all processes, so other work on the machine matters little. Each step is kept in the
file of figures, and a run that was interrupted goes on behind the last one.

  python ci/bench/matrix_work.py --work DIR              # DIR is kept, with caches and build folders
  python ci/bench/matrix_work.py --work DIR --torchs 2.12,2.13,2.14 --pythons 3.11,3.12
  python ci/bench/matrix_work.py --work DIR --write-docs
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from machine import describe
from page import add_options, keep

from gpuwheel._run import run

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from matrix_project import PYTHONS, TORCHS, cell_names, copy_matrix_project  # noqa: E402 (found by the line above)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

OUT = Path(__file__).resolve().parent / "results" / "matrix-work.json"
GPUWHEEL = Path(sys.executable).with_name("gpuwheel")
TARGET = 1.1
"""Of unique work."""
COMPILED = ("libraries", "images")
"""The folders of gpuwheel's cache with compiled code."""
# Options that name files or say how a result is written down, and those whose effect is in the preprocessed text.
VALUED = {"-o", "-MF", "-MT", "-MQ", "-isystem", "-I", "-D", "-U", "-include"}
DROPPED = re.compile(r"-(?:c|MD|MMD|MP|[IDU].+|isystem.*|f\w+-prefix-map=.*|-?threads=.*|.*--orig_src_path_name=.*)")
MARKER = re.compile(rb"^#[^\n]*\n", re.MULTILINE)
KINDS = {"both": "each wheel", "torch": "each torch", "python": "each Python", "none": "once"}


@contextmanager
def cpu() -> Iterator[dict[str, float]]:
    """CPU and wall seconds of what a block starts and waits for."""
    taken: dict[str, float] = {}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    yield taken
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken["cpu"] = round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2)
    taken["wall"] = round(time.monotonic() - start, 2)


class Bench:
    """One sample, in a folder that stays."""

    def __init__(self, work: Path, torchs: Sequence[str], pythons: Sequence[str], sccache: Path | None) -> None:
        self.work, self.torchs, self.pythons, self.sccache = work, torchs, pythons, sccache
        keys = [*product(torchs[:1], pythons), *product(torchs[1:], pythons[:1])]
        self.cells = {
            cell_names(torchs=[one], pythons=[two], machine=platform.machine())[0]: (one, two) for one, two in keys
        }
        self._kept = work / "steps.json"
        self.steps: dict[str, Any] = json.loads(self._kept.read_text(encoding="utf-8")) if self._kept.exists() else {}
        self.environ = {**os.environ, "GPUWHEEL_CACHE_DIR": str(work / "cache")}

    def measure(self) -> None:
        """Run the steps that were not run yet."""
        if not (self.work / "project").exists():
            copy_matrix_project(self.work / "project", torchs=self.torchs, pythons=self.pythons)
        # Compilers, headers and environments are fetched by a build of one source.
        warm = self.work / "warm"
        if not warm.exists():
            copy_matrix_project(warm, torchs=self.torchs, pythons=self.pythons, sources=["csrc/grid.cpp"])
        self._step("warm", lambda: self._build(warm))
        for cell in self.cells:
            self._step(f"isolated {cell}", lambda cell=cell: self._isolated(cell))
        self._step("unique", self._unique)
        self._step("together", self._together)
        if self.sccache is not None:
            program = self.sccache
            self._step("sccache", lambda: self._with_sccache(program))

    def _step(self, name: str, measured: Any) -> None:  # noqa: ANN401 (a function of this class)
        if name not in self.steps:
            print(f"{name} ...", flush=True)
            self.steps[name] = measured()
            self._kept.write_text(json.dumps(self.steps, indent=2), encoding="utf-8")
        print(f"{name}: {self.steps[name].get('cpu', '')} CPU seconds", flush=True)

    def _empty(self) -> None:
        for folder in COMPILED:
            for place in (self.work / "cache").glob(f"v*/{folder}"):
                shutil.rmtree(place)

    def _build(self, project: Path, *words: str, **environ: str) -> dict[str, float]:
        out = self.work / "out"
        shutil.rmtree(out, ignore_errors=True)
        with cpu() as taken:
            run([GPUWHEEL, "build", "-p", project, "-o", out, *words], env={**self.environ, **environ})
        return {**taken, "wheels": len(list(out.glob("*.whl")))}

    def _together(self) -> dict[str, float]:
        self._empty()
        return self._build(self.work / "project", *self.cells)

    def _isolated(self, cell: str) -> dict[str, float]:
        self._empty()
        shutil.rmtree(self.work / cell, ignore_errors=True)
        return self._build(self.work / "project", cell, "-C", f"build-dir={self.work / cell}")

    def _with_sccache(self, program: Path) -> dict[str, float]:
        """Each cell alone, with a server of sccache that is waited for: its CPU counts."""
        store = self.work / "sccache"
        shutil.rmtree(store, ignore_errors=True)
        more = {"SCCACHE_DIR": str(store), "SCCACHE_IDLE_TIMEOUT": "0", "SCCACHE_SERVER_PORT": "4799"}
        environ = {**self.environ, **more}
        with cpu() as taken:
            foreground = {**environ, "SCCACHE_START_SERVER": "1", "SCCACHE_NO_DAEMON": "1"}
            server = subprocess.Popen([program], env=foreground)
            time.sleep(2)
            for cell in self.cells:
                self._empty()
                work = self.work / f"sccache-{cell}"
                shutil.rmtree(work, ignore_errors=True)
                words = (cell, "-C", f"build-dir={work}")
                self._build(self.work / "project", *words, **more, CXX=f"{program} c++")
            said = run([program, "--show-stats"], env=environ).stdout
            run([program, "--stop-server"], env=environ, check=False)
            server.wait()
        return {**taken, "stats": said}  # type: ignore[dict-item]

    def _unique(self) -> dict[str, Any]:
        """Every distinct compilation of the sample, once: the cells that share it, and its CPU seconds."""
        found: dict[str, dict[str, Any]] = {}
        for cell in self.cells:
            folder = self.work / cell
            for one in json.loads((folder / "compile_commands.json").read_text(encoding="utf-8")):
                words = shlex.split(one["command"])
                digest = _digest(words, folder, self.environ)
                source = found.setdefault(digest, {"source": Path(one["file"]).name, "cells": []})
                source["cells"].append(cell)
                if "cpu" not in source:
                    with tempfile.TemporaryDirectory() as scratch, cpu() as taken:
                        run(_changed(words, ["-o", f"{scratch}/x.o"]), cwd=folder, env=self.environ)
                    source["cpu"] = taken["cpu"]
        return {"cpu": round(sum(one["cpu"] for one in found.values()), 2), "objects": list(found.values())}

    def kinds(self) -> dict[str, dict[str, float]]:
        """What a source was found to depend on -> how many sources, and their CPU seconds for one compilation."""
        by_source: dict[str, list[dict[str, Any]]] = {}
        for one in self.steps["unique"]["objects"]:
            by_source.setdefault(one["source"], []).append(one)
        kinds: dict[str, dict[str, float]] = {}
        for objects in by_source.values():
            kind = kinds.setdefault(self._kind(objects), {"sources": 0, "cpu": 0.0})
            kind["sources"] += 1
            kind["cpu"] = round(kind["cpu"] + sum(one["cpu"] for one in objects) / len(objects), 2)
        return kinds

    def _kind(self, objects: Sequence[Mapping[str, Any]]) -> str:
        """Along which axes cells that share an object are the same."""
        torch = any(len({self.cells[cell][0] for cell in one["cells"]}) > 1 for one in objects)
        python = any(len({self.cells[cell][1] for cell in one["cells"]}) > 1 for one in objects)
        return {(True, True): "none", (False, True): "torch", (True, False): "python"}.get((torch, python), "both")


def _changed(words: Sequence[str], more: Sequence[str]) -> list[str]:
    """A compile command with another result, and no depfile."""
    first = next(place for place, word in enumerate(words) if Path(word).name in {"nvcc", "c++", "g++"})
    kept, waiting = [], iter(words[first:])
    for word in waiting:
        if word in {"-o", "-MF", "-MT"}:
            next(waiting)
        elif word != "-MD":
            kept.append(word)
    return [*kept, *more]


def _digest(words: Sequence[str], folder: Path, environ: Mapping[str, str]) -> str:
    """Of the preprocessed text of a compile command and of its options."""
    command = ["-E" if word == "-c" else word for word in _changed(words, [])]
    text = subprocess.run(command, cwd=folder, env=dict(environ), capture_output=True, check=True).stdout  # noqa: TID251 (bytes)
    options = "\n".join(_options(_changed(words, []), folder))
    return hashlib.sha256(MARKER.sub(b"", text) + options.encode()).hexdigest()


def _options(words: Sequence[str], folder: Path) -> Iterator[str]:
    waiting = iter(words)
    for word in waiting:
        file = re.search(r"@(.+)|--options-file=(.+)", word)
        if file is not None:
            named = (folder / (file[1] or file[2])).read_text(encoding="utf-8")
            yield from _options(shlex.split(named), folder)
        elif word in VALUED:
            next(waiting)
        elif DROPPED.fullmatch(word) is None:
            yield Path(word).name if word.startswith("/") else word


def figures(bench: Bench, torchs: int, cells: int) -> dict[str, Any]:
    """What the sample took, and what a matrix of so many torches and cells takes by that."""
    sample, steps = len(bench.cells), bench.steps
    kinds = bench.kinds()
    times = {"none": 1, "torch": torchs, "python": len(PYTHONS), "both": cells}
    whole = sum(times[name] * kind["cpu"] for name, kind in kinds.items())
    isolated = sum(steps[f"isolated {cell}"]["cpu"] for cell in bench.cells)
    ways = {"together": steps["together"]["cpu"], "isolated": isolated}
    if "sccache" in steps:
        ways["sccache"] = steps["sccache"]["cpu"]
    unique = steps["unique"]["cpu"]
    projected = {name: whole + (seconds - unique) / sample * cells for name, seconds in ways.items()}
    alone = ["isolated"]
    if re.search(r"^Cache hits\s+0$", steps.get("sccache", {}).get("stats", ""), re.MULTILINE):
        alone.append("sccache")  # nothing of one cell served another
    projected.update({name: ways[name] / sample * cells for name in alone})
    return {
        "cells": [f"torch {torch} for Python {python}" for torch, python in bench.cells.values()],
        "kinds": kinds,
        "sample": {"cells": sample, "unique": unique, **ways},
        "matrix": {
            "cells": cells,
            "unique": round(whole, 1),
            **{name: round(one, 1) for name, one in projected.items()},
        },
        "target": TARGET,
        # Without what it says of this machine.
        "sccache": steps.get("sccache", {}).get("stats", "").partition("\nCache location")[0] or None,
    }


def table(result: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    sample, matrix, machine = result["sample"], result["matrix"], result["machine"]
    names = {
        "unique": "unique work",
        "together": f"`gpuwheel build`, together (target: at most {result['target']}x)",
        "sccache": "each wheel alone, sccache as launcher",
        "isolated": "each wheel alone, empty cache",
    }
    kinds = "; ".join(
        f"{kind['sources']} compiled for {KINDS[name]} ({kind['cpu']:.1f} s)".replace("for once", "once")
        for name, kind in result["kinds"].items()
    )
    rows = [
        f"| {text} | {sample[name]:.0f} | {sample[name] / sample['unique']:.2f}x | {matrix[name]:.0f} "
        f"| {matrix[name] / matrix['unique']:.2f}x |"
        for name, text in names.items()
        if name in sample
    ]
    return "\n".join(
        [
            f"- Command: `{result['command']}`, on {machine['date']}.",
            f"- Machine: {machine['cores']} cores of {machine['processor']}, {machine['system']}.",
            f"- Measured: {', '.join(result['cells'])}.",
            f"- Computed from these: the {matrix['cells']} of 24 cells that can be built.",
            f"- Sources: {kinds}.",
            "",
            f"| CPU seconds | {sample['cells']} cells, measured | | {matrix['cells']} cells, computed | |",
            "|---|---:|---:|---:|---:|",
            *rows,
        ]
    )


def main() -> None:
    """Measure, and write figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="a folder for caches and builds, which stays")
    parser.add_argument("--torchs", default="2.12,2.13", help="minors of the sample (default: %(default)s)")
    parser.add_argument("--pythons", default="3.11,3.12", help="Pythons of the sample (default: %(default)s)")
    parser.add_argument(
        "--sccache", type=Path, default=shutil.which("sccache"), help="the program, where it is not on PATH"
    )
    add_options(parser, OUT)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    torchs, pythons = options.torchs.split(","), options.pythons.split(",")
    bench = Bench(options.work.resolve(), torchs, pythons, options.sccache and Path(options.sccache).resolve())
    bench.measure()
    # As in tests/matrix_project.py: torch 2.10 is for CUDA 12, and 2.15 not for Python 3.10.
    built = [key for key in product(TORCHS, PYTHONS) if key[0] != "2.10" and key != ("2.15", "3.10")]
    command = f"python ci/bench/matrix_work.py --torchs {options.torchs} --pythons {options.pythons}"
    result = {
        "command": command,
        "machine": describe(),
        **figures(bench, len({torch for torch, _ in built}), len(built)),
    }
    keep(result, options, table)


if __name__ == "__main__":
    main()
