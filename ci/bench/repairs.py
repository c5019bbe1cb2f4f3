"""What repairing large wheels costs, beside auditwheel: CPU, time and memory of each command, one after the other.

python ci/bench/repairs.py WHEEL...       # prints, and writes ci/bench/results/repairs-DATE.json

Each wheel gets another platform tag, by `gpuwheel repair --no-graft --plat` (which audits the result as well) and by
`auditwheel repair --only-plat --exclude '*'`; then gpuwheel strips it, which deflates its libraries anew.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

from machine import as_installed, describe

ROOT = Path(__file__).resolve().parents[2]
PLATFORM = "manylinux_2_39"


def measured(words: list[str], environment: dict[str, str]) -> dict[str, float]:
    """CPU and wall seconds, and peak megabytes, of a program and what it starts."""
    before = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(words, stdout=said, stderr=said, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - before
        code = os.waitstatus_to_exitcode(status)
        said.seek(0)
        if code not in {0, 9}:  # 9: written, and the audit has something to say
            raise SystemExit(said.read().decode("utf-8", "replace"))
    cpu = usage.ru_utime + usage.ru_stime
    return {"cpu": round(cpu, 1), "wall": round(wall, 1), "memory": round(usage.ru_maxrss / 1024)}


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheels", nargs="+", type=Path)
    asked = parser.parse_args()
    rows = []
    place = Path(tempfile.mkdtemp())
    tools = [("-m", "gpuwheel", "repair", "-w", str(place)), ("-m", "auditwheel", "repair", "-w", str(place))]
    environment = as_installed(place, tools)
    for wheel in asked.wheels:
        machine = "aarch64" if "aarch64" in wheel.name else "x86_64"
        ours = [sys.executable, "-m", "gpuwheel", "repair", "--no-graft"]
        theirs = [sys.executable, "-m", "auditwheel", "repair", "--exclude", "*", "--only-plat"]
        commands = {
            "gpuwheel repair --plat": [*ours, "--plat", PLATFORM],
            "auditwheel repair --plat": [*theirs, "--plat", f"{PLATFORM}_{machine}"],
            "gpuwheel repair --strip": [*ours, "--strip"],
        }
        for what, words in commands.items():
            with tempfile.TemporaryDirectory() as out:
                row = {"wheel": wheel.name, "bytes": wheel.stat().st_size, "what": what}
                rows.append({**row, **measured([*words, "-w", out, str(wheel)], environment)})
            print(json.dumps(rows[-1]), flush=True)
    shutil.rmtree(place)
    today = datetime.now(timezone.utc).date().isoformat()
    result = {"date": today, "machine": describe(), "rows": rows}
    target = ROOT / "ci" / "bench" / "results" / f"repairs-{today}.json"
    target.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
