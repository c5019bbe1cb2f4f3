"""What a turn of `gpuwheel dev` costs beside the compiler that it starts: nothing changed, and one line of one kernel.

Two projects: the sample in mode `embed`, whose changed kernel is one image by NVRTC and a link, and one in mode `nvcc`,
whose changed `.cu` is one object by nvcc and a link. Both for one architecture. A turn is the whole command, from its
start to its end. The compiler's own time is that of the same source compiled alone: NVRTC's worker process, or the nvcc
command that stands in compile_commands.json. Turns and compilers alternate in one run, so that other work on the
machine slows both down; the fastest of each counts, and CPU stands beside wall time (user and system, all processes).

  python ci/bench/dev_loop.py                  # prints the JSON's path
  python ci/bench/dev_loop.py --turns 9
  python ci/bench/dev_loop.py --write-docs     # and write the table of docs/explanation/performance.md
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shlex
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layouts import edit_kernel
from machine import describe
from page import add_options, keep

from gpuwheel._run import run
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.pipeline import Build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gpuwheel.model.reporter import Progress

ROOT = Path(__file__).resolve().parent.parent.parent
OUT = Path(__file__).resolve().parent / "results" / "dev-loop.json"
GPUWHEEL = Path(sys.executable).with_name("gpuwheel")
ARCH = "8.0"
NO_OP_S, RATIO = 0.4, 2.0
"""The targets."""

NVCC_PROJECT = """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"
[project]
name = "loop"
version = "1"
requires-python = ">=3.10"
dynamic = ["dependencies"]
[tool.gpuwheel]
archs = ["8.0"]
[tool.gpuwheel.extensions."loop._C"]
mode = "nvcc"
abi = "none"
sources = ["csrc/*.cu"]
"""
NVCC_SOURCE = """\
#include <cub/block/block_reduce.cuh>

template <typename T, int THREADS>
__global__ void sums(const T* x, T* out, int columns) {
  using Reduce = cub::BlockReduce<T, THREADS>;
  __shared__ typename Reduce::TempStorage storage;
  T sum = T(1);
  for (int i = threadIdx.x; i < columns; i += THREADS) sum += x[static_cast<size_t>(blockIdx.x) * columns + i];
  sum = Reduce(storage).Sum(sum);
  if (threadIdx.x == 0) out[blockIdx.x] = sum;
}

template <typename T>
static int launch(const void* x, void* out, int rows, int columns) {
  sums<T, 128><<<rows, 128>>>(static_cast<const T*>(x), static_cast<T*>(out), columns);
  sums<T, 256><<<rows, 256>>>(static_cast<const T*>(x), static_cast<T*>(out), columns);
  return cudaGetLastError();
}

extern "C" int NAME_float(const void* x, void* out, int rows, int n) { return launch<float>(x, out, rows, n); }
extern "C" int NAME_int(const void* x, void* out, int rows, int n) { return launch<int>(x, out, rows, n); }
"""

Seconds = dict[str, float]


@contextmanager
def clock() -> Iterator[Seconds]:
    """Wall seconds of a block, and CPU seconds of the processes that it starts and waits for."""
    taken: Seconds = {}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    yield taken
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken["wall"] = time.monotonic() - start
    taken["cpu"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def turn(root: Path) -> Seconds:
    """One `gpuwheel dev`."""
    with clock() as taken:
        run([GPUWHEEL, "dev", "--arch", ARCH, root])
    return taken


class Worker(SilentReporter):
    """Takes the time of the device compiler's process, which runs while its progress is shown."""

    def __init__(self) -> None:
        self.taken: Seconds = {}

    @contextmanager
    def progress(self, label: str, total: int | None, unit: str = "B") -> Iterator[Progress]:
        """The worker runs, and is not waited for before this ends."""
        with clock() as taken, super().progress(label, total, unit) as progress:
            yield progress
            running = cpu_of_children()
        self.taken = {"wall": taken["wall"], "cpu": taken["cpu"] + running}


def cpu_of_children() -> float:
    """CPU seconds of this process's children that run now."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(fields[1]) == os.getpid():
                ticks += sum(map(int, fields[11:15]))  # utime, stime, and those of its own children
    return ticks / os.sysconf("SC_CLK_TCK")


def nvrtc(root: Path) -> Seconds:
    """NVRTC compiles what changed: the part of a turn that is the compiler's."""
    worker = Worker()
    Build(root, dict(os.environ), {"gpuwheel.archs": ARCH}, worker).develop()
    if not worker.taken:
        message = "NVRTC compiled nothing"
        raise SystemExit(message)
    return worker.taken


