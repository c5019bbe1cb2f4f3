"""What `gpuwheel index` costs at 10,000 wheels: the first write, a run with nothing new, one added wheel, --verify.

python ci/bench/index_scale.py            # prints, and writes ci/bench/results/index-scale-DATE.json
python ci/bench/index_scale.py --wheels 1000 --no-result

The wheels are small and distinct: of 50 projects, 200 each, with a library, device code and a manifest, for four
torches and two toolkits; then all of one project. Reading large ones takes as long as hashing their bytes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from machine import describe

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from small_wheels import small_wheel  # noqa: E402 (of the tests)

from gpuwheel._run import run  # noqa: E402

_LINUX = "manylinux_2_28_x86_64"
_TORCHES, _TOOLKITS = ("2.12", "2.13", "2.14", "2.15"), ("12.9", "13.0")
_PYTHONS = ("cp310", "cp311", "cp312", "cp313", "cp314")
_PER_PROJECT = 200


@dataclass(frozen=True)
class Measured:
    """One run of the command."""

    what: str
    wall: float
    """Seconds."""
    cpu: float
    """Seconds of user and system time."""
    memory: int
    """Largest resident set, in megabytes."""
    read: int
    """Wheels."""
    pages: int
    """Written."""


def make_wheels(folder: Path, count: int, *, projects: int) -> None:
    """Write `count` distinct wheels."""
    folder.mkdir(parents=True)
    made = 0
    for release in range(count):
        for torch in _TORCHES:
            for cuda in _TOOLKITS:
                for python in _PYTHONS:
                    if made == count:
                        return
                    small_wheel(
                        folder,
                        f"project-{release % projects:03}",
                        f"1.{release // projects}+torch{torch}.cu{cuda}",
                        tag=f"{python}-{python}-{_LINUX}",
                        fields=f"Summary: wheel {made}\nRequires-Python: >=3.10\nRequires-Dist: torch=={torch}.*\n",
                        cuda=cuda,
                    )
                    made += 1


def measured(what: str, folder: Path, *words: str) -> Measured:
    """Run the command in a process of its own."""
    code = (
        "import resource, sys, time\n"
        "from gpuwheel.cli import main\n"
        "start = time.perf_counter()\n"
        "try:\n    main(sys.argv[1:])\n"
        "finally:\n"
        "    used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "    print(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss, file=sys.stderr)\n"
    )
    done = run([sys.executable, "-c", code, "index", str(folder), "--json", *words])
    wall, cpu, kilobytes = map(float, done.stderr.split()[-3:])
    document = json.loads(done.stdout)
    changed = document.get("changed", [])
    return Measured(what, round(wall, 2), round(cpu, 2), int(kilobytes / 1024), document.get("read", 0), len(changed))


def measure(work: Path, count: int, projects: int) -> list[Measured]:
    """All runs over one folder of wheels."""
    folder = work / f"wheels-{projects}"
    make_wheels(folder, count, projects=projects)
    runs = [measured("first write", folder), measured("nothing new", folder)]
    small_wheel(folder, "project-000", "2.0", fields="Requires-Dist: torch>=2.10\n", cuda="12.9")
    runs.append(measured("one wheel added", folder))
    runs.append(measured("--verify", folder, "--verify"))
    simple = folder / "simple" / "project-000"
    for name in ("index.html", "index.json", "wheels.json"):
        print(f"  {name} of one project: {(simple / name).stat().st_size:,} bytes")
    return runs


def main() -> int:
    """Measure, print, and write the result."""
    parser = argparse.ArgumentParser(description="measure gpuwheel index")
    parser.add_argument("--wheels", type=int, default=10_000)
    parser.add_argument("--no-result", action="store_true", help="write no file")
    options = parser.parse_args()
    cases = {}
    work = Path(tempfile.mkdtemp(prefix="index-scale-"))
    try:
        for projects in (max(1, options.wheels // _PER_PROJECT), 1):
            print(f"{options.wheels:,} wheels of {projects} project{'s' if projects > 1 else ''}")
            started = time.perf_counter()
            runs = measure(work, options.wheels, projects)
            for one in runs:
                print(f"  {one.what:16} {one.wall:7.2f} s  {one.cpu:7.2f} s CPU  {one.memory:5} MB  {one.read:6} read")
            print(f"  (with making the wheels: {time.perf_counter() - started:.0f} s)")
            cases[f"{projects} projects"] = [asdict(one) for one in runs]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if not options.no_result:
        today = datetime.now(timezone.utc).strftime("%Y-%m-%d")
        path = ROOT / "ci" / "bench" / "results" / f"index-scale-{today}.json"
        document = {"date": today, "machine": describe(), "wheels": options.wheels, "runs": cases}
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
