"""A wheel, built again from its sdist and its lock file, and what is said where it cannot be or differs."""

from __future__ import annotations

import json
import os
import sys
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jsonschema
import pytest

from gpuwheel._resources import resource
from gpuwheel._run import Completed, run
from gpuwheel.lock.file import LOCK_FILE

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.network, pytest.mark.compiler]

FILES = {
    "pyproject.toml": """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"

[project]
name = "ops"
version = "1"
requires-python = ">=3.10"
dynamic = ["dependencies"]

[tool.gpuwheel]
archs = ["8.0"]
locked = true

[tool.gpuwheel.kernels.tiny]
sources = ["twice.cu"]

[tool.gpuwheel.extensions."ops._C"]
sources = ["ops.cpp"]
kernels = ["tiny"]
""",
    "twice.cu": 'extern "C" __global__ void twice(float* x) { x[threadIdx.x] *= 2; }\n',
    "ops.cpp": """\
#include <gpuwheel/torch.h>
#include "tiny.kernels.h"
using torch::stable::Tensor;
namespace {
Tensor twice_cuda(const Tensor& x) {
  twice.launch({1, 32, gpuwheel::current_stream(x)}, x.mutable_data_ptr<float>());
  return x;
}
}  // namespace
STABLE_TORCH_LIBRARY(ops, m) { m.def("twice(Tensor(a!) x) -> Tensor(a!)"); }
STABLE_TORCH_LIBRARY_IMPL(ops, CUDA, m) { m.impl("twice", TORCH_BOX(&twice_cuda)); }
""",
    "ops/__init__.py": "",
}
HOOK = "import os, sys; from gpuwheel.backend import *; os.chdir(sys.argv[1]); print(eval(sys.argv[2])(sys.argv[3]))"


@dataclass(frozen=True)
class Release:
    """What a project published."""

    sdist: Path
    wheel: Path
    lock: Path

    def rebuild(self, *words: str | Path, **files: Path) -> Completed:
        given = {"wheel": self.wheel, "sdist": self.sdist, "lock": self.lock, **files}
        options = ["--sdist", given["sdist"], "--lock", given["lock"], *words]
        return run([sys.executable, "-m", "gpuwheel", "rebuild", given["wheel"], *options], env=os.environ, check=False)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    folder = tmp_path_factory.mktemp("release")
    project, dist = folder / "project", folder / "dist"
    dist.mkdir()
    for name, text in FILES.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    run([sys.executable, "-m", "gpuwheel", "lock", project], env=os.environ)
    run([sys.executable, "-c", HOOK, project, "build_sdist", dist], env=os.environ)
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (root,) = (folder / "unpacked").iterdir()
    run([sys.executable, "-c", HOOK, root, "build_wheel", dist], env=os.environ)
    (wheel,) = dist.glob("*.whl")
    return Release(sdist, wheel, project / LOCK_FILE)


def test_a_rebuild_is_the_same_file(release: Release, tmp_path: Path) -> None:
    done = release.rebuild("--yes", "--keep-cache", "--json", "-w", tmp_path)
    assert done.returncode == 0, done.output
    assert "runs code of ops-1.tar.gz" in done.stderr
    document = json.loads(done.stdout)
    jsonschema.validate(document, json.loads(resource("data", "rebuild.schema.json").read_text(encoding="utf-8")))
    assert (document["verdict"], document["differences"]) == ("same", [])
    assert (tmp_path / release.wheel.name).read_bytes() == release.wheel.read_bytes()


def test_nothing_runs_of_files_that_the_wheel_was_not_built_from(release: Release, tmp_path: Path) -> None:
    lock = tmp_path / LOCK_FILE
    lock.write_bytes(release.lock.read_bytes() + b"\n")
    sdist = tmp_path / release.sdist.name
    with tarfile.open(release.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / "ops-1" / "ops.cpp").write_text("int x;\n", encoding="utf-8")
    with tarfile.open(sdist, "w:gz") as archive:
        archive.add(tmp_path / "ops-1", "ops-1")
    for files in ({"lock": lock}, {"sdist": sdist}):
        done = release.rebuild("--yes", **files)
        assert done.returncode == 12
        assert "runs code" not in done.stderr
    # The same files in another archive are the same sdist.
    with tarfile.open(release.sdist) as archive:
        archive.extractall(tmp_path / "again", filter="data")
    with tarfile.open(sdist, "w:gz") as archive:
        archive.add(tmp_path / "again" / "ops-1", "ops-1")
    assert release.rebuild(sdist=sdist).returncode == 1  # nobody said yes: not a word of it ran
