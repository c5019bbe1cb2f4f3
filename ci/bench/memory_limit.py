"""Twelve sources, each of which takes nvcc a gigabyte or more, under a limit of memory that does not hold many of them.

    python ci/bench/memory_limit.py [--limit GIB] [--out FOLDER]

It makes a control group with the limit (as root, version 1 or 2 of the memory controller), runs `gpuwheel build` in it
with nothing recorded of these sources, and again with what the first run recorded, and writes what was seen: that the
kernel ended no process, and how much of the time each core had a compiler. Toolkits are taken from the cache; nothing
that was compiled is, for every source is new each time.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Iterator

GIB = 1 << 30
MILLIONS = [8, 7, 6, 6, 5, 5, 5, 4, 4, 4, 4, 4]
"""Numbers in the table of each source: 1.1 GB for 4 million with nvcc 13.0.88, 2.1 GB for 8."""
PROJECT = """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"

[project]
name = "NAME"
version = "1.0"
requires-python = ">=3.10"
dynamic = ["dependencies"]

[tool.gpuwheel]
archs = ["8.0"]

[tool.gpuwheel.extensions."NAME._C"]
mode = "nvcc"
abi = "none"
sources = ["csrc/*.cu"]
"""
SOURCE = """\
int once_{once};
#define A(x) x, x, x, x, x, x, x, x, x, x
#define B(x) A(x), A(x), A(x), A(x), A(x), A(x), A(x), A(x), A(x), A(x)
#define C(x) B(x), B(x), B(x), B(x), B(x), B(x), B(x), B(x), B(x), B(x)
#define D(x) C(x), C(x), C(x), C(x), C(x), C(x), C(x), C(x), C(x), C(x)
#define E(x) D(x), D(x), D(x), D(x), D(x), D(x), D(x), D(x), D(x), D(x)
#define MILLION(x) E(x), E(x), E(x), E(x), E(x), E(x), E(x), E(x), E(x), E(x)
static constexpr int table_{number}[] = {{{table}}};  // read, and folded away: a wheel of tables would be none of ours
__global__ void scale_{number}(float *x, float by) {{ x[threadIdx.x] *= by; }}
extern "C" int run_{number}(float *x, int i) {{ scale_{number}<<<1, 32>>>(x, 2); return table_{number}[7] + i; }}
"""
HERE = Path(__file__).resolve().parent


def main() -> int:
    """Measure, print, and write the result; 1 where the kernel ended a process or the build failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--limit", type=float, default=6.0, help="GiB")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--runs", type=int, default=2, choices=(1, 2), help="1: only that with nothing recorded")
    options = parser.parse_args()
    environ = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder, group(int(options.limit * GIB)) as place:
        runs: list[dict[str, Any]] = []
        for what in ("nothing recorded", "recorded")[: options.runs]:
            project = make_project(Path(folder), len(runs))
            runs.append({"what": what} | measured(project, place, environ))
            print(json.dumps(runs[-1]), flush=True)
    commit = run(["git", "rev-parse", "HEAD"], cwd=HERE).stdout
    now = datetime.now(tz=timezone.utc)
    document = {
        "date": now.isoformat(timespec="seconds"),
        "commit": commit.strip(),
        "machine": {"cores": len(os.sched_getaffinity(0)), "load_before": os.getloadavg()[0]},
        "limit": int(options.limit * GIB),
        "millions": MILLIONS,
        "runs": runs,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"memory-limit-{now:%Y-%m-%d}.json").write_text(json.dumps(document, indent=2) + "\n")
    return int(any(run["oom_kills"] or run["exit_code"] for run in runs))


def make_project(folder: Path, turn: int) -> Path:
    """The sources: each is another one, in each run of this script and in each turn, so that nothing is kept of it."""
    project = folder / "project"
    shutil.rmtree(project, ignore_errors=True)
    name = f"memory_limit_{os.getpid()}"
    (project / "src" / name).mkdir(parents=True)
    (project / "src" / name / "__init__.py").touch()
    (project / "csrc").mkdir()
    (project / "pyproject.toml").write_text(PROJECT.replace("NAME", name))
    for number, millions in enumerate(MILLIONS):
        once, table = f"{time.time_ns()}_{turn}", ", ".join(["MILLION(1)"] * millions)
        text = SOURCE.format(number=number, once=once, table=table)
        (project / "csrc" / f"k{number}.cu").write_text(text)
    return project


@contextmanager
def group(limit: int) -> Iterator[Path]:
    """A control group with a limit of memory: below that of this process, version 1; at the root, version 2."""
    first, second = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    is_first = (first / "memory.limit_in_bytes").is_file()
    place = (first if is_first else second) / f"gpuwheel-bench-{os.getpid()}"
    place.mkdir()
    try:
        (place / ("memory.limit_in_bytes" if is_first else "memory.max")).write_text(str(limit))
        yield place
    finally:
        for _ in range(100):  # until the last process in it is gone
            try:
                place.rmdir()
                break
            except OSError:
                time.sleep(0.1)


def measured(project: Path, place: Path, environ: dict[str, str]) -> dict[str, Any]:
    """Build once in the group."""
    out = project.parent / "wheels"
    shutil.rmtree(out, ignore_errors=True)
    reset = place / "memory.max_usage_in_bytes"
    if reset.is_file():
        reset.write_text("0")
    before, start = kills(place), time.monotonic()
    words = [sys.executable, "-m", "gpuwheel", "build", "--out", str(out)]
    enter = ["/bin/sh", "-c", f'echo $$ > "{place}/cgroup.procs" && exec "$@"', "enter", *words]
    built = run(enter, cwd=project, env=environ, check=False)
    seconds = time.monotonic() - start
    sys.stderr.write(built.stderr[-4000:])
    report = json.loads((out / ".gpuwheel" / "report.json").read_text())
    sources = [one for cell in report["cells"] for one in cell["sources"] if one["variant"] != "link"]
    begin, end = min(one["start"] for one in sources), max(one["start"] + one["seconds"] for one in sources)
    cores = report["machine"]["cores"]
    peak = next(
        (place / name for name in ("memory.max_usage_in_bytes", "memory.peak") if (place / name).is_file()), None
    )
    return {
        "exit_code": built.returncode,
        "seconds": round(seconds, 1),
        "oom_kills": kills(place) - before,
        "peak_of_group": int(peak.read_text()) if peak else None,
        "compiling": round(end - begin, 1),
        # A place is a core with a compiler on it; what other programs of the machine leave it is another question.
        "places_used": round(sum(one["seconds"] for one in sources) / (cores * (end - begin)), 3),
        "cpu_used": round(sum(one["cpu"] for one in sources) / (cores * (end - begin)), 3),
        "stopped": sum(one["killed"] for one in sources),
        "sources": [[one["source"], one["start"], one["seconds"], one["cpu"], one["peak"]] for one in sources],
    }


def kills(place: Path) -> int:
    """How many processes of the group the kernel ended for want of memory."""
    for name in ("memory.oom_control", "memory.events"):
        if (place / name).is_file():
            pairs = (line.split() for line in (place / name).read_text().splitlines())
            return next((int(value) for key, value in pairs if key == "oom_kill"), 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
