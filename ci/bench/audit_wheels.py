"""What an audit costs: `gpuwheel audit` beside `auditwheel show` and `abi3audit`, on large wheels of the index.

python ci/bench/audit_wheels.py                 # prints, and writes ci/bench/results/audit-wheels-DATE.json
python ci/bench/audit_wheels.py --keep FOLDER   # wheels are looked for there first, and stay

Each tool audits each wheel in a process of its own: seconds of CPU, user and system, and the largest resident set. What
takes longer than --limit seconds is stopped, and its figure is a lower bound. On a machine that others use, the same
work takes more CPU: --times 3 measures each so often, tools in turn, and keeps the least. Modules are compiled to
bytecode before, as an installer does.

auditwheel judges wheels for Linux alone, abi3audit extension modules for the stable ABI: of others they say nothing,
which costs nothing. --floor measures what nothing that looks at each file can save: to read the wheel, to inflate it by
each engine that is installed (zlib, zlib-ng, igzip of the package isal), and SHA-256 of what comes out.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.util
import json
import sys
import tempfile
import time
import zipfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from machine import as_installed, describe

from gpuwheel._archives import Archive
from gpuwheel._run import run
from gpuwheel.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
WHEELS = ("triton==3.9.0", "transformer-engine-cu12==2.20.2", "flashinfer-cubin==0.6.13")
"""260, 730 and 460 MB; the last has 15,970 cubins."""
TOOLS = {
    "gpuwheel": ("-c", "from gpuwheel.cli import main; main()", "audit", "--fail-on", "never"),
    "auditwheel": ("-m", "auditwheel", "show"),
    "abi3audit": ("-m", "abi3audit"),
}
ENGINES = ("zlib", "zlib_ng.zlib_ng", "isal.isal_zlib")
_MEASURED = """
import json, resource, subprocess, sys
try:
    code = subprocess.run(sys.argv[2:], capture_output=True, timeout=float(sys.argv[1])).returncode
except subprocess.TimeoutExpired:
    code = None
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([code, used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""


@dataclass(frozen=True)
class Measured:
    """One tool on one wheel."""

    tool: str
    version: str
    wheel: str
    size: int
    """Bytes of the wheel."""
    status: int | None
    """Exit status; `None`: it was stopped."""
    cpu: float
    """Seconds."""
    memory: int
    """Megabytes."""


def fetched(requirement: str, folder: Path) -> Path:
    """The wheel for this machine, from the index or from the folder."""
    name, _, number = requirement.partition("==")
    pattern = f"{name.replace('-', '_')}-{number}-*.whl"
    # A folder may hold those for other machines too.
    found = [path for path in sorted(folder.glob(pattern)) if "any" in path.name or "x86_64" in path.name]
    if not found:
        run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "-q",
                "--no-deps",
                "--only-binary=:all:",
                "-d",
                str(folder),
                requirement,
            ]
        )
        found = sorted(folder.glob(pattern))
    return found[0]


def measured(tool: str, wheel: Path, limit: float, environment: dict[str, str]) -> Measured:
    """Run one tool on one wheel."""
    words = [sys.executable, "-c", _MEASURED, str(limit), sys.executable, *TOOLS[tool], str(wheel)]
    status, cpu, kilobytes = json.loads(run(words, env=environment).stdout)
    return Measured(tool, version(tool), wheel.name, wheel.stat().st_size, status, round(cpu, 2), kilobytes // 1024)


def floor(wheel: Path) -> dict[str, float]:
    """Seconds of CPU: reading, inflating by each engine, and SHA-256 of as many bytes."""
    engines = {name: importlib.import_module(name) for name in ENGINES if importlib.util.find_spec(name.split(".")[0])}
    spent = dict.fromkeys(("read", *engines, "sha256"), 0.0)
    zeros = bytes(1 << 20)  # which cost SHA-256 what any bytes do

    @contextmanager
    def timed(what: str) -> Iterator[None]:
        start = time.process_time()
        yield
        spent[what] += time.process_time() - start

    with wheel.open("rb") as raw, zipfile.ZipFile(raw) as archive:
        reading = Archive(raw, wheel.name, wheel.stat().st_size, error=AuditError, hint="", strict=False)
        for member in archive.infolist():
            with timed("read"):
                blocks = list(reading.packed(member))
            for name, engine in engines.items() if member.compress_type == zipfile.ZIP_DEFLATED else ():
                stream = engine.decompressobj(-15)
                with timed(name):
                    for block in blocks:
                        stream.decompress(block)
            digest = hashlib.sha256()
            with timed("sha256"):
                for left in range(member.file_size, 0, -len(zeros)):
                    digest.update(zeros[:left])
    return {what: round(seconds, 2) for what, seconds in spent.items()}


def main() -> int:
    """Measure and print; write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", default=",".join(WHEELS), help="requirements, with commas between them")
    parser.add_argument("--tools", default=",".join(TOOLS))
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--limit", type=float, default=900, help="seconds for one tool and one wheel")
    parser.add_argument("--floor", action="store_true", help="measure what no tool can save, too")
    parser.add_argument("--times", type=int, default=1, help="how often each is measured; the least CPU counts")
    parser.add_argument("--no-result", action="store_true")
    options = parser.parse_args()
    rows, floors = [], {}
    with tempfile.TemporaryDirectory() as temporary:
        environment = as_installed(Path(temporary), [TOOLS[tool] for tool in options.tools.split(",")])
        for requirement in options.wheels.split(","):
            wheel = fetched(requirement, options.keep or Path(temporary))
            if options.floor:
                floors[wheel.name] = floor(wheel)
                print(f"{requirement:<34} {floors[wheel.name]}", flush=True)
            tools = options.tools.split(",")
            turns = [measured(tool, wheel, options.limit, environment) for _ in range(options.times) for tool in tools]
            for tool in tools:
                row = min((turn for turn in turns if turn.tool == tool), key=lambda turn: turn.cpu)
                rows.append(row)
                more = " (stopped)" if row.status is None else ""
                print(f"{requirement:<34} {tool:<12} {row.cpu:>8.1f} s {row.memory:>6} MB{more}", flush=True)
    now = datetime.now(timezone.utc)
    commit = run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT).stdout.strip()
    document = {
        "date": f"{now:%Y-%m-%d}",
        "commit": commit,
        "machine": describe(),
        "rows": [asdict(row) for row in rows],
        "floor": floors,
    }
    if not options.no_result:
        path = ROOT / "ci" / "bench" / "results" / f"audit-wheels-{now:%Y-%m-%d}.json"
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
