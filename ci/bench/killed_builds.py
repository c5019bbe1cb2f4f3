"""`gpuwheel build`, killed at random moments and resumed: complete each time, equal bytes, and how much less work.

python ci/bench/killed_builds.py                 # 20 moments, some minutes; writes ci/bench/results/killed-builds.json
python ci/bench/killed_builds.py --moments 3     # a few

The project has a wheel for each of three torches, one C++ source, and nothing kept between builds; so what a resumed
run saves is what the journal says. One wheel is built at a time. An interrupted run of this script goes on at the next
moment.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from tiny_matrix import WHEELS, write_tiny_matrix  # noqa: E402 (shared with the tests)

from gpuwheel._run import run  # noqa: E402

RESULT = ROOT / "ci" / "bench" / "results" / "killed-builds.json"
# A variable that no key covers: nothing is kept of such a build.
ENVIRON = {**os.environ, "CMAKE_OF_A_BENCHMARK": "1"}


def main() -> int:
    """Run the moments that are left; exit status 1 where a resumed build was not whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--seed", type=int, default=20261130)
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="killed-builds-") as folder:
        project = write_tiny_matrix(Path(folder) / "project")
        progress = _Progress(options.result, options.seed)
        _build(project, Path(folder) / "warm")  # downloads, and environments
        started = time.monotonic()
        whole = _build(project, Path(folder) / "whole")
        seconds = time.monotonic() - started
        for index in range(len(progress.moments), options.moments):
            share = random.Random(f"{options.seed} {index}").random()  # noqa: S311 (no secret)
            moment = _moment(project, Path(folder) / f"moment-{index}", share * seconds, Path(folder) / "whole")
            progress.add({"share": round(share, 3), **moment}, whole, seconds)
            print(f"{index + 1:3}  killed after {share:4.0%}  {moment}", flush=True)
    return 1 if any(moment["unequal"] for moment in progress.moments) else 0


class _Progress:
    """The result, written after each moment."""

    def __init__(self, path: Path, seed: int) -> None:
        commit = run(["git", "-C", ROOT, "rev-parse", "HEAD"], env=os.environ).stdout.strip()
        self._path, self._head = path, {"commit": commit, "seed": seed}
        before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        same = all(before.get(name) == value for name, value in self._head.items())
        self.moments: list[dict[str, Any]] = before["moments"] if same else []

    def add(self, moment: dict[str, Any], whole: dict[str, float], seconds: float) -> None:
        self.moments.append(moment)
        document = {
            **self._head,
            "date": f"{dt.datetime.now(dt.timezone.utc):%Y-%m-%d}",
            "wheels": WHEELS,
            "seconds": round(seconds, 1),
            "cpu_seconds": round(sum(whole.values()), 1),
            "unequal": sum(bool(one["unequal"]) for one in self.moments),
            "moments": self.moments,
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(f"{json.dumps(document, indent=1)}\n", encoding="utf-8")


def _words(project: Path, out: Path, *more: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "gpuwheel",
        "build",
        "-p",
        str(project),
        "-o",
        str(out),
        "--jobs",
        "1",
        "--json",
        *more,
    ]


def _build(project: Path, out: Path, *more: str) -> dict[str, float]:
    """Identifier -> CPU seconds of the cells that were built, and not taken from an earlier run."""
    cells = json.loads(run(_words(project, out, *more), env=ENVIRON).stdout)["cells"]
    return {cell["identifier"]: cell["cpu_seconds"] for cell in cells if cell["state"] == "built"}


def _moment(project: Path, out: Path, seconds: float, whole: Path) -> dict[str, Any]:
    """Kill a build after so many seconds, resume it, and compare."""
    with subprocess.Popen(
        _words(project, out), env=ENVIRON, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
    finished = len(list(out.glob("*.whl")))
    built = _build(project, out, "--resume")
    expected, found = _digests(whole), _digests(out)
    unequal = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    left = list((out / ".gpuwheel" / "unfinished").glob("*"))
    return {
        "finished": finished,
        "built": len(built),
        "cpu_seconds": round(sum(built.values()), 1),
        "unequal": [*unequal, *map(str, left)],
    }


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.whl")}


if __name__ == "__main__":
    sys.exit(main())
