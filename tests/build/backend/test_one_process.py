"""A build knows its folder and its environment, whatever those of the process are, and whatever it built before."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

pytestmark = [pytest.mark.network, pytest.mark.compiler]

PYPROJECT = """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"

[project]
name = "{name}"
dynamic = ["version", "dependencies"]
requires-python = ">=3.10"

[tool.scikit-build]
experimental = true

[tool.scikit-build.metadata.version]
provider = "provider"
provider-path = "."

[tool.gpuwheel]
archs = ["8.0"]

[tool.gpuwheel.kernels.k]
sources = ["k.cu"]

[tool.gpuwheel.extensions."{name}._C"]
sources = ["ops.cpp"]
kernels = ["k"]
"""
PROVIDER = (
    "import os\n\n\ndef dynamic_metadata(field, settings=None):\n    return os.environ.get('OPS_VERSION', '1.0')\n"
)
BENDING = """\
import logging, os, signal, sys, warnings


def dynamic_metadata(field, settings=None):
    os.environ["CXXFLAGS"] = "-DSCALE=3"
    os.chdir("/")
    sys.path.insert(0, "/")
    logging.getLogger("scikit_build_core").setLevel(logging.DEBUG)
    warnings.simplefilter("error")
    raise {error}
"""
KERNEL = 'extern "C" __global__ void fill(float* out) {{ out[0] = {value}; }}\n'
# Launched when it is loaded, which nobody does here: so it is linked, without the headers of torch.
HOST = """\
#include "k.kernels.h"
__attribute__((constructor)) static void start() { fill.launch(gpuwheel::LaunchConfig{1, SCALE, nullptr}, nullptr); }
"""
# Builds one after the other in one process; says of each what came out, and what of the process is not as before.
BUILDS = """
import hashlib, json, logging, os, shutil, signal, sys, warnings
from pathlib import Path
import requests  # it sets up handlers and filters of its own where it is imported
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.pipeline import Build


def state():
    mask = os.umask(0o22)
    os.umask(mask)
    folder = os.stat(".")
    loggers = [logging.root, *(one for one in logging.root.manager.loggerDict.values() if hasattr(one, "handlers"))]
    return {
        "folder": (folder.st_dev, folder.st_ino),
        "environment": dict(os.environ),
        "path": list(sys.path),
        "hooks": [list(map(str, hooks)) for hooks in (sys.meta_path, sys.path_hooks)],
        "signals": [str(signal.getsignal(number)) for number in (1, 2, 15)],
        "log": sorted((one.name, str(one.handlers), one.level) for one in loggers if one.handlers or one.level),
        "umask": mask,
        "warnings": list(map(str, warnings.filters)),
        "outputs": [os.fstat(number).st_ino for number in (1, 2)],
        "providers": [name for name in sys.modules if name == "provider"],
    }


for step in json.load(sys.stdin):
    if "folder" in step:
        os.makedirs(step["folder"], exist_ok=True)
        os.chdir(step["folder"])
    if step.get("deleted"):
        shutil.rmtree(step["folder"])
    before = state()
    said = {}
    try:
        build = Build(Path(step["root"]), step["environ"], step.get("settings", {}), SilentReporter())
        name = getattr(build, step.get("hook", "wheel"))(Path(step["out"]), **step.get("options", {}))
        path = Path(step["out"], name)
        said = {"name": name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None}
    except BaseException as error:
        said = {"error": type(error).__name__}
    after = state()
    said["differs"] = {key: (before[key], after[key]) for key in before if before[key] != after[key]}
    print("BUILT", json.dumps(said), flush=True)
