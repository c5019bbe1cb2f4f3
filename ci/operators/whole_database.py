"""torch's own operators on the pretend GPU, all that its database (OpInfo) has: values, `out=`, in place, derivatives,
strides, errors and dtypes of each entry, beside the CPU (`database.py`). No GPU is needed, and none is compared with.

A run can be interrupted; the same command goes on. An entry at which the process dies is a finding. Results are dated.

  python ci/operators/whole_database.py 2.15.0           # some minutes; writes ci/operators/results
  python ci/operators/whole_database.py 2.15.0 --samples 10 --seconds 60
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from gpuwheel._cache import Cache
from gpuwheel._run import run
from gpuwheel.testing.environment import FakeSettings, fake_gpu_environment
from gpuwheel.testing.torch_environments import torch_environment

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CHUNK = 40
FINE = {"equal", "close", "the same error", "equal to wider numbers", "close to wider numbers"}


def command(version: str) -> tuple[list[str], dict[str, str]]:
    """The program of that torch, and the environment in which it sees the pretend GPU."""
    python = torch_environment(version, environ=os.environ)
    site_packages = next((python.parent.parent / "lib").glob("python3.*")) / "site-packages"
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    kept |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    cache = Cache.from_environment(os.environ)
    settings = FakeSettings(execute=True)
    fake = fake_gpu_environment(kept, cache=cache, site_packages=site_packages, settings=settings)
    return [str(python), str(HERE / "database.py")], {**kept, **fake}


def go_on(path: Path, words: list[str], environ: dict[str, str]) -> bool:
    """The next entries, whose lines are added to a file; False when there are no more."""
    done = [json.loads(line)["operator"] for line in path.read_text(encoding="utf-8").splitlines()]
    last = done[-1] if done else ""
    begun, new = "", 0
    ended = run([*words, "--after", last, "--count", str(CHUNK)], env=environ, check=False)
    with path.open("a", encoding="utf-8") as file:
        for line in ended.stdout.splitlines():
            document = json.loads(line) if line.startswith("{") else {}
            begun = document.get("begins", begun)
            if "operator" in document:
                file.write(line + "\n")
                begun, new = "", new + 1
        if begun:
            found = [{"aspect": "process", "kind": "died", "text": f"exit status {ended.returncode}", "dtypes": []}]
            file.write(json.dumps({"operator": begun, "counts": {}, "found": found}) + "\n")
            return True
    if ended.returncode != 0:
        sys.exit(f"database.py ended with {ended.returncode} before an entry began")
    return new == CHUNK


def result(version: str, documents: list[dict[str, Any]], samples: int) -> dict[str, Any]:
    """What is kept: counts, and what was found with the entries where it was."""
    counts: dict[str, Counter[str]] = {}
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for document in documents:
        for aspect, kinds in document["counts"].items():
            counts.setdefault(aspect, Counter()).update(kinds)
        for one in document["found"]:
            if one["kind"] in FINE and (one["aspect"], one["kind"]) != ("forward", "the same error"):
                continue
            text = one["text"].replace(document["operator"].split(".")[-1], "OPERATOR")
            kept = found.setdefault(
                (one["aspect"], one["kind"], text), {**one, "text": text, "dtypes": set(), "operators": []}
            )
            kept["dtypes"].update(one["dtypes"])
            kept["operators"].append(document["operator"])
    commit = run(["git", "rev-parse", "HEAD"], cwd=ROOT).stdout.strip()
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M"),
        "commit": commit,
        "torch": version,
        "entries": len(documents),
        "samples": samples,
        "counts": {aspect: dict(sorted(kinds.items())) for aspect, kinds in counts.items()},
        "found": [{**one, "dtypes": sorted(one["dtypes"])} for _, one in sorted(found.items())],
    }


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("torch")
    parser.add_argument("--samples", type=int, default=3, help="of each dtype of each entry")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="then stop; the same command goes on")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "gpuwheel-operators")
    options = parser.parse_args()
    for folder in (options.work, HERE / "results"):
        folder.mkdir(parents=True, exist_ok=True)
    path = options.work / f"torch-{options.torch}-{options.samples}.jsonl"
    path.touch()
    words, environ = command(options.torch)
    end = time.monotonic() + options.seconds
    while go_on(path, [*words, "--samples", str(options.samples)], environ):
        if time.monotonic() > end:
            sys.exit(f"{len(path.read_text(encoding='utf-8').splitlines())} entries are done; the same command goes on")
    documents = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    kept = result(options.torch, documents, options.samples)
    text = json.dumps({key: value for key, value in kept.items() if key != "found"}, indent=2)
    lines = ",\n".join(f"    {json.dumps(one)}" for one in kept["found"])
    name = f"{kept['date'][:10]}-torch-{options.torch}.json"
    (HERE / "results" / name).write_text(f'{text[:-2]},\n  "found": [\n{lines}\n  ]\n}}\n', encoding="utf-8")
    path.unlink()
    print(text)


main()
