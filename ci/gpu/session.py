"""What `ci/gpu.sh` runs, with the standard library alone: nothing is installed, nothing downloaded.

Wheels are unpacked into a temporary folder that Python searches. Every part writes `FOLDER/PART.json` when it ends, and
again after each project in it, so that a machine that is taken away leaves what there was.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

PRETEND = "GPUWHEEL_FAKE_GPU"  # set in a process that sees the pretend GPU
TAIL = 4000  # characters of output that a result keeps
TOOLS = ("memcheck", "racecheck", "synccheck", "initcheck")
ON_GPU = "cuda or gpu"  # in the names of tests that need one
DRAWN = 6  # tests for a sanitizer and a project
LEAST = 15  # seconds under which nothing is begun
SHARES = {"tests": 90, "benchmark": 80, "sanitizer": 40}  # seconds that one project may take of each
_MACHINE = """
import json, platform, torch
found = {"python": platform.python_version(), "torch": torch.__version__, "torch_cuda": torch.version.cuda}
if torch.cuda.is_available():
    p = torch.cuda.get_device_properties(0)
    found |= {"device": p.name, "compute_capability": f"{p.major}.{p.minor}", "count": torch.cuda.device_count()}
print(json.dumps(found))
"""


@dataclass
class Session:
    """One run on one machine."""

    house: Path
    out: Path
    work: Path
    deadline: float
    """On the clock of `time.monotonic`."""
    seed: int
    about: dict[str, Any] = field(default_factory=dict)
    """What stands at the head of every result."""
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Part -> what ran of it -> what came of it."""

    @property
    def left(self) -> float:
        """Seconds until nothing may run any more."""
        return self.deadline - time.monotonic()

    @property
    def pretend(self) -> bool:
        """Whether the GPU is the pretend one."""
        return PRETEND in os.environ

    def environ(self) -> dict[str, str]:
        """For programs of the session."""
        path = os.pathsep.join([str(self.work / "site"), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        required = {} if self.pretend else {"GPUWHEEL_REQUIRE": "gpu"}
        return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **required}

    def run(self, words: Sequence[str], cwd: Path, seconds: float) -> dict[str, Any]:
        """Run a program for at most `seconds`; what came of it. It is killed with all that it started."""
        began = time.monotonic()
        limit = min(seconds, self.left)
        with subprocess.Popen(
            words,
            cwd=cwd,
            env=self.environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=limit)
                state = "passed" if process.returncode == 0 else "failed"
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                output, _ = process.communicate()
                state = "timed out"
        shown = [word.replace(str(self.work), "WORK").replace(str(self.out), "OUT") for word in words]
        shown[0] = "python" if shown[0] == sys.executable else shown[0]
        result = {
            "command": shown,
            "state": state,
            "status": process.returncode,
            "seconds": round(time.monotonic() - began, 1),
        }
        return {**result, "tail": output[-TAIL:], "output": output}

    def keep(self, part: str, name: str, result: dict[str, Any]) -> None:
        """Write the results of a part with one more, whole or not at all, and say it."""
        results = self.results.setdefault(part, {})
        results[name] = result
        what = result.get("why") or result.get("counts") or result.get("summary") or ""
        print(f"[{self.left:4.0f} s left] {part}, {name}: {result['state']} {what}", flush=True)
        document = {"schema": 1, "part": part, **self.about, "results": results}
        temporary = self.out / f".{part}.json"  # no `atomic_file`: the standard library is all there is
        temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        temporary.replace(self.out / f"{part}.json")


def unpack(wheels: Path, ours: set[str], site: Path) -> list[str]:
    """Unpack the wheels of projects, and of others those that this Python has not; names of what was unpacked."""
    unpacked = []
    for wheel in sorted(wheels.glob("*.whl")):
        name = wheel.name.split("-")[0]
        if wheel.name not in ours and _is_installed(name):
            continue
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
        for scheme in ("purelib", "platlib"):
            for folder in site.glob(f"{name}-*.data/{scheme}"):
                shutil.copytree(folder, site, dirs_exist_ok=True)
        unpacked.append(wheel.name)
    return unpacked


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def run_tests(session: Session, name: str) -> None:
    """A project's own tests; on a GPU those that need one, and none of them may be skipped for want of it."""
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    chosen = [] if session.pretend else ["-k", ON_GPU]
    result = session.run([*words, *chosen], session.work / "projects" / name, SHARES["tests"])
    counts = re.findall(r"(\d+) (passed|failed|skipped|errors?)", result.pop("output"))
    result["counts"] = {word: int(number) for number, word in counts}
    session.keep("tests", name, result)


def run_benchmark(session: Session, name: str) -> None:
    """Ours beside a copy, eager torch and `torch.compile`; the benchmark writes its figures as they come."""
    project = session.work / "projects" / name
    (script,) = (project / "benchmarks").glob("bench*.py")
    figures = session.work / f"{name}.json"
    sizes = ["65536"] if session.pretend else ["1048576", "16777216", "268435456"]
    words = [sys.executable, f"benchmarks/{script.name}", "--json", str(figures), "--sizes", *sizes]
    result = session.run([*words, "--dtypes", "bfloat16"], project, SHARES["benchmark"])
    del result["output"]
    result["figures"] = json.loads(figures.read_text(encoding="utf-8")) if figures.exists() else None
    session.keep("benchmarks", name, result)


def run_sanitizers(session: Session, name: str) -> None:
    """Each tool of compute-sanitizer on tests of a project, drawn by the seed."""
    program = shutil.which("compute-sanitizer")
    if program is None:
        session.keep("sanitizer", name, {"state": "not begun", "why": "no compute-sanitizer on PATH"})
        return
    folder = session.work / "projects" / name
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    found = session.run([*pytest, "--collect-only", "-k", ON_GPU], folder, 60)["output"]
    known = [line for line in found.splitlines() if "::" in line and " " not in line]
    if not known:
        session.keep("sanitizer", name, {"state": "not begun", "why": f"no test has {ON_GPU!r} in its name"})
        return
    draw = random.Random(session.seed)  # noqa: S311 (a sample, not a secret)
    for tool in TOOLS:
        if session.left < LEAST:
            session.keep("sanitizer", f"{name} {tool}", {"state": "not begun", "why": "no time was left"})
            continue
        chosen = draw.sample(known, min(DRAWN, len(known)))
        words = [program, "--tool", tool, "--error-exitcode", "1", *pytest, *chosen]
        result = session.run(words, folder, SHARES["sanitizer"])
        summary = re.findall(r"(?:ERROR|RACECHECK) SUMMARY: .*", result.pop("output"))
        about = {"tests": chosen, "of": len(known), "summary": summary}
        session.keep("sanitizer", f"{name} {tool}", {**result, **about})


def run_everything(session: Session, projects: Sequence[str]) -> None:
    """What tells most first: does it work, how fast is the sample, is its memory sound; then the same of the others."""
    first, others = projects[:1], projects[1:]
    order = [("tests", run_tests, projects)]
    for some in (first, others):
        order += [("benchmarks", run_benchmark, some), ("sanitizer", run_sanitizers, some)]
    for part, function, names in order:
        for name in names:
            if session.left < LEAST:
                session.keep(part, name, {"state": "not begun", "why": "no time was left"})
            else:
                function(session, name)


def main(argv: Sequence[str] | None = None) -> int:
    """Run every part that time allows; the exit status is 0 if nothing that ran has failed and all tests ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheelhouse", type=Path, help="made by ci/gpu/wheelhouse.py")
    parser.add_argument("--out", type=Path, default=Path("gpu-results"), help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=460, help="for everything (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the drawn share (default: %(default)s)")
    options = parser.parse_args(argv)
    house = options.wheelhouse.absolute()
    if not (house / "wheelhouse.json").is_file():
        parser.exit(2, f"{house} is no wheelhouse (found no wheelhouse.json in it)\nhint: nox -s gpu-wheelhouse\n")
    made = json.loads((house / "wheelhouse.json").read_text(encoding="utf-8"))
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gpuwheel-gpu-") as folder:
        session = Session(house, options.out.absolute(), Path(folder), time.monotonic() + options.seconds, options.seed)
        ours = {row["wheel"] for row in made["projects"]} | {p.name for p in (house / "wheels").glob("gpuwheel-*.whl")}
        unpacked = unpack(house / "wheels", ours, session.work / "site")
        shutil.copytree(house / "projects", session.work / "projects")
        machine = session.run([sys.executable, "-c", _MACHINE], session.work, 120)
        lines = machine["output"].strip().splitlines() or ["null"]
        session.about = {
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "commit": made["commit"],
            "command": f"ci/gpu.sh WHEELHOUSE --seconds {options.seconds:g} --seed {options.seed}",
            "pretend": session.pretend,
            "machine": json.loads(lines[-1]) if machine["state"] == "passed" else {"error": machine["tail"]},
        }
        session.keep("machine", "machine", {"state": machine["state"], "unpacked": unpacked})
        if "device" not in session.about["machine"]:
            print(f"torch of {sys.executable} sees no GPU\n{machine['tail']}", file=sys.stderr)
            return 1
        run_everything(session, [row["name"] for row in made["projects"]])
    states = {result["state"] for part in session.results.values() for result in part.values()}
    of_tests = {result["state"] for result in session.results.get("tests", {}).values()}
    return int("failed" in states or of_tests != {"passed"})


if __name__ == "__main__":
    sys.exit(main())