"""


@dataclass
class World:
    """Projects, and processes that build them."""

    path: Path
    new_cache: Callable[[], Path]

    def project(self, name: str, *, provider: str = PROVIDER, value: int = 1) -> Path:
        root = self.path / name
        (root / name).mkdir(parents=True)
        files = {
            "pyproject.toml": PYPROJECT.format(name=name),
            "provider.py": provider,
            "k.cu": KERNEL.format(value=value),
            "ops.cpp": HOST,
            f"{name}/__init__.py": "",
        }
        for file, text in files.items():
            (root / file).write_text(text, encoding="utf-8")
        return root

    def step(self, root: Path | str, cache: Path, *, more: Mapping[str, object] | None = None, **variables: str) -> Any:  # noqa: ANN401 (JSON)
        """A build of `root` with an environment of its own."""
        out = self.path / f"out-{len(list(self.path.iterdir()))}"
        out.mkdir()
        environ = {**os.environ, "CXXFLAGS": "-DSCALE=1", "GPUWHEEL_CACHE_DIR": str(cache), **variables}
        return {"root": str(root), "environ": environ, "out": str(out), **(more or {})}

    def built(self, *steps: Mapping[str, object], cwd: Path | None = None, **environ: str) -> list[dict[str, Any]]:
        """What came of builds in one process, which has nothing of their environments."""
        mine = {"PATH": "/nowhere", "HOME": "/nowhere", "CXXFLAGS": "-DSCALE=99", "PYTHONDONTWRITEBYTECODE": "1"}
        kept = {name: os.environ[name] for name in ("LD_PRELOAD", "PYTHONPATH") if name in os.environ}
        done = subprocess.run(  # noqa: TID251 (a program that uses gpuwheel)
            [sys.executable, "-c", BUILDS],
            input=json.dumps(steps),
            cwd=cwd or self.path,
            env={**kept, **mine, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        told = [json.loads(line.partition(" ")[2]) for line in done.stdout.splitlines() if line.startswith("BUILT ")]
        assert len(told) == len(steps), done.stdout
        assert [one["differs"] for one in told] == [{}] * len(steps), done.stdout
        return told


@pytest.fixture
def world(tmp_path: Path, cache: Path) -> World:
    shared = cache / "v1"

    def new_cache() -> Path:
        """Nothing compiled is in it; what was downloaded is shared."""
        fresh = tmp_path / f"cache-{len(list(tmp_path.iterdir()))}"
        for kind in ("sdk", "toolchains"):
            (shared / kind).mkdir(parents=True, exist_ok=True)
            (fresh / "v1").mkdir(parents=True, exist_ok=True)
            (fresh / "v1" / kind).symlink_to(shared / kind)
        return fresh

    return World(tmp_path, new_cache)


def test_the_current_folder_and_environment_of_the_process_do_not_matter(world: World) -> None:
    root = world.project("ops")
    (within,) = world.built(world.step(root, world.new_cache()), cwd=root, **os.environ, CXXFLAGS="-DSCALE=1")
    kept = world.new_cache()
    gone = {"folder": str(world.path / "gone"), "deleted": True}
    others = world.built(
        world.step(root, kept, more=gone),  # compiles
        world.step(root, kept, more={"folder": "/"}),
        world.step("ops", kept, more={"folder": str(world.path)}),
        world.step(".", kept, more={"folder": str(root)}),
        world.step("../ops/", kept, more={"folder": str(root)}),
        world.step(root, Path("../cache"), more={"folder": "/"}),  # compiles, in a cache beside the project
    )
    assert "sha256" in within
    assert others == [within] * len(others)
    assert (world.path / "cache" / "v1" / "libraries").is_dir()


def test_the_places_of_results_are_those_of_the_caller(world: World) -> None:
    root = world.project("plain")
    elsewhere = world.path / "elsewhere"
    hooks: list[tuple[str, dict[str, bool]]] = [("wheel", {}), ("sdist", {}), ("prepare", {"editable": False})]
    kept, there = world.new_cache(), {"folder": str(elsewhere), "out": ""}
    told = world.built(
        *({**world.step(root, kept), **there, "hook": hook, "options": options} for hook, options in hooks)
    )
    assert {one["name"] for one in told} == {path.name for path in elsewhere.iterdir()}
    assert sorted(path.name for path in root.iterdir()) == ["k.cu", "ops.cpp", "plain", "provider.py", "pyproject.toml"]


def test_one_build_after_the_other_is_as_each_alone(world: World) -> None:
    first, second = world.project("ops", value=1), world.project("more", value=2)
    ways = [
        (first, {"CXXFLAGS": "-DSCALE=1", "OPS_VERSION": "1.5", "SOURCE_DATE_EPOCH": "1700000000"}),
        (second, {"CXXFLAGS": "-DSCALE=2 -O1", "OPS_VERSION": "2.5", "SKBUILD_LOGGING_LEVEL": "INFO"}),
    ]
    alone = [world.built(world.step(root, world.new_cache(), **variables)) for root, variables in ways]
    failing = world.project("failing", provider=BENDING.format(error="ValueError('no version')"))
    stopping = world.project("stopping", provider=BENDING.format(error="KeyboardInterrupt"))
    kept = world.new_cache()
    told = world.built(
        world.step(failing, kept),
        world.step(ways[0][0], kept, **ways[0][1]),
        world.step(stopping, kept),
        {**world.step(first, kept), "environ": {"GPUWHEEL_CACHE_DIR": str(kept), "PATH": "/nowhere"}},
        world.step(ways[1][0], kept, **ways[1][1]),
    )
    assert [one for one in told if "error" not in one] == [one for (one,) in alone]
    assert [one.get("error") for one in told] == ["ValueError", None, "KeyboardInterrupt", "ToolchainError", None]
    assert [one["name"].split("-")[:2] for (one,) in alone] == [["ops", "1.5"], ["more", "2.5"]]


def test_a_compiler_of_the_project_is_found_from_anywhere(world: World) -> None:
    root = world.project("ops")
    (root / "tools").mkdir()
    compiler = shutil.which("c++")
    assert compiler is not None
    for name in ("named", "c++"):
        script = f'#!/bin/sh\n: > {root}/{name}.started\nexec {compiler} "$@"\n'
        (root / "tools" / name).write_text(script, encoding="utf-8")
        (root / "tools" / name).chmod(0o755)
    named, found = world.built(
        world.step(root, world.new_cache(), more={"folder": "/"}, CXX="./tools/named"),
        world.step(root, world.new_cache(), more={"folder": "/"}, PATH=f"tools:{os.environ['PATH']}"),
    )
    assert named == found
    assert {path.name for path in root.glob("*.started")} == {"named.started", "c++.started"}
