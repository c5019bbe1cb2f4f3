"""How many setup.py files in the shapes of public projects' reach a project that builds, by `gpuwheel init` alone.

    python ci/init_shapes.py                          # init and plan, a line each
    python ci/init_shapes.py --build flash-attention  # and a wheel, by pip, of these

Those that a CMakeLists.txt compiles are counted apart: init writes pyproject.toml, and lists the lines of CMake's that
have to change.
Exits with 1 where fewer than nine of ten of the others reach it, or where a wheel does not build.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from click.testing import CliRunner

from gpuwheel._run import run
from gpuwheel.cli import main as gpuwheel

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "unit" / "init"))

from shapes import ALL  # noqa: E402 (it is found by the line above)

if TYPE_CHECKING:
    from shapes import Shape

SHARE = 0.9


def reaches(shape: Shape, project: Path) -> str:
    """Empty where `init` and `plan` succeed on it; else what they say."""
    runner = CliRunner(env=dict(shape.environ))
    words = ["init", str(project), *(["--", *shape.arguments] if shape.arguments else [])]
    for command in (words, ["plan", str(project)]):
        result = runner.invoke(gpuwheel, command)
        if result.exit_code != 0:
            return next((line for line in result.stderr.splitlines() if line.startswith("error")), "failed")
    return "" if shape.refused is None else shape.refused or "a source would be missing: it lies outside of the project"


def build(project: Path, out: Path) -> str:
    """Empty where pip makes the wheel; else the end of what it prints."""
    words = ["-m", "pip", "wheel", str(project), "--no-build-isolation", "--no-deps", "-w", str(out)]
    done = run([sys.executable, *words], env=dict(os.environ), check=False)
    return "" if done.returncode == 0 else "\n".join(done.output.splitlines()[-15:])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", nargs="*", default=[], metavar="NAME", help="make wheels of these too")
    asked = parser.parse_args().build
    reached, broken = [], []
    with tempfile.TemporaryDirectory() as folder:
        for shape in ALL:
            project = shape.write(Path(folder) / shape.name)
            said = reaches(shape, project)
            reached += [] if said else [shape]
            if shape.name in asked:
                start = time.monotonic()
                problem = build(project, Path(folder) / "wheels")
                broken += [f"{shape.name}: {problem}"] if problem else []
                said = f"{'no wheel' if problem else 'a wheel'}, {time.monotonic() - start:.0f} s"
            print(f"{shape.name:28} {said or 'plan accepts it'}", flush=True)
    today = dt.datetime.now(tz=dt.timezone.utc).date()
    setuptools = [shape for shape in ALL if not shape.by_cmake]
    without_edit = [shape for shape in reached if not shape.by_cmake]
    share = len(without_edit) / len(setuptools)
    print(f"{today}: {len(without_edit)} of {len(setuptools)} that setuptools compiles ({share:.0%}) need no edit")
    print(
        f"{len(reached) - len(without_edit)} of {len(ALL) - len(setuptools)} that CMake compiles get a pyproject.toml"
    )
    print(*broken, sep="\n")
    sys.exit(1 if broken or share < SHARE else 0)


if __name__ == "__main__":
    main()