def nvcc(root: Path) -> Seconds:
    """The command that compiles the changed source, alone."""
    commands = json.loads((root / "compile_commands.json").read_bytes())
    entry = next(entry for entry in commands if entry["file"].endswith("first.cu"))
    with clock() as taken:
        run(shlex.split(entry["command"]), cwd=Path(entry["directory"]))
    return taken


def sample(root: Path) -> Callable[[], None]:
    """The sample in `root`, and what changes a line of one of its kernels."""
    shutil.copytree(ROOT / "sample_extension", root, ignore=shutil.ignore_patterns("*.so", "build", "dist"))

    def edit() -> None:
        edit_kernel(root, "squared_relu")
        path = root / "csrc" / "squared_relu.cu"
        text = path.read_text(encoding="utf-8")  # what no cache has compiled before
        path.write_text(text.replace("clock64() == 0", f"clock64() == {time.time_ns()}"), encoding="utf-8")

    return edit


def cuda_sources(root: Path) -> Callable[[], None]:
    """A project with two sources for nvcc in `root`, and what changes a line of one."""
    (root / "csrc").mkdir(parents=True)
    (root / "loop").mkdir()
    (root / "loop" / "__init__.py").touch()
    (root / "pyproject.toml").write_text(NVCC_PROJECT, encoding="utf-8")
    for name in ("first", "second"):
        (root / "csrc" / f"{name}.cu").write_text(NVCC_SOURCE.replace("NAME", name), encoding="utf-8")
    number = 1

    def edit() -> None:
        nonlocal number
        path = root / "csrc" / "first.cu"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(f"T sum = T({number});", f"T sum = T({number + 1});"), encoding="utf-8")
        number += 1

    return edit


def measured(root: Path, edit: Callable[[], None], compiler: Callable[[Path], Seconds], turns: int) -> dict[str, Any]:
    """The fastest of `turns` turns of each kind."""
    found: dict[str, list[Seconds]] = {"first": [turn(root)], "nothing changed": [], "one line": [], "compiler": []}
    for _ in range(turns):
        found["nothing changed"].append(turn(root))
        edit()
        found["one line"].append(turn(root))
        edit()
        found["compiler"].append(compiler(root))
        turn(root)  # what a compiler alone made is linked
    fastest = {
        name: {kind: min(each[kind] for each in several) for kind in ("wall", "cpu")} for name, several in found.items()
    }
    ratios = {kind: fastest["one line"][kind] / fastest["compiler"][kind] for kind in ("wall", "cpu")}
    print(f"{root.name:8} {json.dumps(fastest)} ratios {ratios}", flush=True)
    return {**fastest, "ratio": ratios}


def table(result: dict[str, Any]) -> str:
    """The table of the page, as Markdown."""
    machine, found = result["machine"], result["measurements"]
    rows = {
        "nothing changed": ("nothing changed", f"below {NO_OP_S} s"),
        "one line": ("one line of one kernel", ""),
        "compiler": ("of it the compiler, alone", ""),
    }
    lines = [
        f"- Command: `{result['command']}`, on {machine['date']}, at commit {result['commit']}.",
        f"- Machine: {machine['cores']} cores of {machine['processor']}, {machine['system']}.",
        f"- Load average: {result['load'][0]:.1f} to {result['load'][1]:.1f}, of these builds and of others' work.",
        "",
        f"| wall (CPU), seconds | {' | '.join(found)} | target |",
        f"|---|{'---:|' * len(found)}---|",
    ]
    for name, (title, target) in rows.items():
        cells = [f"{each[name]['wall']:.2f} ({each[name]['cpu']:.2f})" for each in found.values()]
        lines.append(f"| {title} | {' | '.join(cells)} | {target} |")
    ratios = [f"{each['ratio']['wall']:.2f} ({each['ratio']['cpu']:.2f})" for each in found.values()]
    lines.append(f"| one line, as a multiple of the compiler | {' | '.join(ratios)} | at most {RATIO:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure both projects."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5, help="of each kind (default: %(default)s)")
    add_options(parser, OUT)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="gpuwheel-dev-loop-") as name:
        projects = {
            "embed": (sample, nvrtc),
            "nvcc": (cuda_sources, nvcc),
        }
        measurements = {}
        for mode, (make, compiler) in projects.items():
            root = Path(name, mode)
            measurements[mode] = measured(root, make(root), compiler, options.turns)
    result = {
        "schema": 1,
        "command": "python ci/bench/dev_loop.py",
        "commit": run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"]).stdout.strip(),
        "machine": describe(),
        "load": [load, os.getloadavg()[0]],
        "measurements": measurements,
    }
    keep(result, options, table)


if __name__ == "__main__":
    main()
