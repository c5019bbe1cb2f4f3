"""A wheel, built again from its sdist and its lock file, and what is said where it cannot be or differs."""

from __future__ import annotations

import json
import os
import sys
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from private_index import private_index

from gpuwheel._resources import resource
from gpuwheel._run import Completed, run
from gpuwheel.index.settings import read_index_settings
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
cmake = "CMakeLists.txt"

[tool.gpuwheel.kernels.tiny]
sources = ["twice.cu"]

[tool.gpuwheel.extensions."ops._C"]
kernels = ["tiny"]
""",
    # What the code of an sdist can see: its own environment, and that of the process that started it.
    "CMakeLists.txt": """cmake_minimum_required(VERSION 3.26)
project(ops LANGUAGES CXX)
find_package(GpuWheel REQUIRED)
gpuwheel_add_embed(extension ops._C SOURCES ops.cpp)
target_compile_definitions(extension PRIVATE FACTOR=${FACTOR})
if(DEFINED SPY)
  execute_process(COMMAND sh -c [[env; tr '\\0' '\\n' < /proc/$PPID/environ; cat ~/.netrc]] OUTPUT_FILE "${SPY}")
endif()
""",
    "twice.cu": 'extern "C" __global__ void twice(float* x) { x[threadIdx.x] *= 2; }\n',
    "ops.cpp": """\
#include <gpuwheel/torch.h>
#include "tiny.kernels.h"
using torch::stable::Tensor;
namespace {
Tensor twice_cuda(const Tensor& x) {
  for (int i = 0; i < FACTOR + MORE; i++)
    twice.launch({1, 32, gpuwheel::current_stream(x)}, x.mutable_data_ptr<float>());
  return x;
}
}  // namespace
STABLE_TORCH_LIBRARY(ops, m) { m.def("twice(Tensor(a!) x) -> Tensor(a!)"); }
STABLE_TORCH_LIBRARY_IMPL(ops, CUDA, m) { m.impl("twice", TORCH_BOX(&twice_cuda)); }
""",
    "ops/__init__.py": "",
}
KERNELS = {
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

[tool.gpuwheel.extensions."ops._kernels"]
mode = "kernels"
kernels = ["tiny"]
toolkits = ["12.9"]
""",
    "twice.cu": """\
#include <gpuwheel/device.h>
template <typename T>
__global__ void times(T* x) { x[threadIdx.x] *= FACTOR; }
GPUWHEEL_INSTANTIATE(times<float>);
""",
    "ops/__init__.py": "",
}
SETTINGS = {"gpuwheel.archs": ["9.0"], "cmake.define.FACTOR": "2", "build-dir": "build"}
KERNEL_SETTINGS = {"gpuwheel.archs": "8.6;9.0", "gpuwheel.kernels.tiny.defines": "FACTOR=3"}
HOOK = """
import json, os, sys
from gpuwheel.backend import *
os.chdir(sys.argv[1])
print(eval(sys.argv[2])(sys.argv[3], json.loads(sys.argv[4])))
"""


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


def _published(folder: Path, files: dict[str, str], settings: dict[str, Any], **variables: str) -> Release:
    project, dist = folder / "project", folder / "dist"
    dist.mkdir()
    for name, text in files.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    environ = {**os.environ, **variables}

    def hook(root: Path, name: str) -> None:
        run([sys.executable, "-c", HOOK, root, name, dist, json.dumps(settings)], env=environ)

    run([sys.executable, "-m", "gpuwheel", "lock", project, *_words(settings)], env=environ)
    hook(project, "build_sdist")
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (root,) = (folder / "unpacked").iterdir()
    hook(root, "build_wheel")
    (wheel,) = dist.glob("*.whl")
    return Release(sdist, wheel, project / LOCK_FILE)


def _words(settings: dict[str, Any]) -> list[str]:
    return [f"-C{name}={';'.join([value] if isinstance(value, str) else value)}" for name, value in settings.items()]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """Of a project with C++, built with settings and a variable that nobody but the wheel knows."""
    folder = tmp_path_factory.mktemp("release")
    return _published(folder, FILES, {**SETTINGS, "cmake.define.SPY": str(folder / "spied")}, CXXFLAGS="-DMORE=1")


def _told(done: Completed) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(done.stdout)
    jsonschema.validate(document, json.loads(resource("data", "rebuild.schema.json").read_text(encoding="utf-8")))
    return document


def test_a_rebuild_through_an_index_with_a_password_is_the_same_file_and_its_code_never_sees_it(
    release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spied, home = tmp_path / "spied", tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text("machine somewhere login me password another-secret\n", encoding="utf-8")
    settings = read_index_settings(os.environ)
    with private_index(settings.indexes[0]) as index:
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("UV_NO_CONFIG", "1")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("HOME", str(home))
        for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
            monkeypatch.delenv(name, raising=False)
        done = release.rebuild(
            "--yes", "--keep-cache", "--json", "-w", tmp_path / "out", "-C", f"cmake.define.SPY={spied}"
        )
    assert done.returncode == 0, done.output
    assert "runs code of ops-1.tar.gz" in done.stderr
    document = _told(done)
    assert (document["verdict"], document["differences"]) == ("same", [])
    assert (tmp_path / "out" / release.wheel.name).read_bytes() == release.wheel.read_bytes()
    assert document["recorded"]["settings"] == ["gpuwheel.archs=9.0", "cmake.define.FACTOR=2"]
    assert document["recorded"]["environment"] == ["CXXFLAGS=-DMORE=1"]
    assert document["recorded"]["withheld"] == ["-C cmake.define.SPY"]
    assert any(path.endswith(".whl") for path in index.served)
    seen = spied.read_text(encoding="utf-8")
    assert "PIP_NO_INDEX=1" in seen
    assert index.password not in seen
    assert "another-secret" not in seen


def test_a_rebuild_of_kernels_needs_no_word_of_how_the_wheel_was_built(tmp_path: Path) -> None:
    release = _published(tmp_path, KERNELS, KERNEL_SETTINGS)
    done = release.rebuild("--yes", "--keep-cache", "--json", "-w", tmp_path / "out")
    assert done.returncode == 0, done.output
    document = _told(done)
    assert (document["verdict"], document["differences"]) == ("same", [])
    assert (tmp_path / "out" / release.wheel.name).read_bytes() == release.wheel.read_bytes()
    expected = ["gpuwheel.archs=8.6;9.0", "gpuwheel.kernels.tiny.defines=FACTOR=3"]
    assert document["recorded"]["settings"] == expected


def test_nothing_runs_where_a_path_that_the_build_was_given_is_not_given_again(release: Release) -> None:
    done = release.rebuild("--yes")
    assert done.returncode == 12
    assert "-C cmake.define.SPY=VALUE" in done.stderr
    assert "runs code" not in done.stderr


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
    assert (
        release.rebuild("-C", "cmake.define.SPY=x", sdist=sdist).returncode == 1
    )  # nobody said yes: not a word of it ran
