"""Make what `ci/gpu.sh` takes to a machine with a GPU: wheels, and the tests and benchmarks that belong to them.

python ci/gpu/wheelhouse.py WHEELHOUSE                     # the sample and every template, for Python 3.12
python ci/gpu/wheelhouse.py WHEELHOUSE --python 3.11 --projects sample,embed --archs 9.0

Each wheel is built in isolation, as users do; gpuwheel's own comes from this repository, all else from the index.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._run import ProcessFailedError, run

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]
PROJECTS: dict[str, dict[str, str]] = {  # the templates with every option on
    "sample": {},
    "embed": {},
    "kernels": {"cutile": "true"},
    "nvcc": {"cublaslt": "true"},
    "nvmath": {},
}
# What the wheels and their tests import, where the machine has it not. torch, numpy and CUDA's libraries are its own.
SPARE = ("cuda-bindings==13.*", "cuda-core>=1,<2", "cuda-pathfinder", "nvmath-python>=1.0")
TOOLS = ("iniconfig", "packaging", "pluggy", "pygments", "pytest>=8")
PLATFORMS = ("manylinux2014_x86_64", *(f"manylinux_2_{minor}_x86_64" for minor in (17, 24, 26, 27, 28, 31, 34)))
TAKEN = ("tests", "benchmarks", "csrc", "pyproject.toml")  # some tests compile sources for the CPU


def project_of(name: str, work: Path) -> Path:
    """The folder of a project: the sample's, or a template rendered."""
    if name == "sample":
        return ROOT / "sample_extension"
    data = [word for key, value in PROJECTS[name].items() for word in ("--data", f"{key}={value}")]
    folder = work / f"{name}-ops"
    run([sys.executable, "-m", "gpuwheel", "new", folder, "--template", name, "--defaults", "--no-git", *data])
    return folder


def add(name: str, house: Path, options: argparse.Namespace, work: Path) -> dict[str, str]:
    """Build a project's wheel into the wheelhouse, and copy what tests it; its row in the list of projects."""
    say(f"{name}: building")
    project, dist = project_of(name, work), work / "dist" / name
    archs = ["-C", f"gpuwheel.archs={options.archs}"] if options.archs else []
    pip_wheel = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir")
    run([*pip_wheel, dist, "--find-links", house / "wheels", *archs, project])
    (wheel,) = dist.iterdir()
    shutil.move(wheel, house / "wheels")
    for part in TAKEN:
        source, target = project / part, house / "projects" / name / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy2(source, target)
    return {"name": name, "wheel": wheel.name}


def say(text: str) -> None:
    """What is going on."""
    print(f"* {text}", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Make the folder; it appears whole or not at all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheelhouse", type=Path, help="a new folder")
    parser.add_argument("--projects", default=",".join(PROJECTS), metavar="A,B", help="default: %(default)s")
    parser.add_argument("--python", default="3.12", metavar="X.Y", help="of the machine (default: %(default)s)")
    parser.add_argument("--archs", metavar="LIST", help="in place of the projects' own, for example 9.0")
    options = parser.parse_args(argv)
    target: Path = options.wheelhouse.absolute()
    if target.exists():
        parser.exit(2, f"{target} is there (expected a new folder)\n")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        work, house = Path(folder, "work"), Path(folder, "house")
        pip = (sys.executable, "-m", "pip")
        run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", house / "wheels", ROOT])
        say("what they need beside torch")
        binary = ["--only-binary=:all:", "--python-version", options.python, "--implementation", "cp"]
        platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
        run([*pip, "download", "--quiet", "--no-deps", "--dest", house / "wheels", *binary, *platforms, *SPARE, *TOOLS])
        rows = [add(name, house, options, work) for name in options.projects.split(",")]
        commit = run(["git", "-C", ROOT, "rev-parse", "HEAD"], check=False).stdout.strip()
        document = {"schema": 1, "commit": commit, "python": options.python, "projects": rows}
        (house / "wheelhouse.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        house.rename(target)
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    say(f"{target}: {len(rows)} projects, {size / 1e6:.0f} MB")


if __name__ == "__main__":
    try:
        main()
    except ProcessFailedError as error:
        sys.exit(error.render())
