"""What it costs to go from `gpuwheel new` to the first passing test, beside an installed torch.

For each template, in an environment with torch and gpuwheel[new], the commands of docs/tutorial/new-project.md:

  gpuwheel new fused-ops --template TEMPLATE --defaults
  pip install --group test .       # builds the wheel, in isolation
  pytest tests/test_values.py::test_float64_on_the_cpu

What counts is CPU: user and system seconds of all processes. gpuwheel's cache is empty before, as on a new machine;
pip's is as it is, for downloads take time, not CPU.

  python ci/bench/first_test.py                           # embed and kernels; prints the JSON's path
  python ci/bench/first_test.py --templates embed,nvcc
  python ci/bench/first_test.py --write-docs              # and write the table of docs/explanation/performance.md
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from machine import describe
from measure import measure
from page import add_options, keep

from gpuwheel._run import run

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from interpreters import find_interpreter  # noqa: E402  (shared with the tests, which are no package)
from torch_environments import environment_with, layer_on, release_that_pip_finds  # noqa: E402

OUT = Path(__file__).resolve().parent / "results" / "first-test.json"
TORCH, PYTHON = "2.13.0", "3.11"
PROJECT = "fused-ops"
TARGET_S = 60
FIRST = "tests/test_values.py::test_float64_on_the_cpu"


def steps(template: str, python: Path, project: Path) -> dict[str, list[str]]:
    """What a person types, by name."""
    gpuwheel = str(python.with_name("gpuwheel"))
    pip = [str(python), "-m", "pip", "install", "--quiet"]
    return {
        "gpuwheel new": [gpuwheel, "new", str(project), "--template", template, "--defaults"],
        "build and install": [*pip, "--group", f"{project}/pyproject.toml:test", str(project)],
        "first test": [str(python), "-m", "pytest", "--quiet", "--rootdir", str(project), f"{project}/{FIRST}"],
    }


def measured(template: str, torch: Path, links: Path, work: Path) -> dict[str, Any]:
    """Every step of one template, in a fresh environment with an empty cache."""
    folder = work / template
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    layer = layer_on(torch, folder)
    layer.install("pip>=26", f"{next(links.glob('*.whl'))}[new]")
    find_links = f"{os.environ.get('PIP_FIND_LINKS', '')} {links}".strip()
    env = {**os.environ, "PIP_FIND_LINKS": find_links, "GPUWHEEL_CACHE_DIR": str(folder / "cache")}
    env.pop("PYTHONPATH", None)
    found = {}
    for name, argv in steps(template, layer.python, folder / PROJECT).items():
        usage = measure(argv, cwd=folder, env=env, log=folder / f"{name}.log")
        print(f"{template:8} {name:18} {usage.cpu:6.1f} s CPU {usage.wall:6.1f} s", flush=True)
        found[name] = {"cpu": usage.cpu, "wall": usage.wall, "downloaded": usage.downloaded}
    return found


def torch_environment(work: Path) -> Path:
    """The Python of an environment with the CPU build of torch."""
    interpreter = find_interpreter(PYTHON)
    if interpreter is None:
        message = f"no Python {PYTHON}"
        raise SystemExit(message)
    release, environ = release_that_pip_finds(TORCH, PYTHON, work)
    return environment_with(release, PYTHON, interpreter, environ)


def table(result: dict[str, Any]) -> str:
    """The table of the page, as Markdown."""
    machine, measurements = result["machine"], result["measurements"]
    lines = [
        f"- Command: `{result['command']}`, on {machine['date']}.",
        f"- Machine: {machine['cores']} cores of {machine['processor']}, {machine['system']}.",
        "",
        f"| CPU seconds | {' | '.join(f'`{template}`' for template in measurements)} |",
        f"|---|{'---:|' * len(measurements)}",
    ]
    for step in next(iter(measurements.values())):
        seconds = [f"{found[step]['cpu']:.1f}" for found in measurements.values()]
        lines.append(f"| {step} | {' | '.join(seconds)} |")
    sums = [f"**{sum(step['cpu'] for step in found.values()):.1f}**" for found in measurements.values()]
    lines.append(f"| **together** (target: below {TARGET_S}) | {' | '.join(sums)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--templates", default="embed,kernels", metavar="A,B", help="default: %(default)s")
    add_options(parser, OUT)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gpuwheel-first-test-") as name:
        work = Path(name)
        run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", work / "dist", ROOT])
        torch = torch_environment(work)
        measurements = {
            template: measured(template, torch, work / "dist", work) for template in options.templates.split(",")
        }
    result = {
        "schema": 1,
        "command": f"python ci/bench/first_test.py --templates {options.templates}",
        "machine": describe(),
        "measurements": measurements,
    }
    keep(result, options, table)


if __name__ == "__main__":
    main()
