"""Projects as `gpuwheel new` writes them, each built once and installed beside a CPU build of torch."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from interpreters import find_interpreter
from torch_environments import Layer, environment_with, layer_on, release_that_pip_finds

from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

PYTHON = "3.11"
TORCH = "2.13.0"
ONE_ARCH = {"GPUWHEEL_ARCHS": "8.0"}
"""CUTLASS takes half a minute for each arch; one is enough to see a project build."""


@dataclass(frozen=True)
class Case:
    """Answers to `gpuwheel new`, and what the build may be told to take less time."""

    name: str
    template: str
    answers: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)

    def new(self, folder: Path) -> Path:
        """Render into a folder that has the case's name."""
        project = folder / self.name
        data = [word for key, value in self.answers.items() for word in ("--data", f"{key}={value}")]
        run([sys.executable, "-m", "gpuwheel", "new", project, "--template", self.template, "--defaults", *data])
        return project


# Every template with its defaults, and with every other answer at least once.
CASES = (
    Case("embed-defaults", "embed"),
    Case("a", "embed", {"license": "MIT", "ci": "gitlab", "archs": "9.0"}),
    Case("fused-operators-extra", "embed", {"license": "BSD-3-Clause", "ci": "none", "package_name": "fused"}),
    Case("nvcc-defaults", "nvcc", environ=ONE_ARCH),
    Case("b", "nvcc", {"license": "MIT", "ci": "gitlab", "archs": "8.0", "cublaslt": "true"}),
    Case("gemm-operators-extra", "nvcc", {"license": "BSD-3-Clause", "ci": "none", "archs": "8.0"}),
    Case("kernels-defaults", "kernels"),
    Case("c", "kernels", {"license": "MIT", "ci": "gitlab", "archs": "9.0", "cutile": "true"}),
    Case("python-operators-extra", "kernels", {"license": "BSD-3-Clause", "ci": "none"}),
    Case("nvmath-defaults", "nvmath"),
    Case("d", "nvmath", {"license": "MIT", "ci": "gitlab"}),
    Case("library-operators-extra", "nvmath", {"license": "BSD-3-Clause", "ci": "none"}),
)


@dataclass(frozen=True)
class Project:
    """A rendered project, its wheel, and the environment that has it."""

    case: Case
    root: Path
    wheel: Path
    layer: Layer
    shared: Path
    """A folder for what all projects may keep, such as the cache of mypy."""

    def run(self, *words: str | Path, environ: Mapping[str, str] | None = None) -> str:
        """Run Python in the project's folder; what it printed."""
        return self.layer.run(*words, cwd=self.root, environ=environ).output


def build(project: Path, out: Path, environ: Mapping[str, str]) -> Path:
    """The wheel of a project, by the gpuwheel that is tested."""
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run([*words, "--wheel-dir", out, project], env=environ)
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def clean(system_cuda_hider: Callable[[Path], Mapping[str, str]], shared: Path) -> Mapping[str, str]:
    """An environment for builds, where the machine has no CUDA toolkit."""
    return {**os.environ, **system_cuda_hider(shared / "touches")}


@pytest.fixture(scope="session")
def torch_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of the kept environment with a CPU build of torch."""
    interpreter = find_interpreter(PYTHON)
    assert interpreter is not None
    release, environ = release_that_pip_finds(TORCH, PYTHON, tmp_path_factory.mktemp("torch"))
    return environment_with(release, PYTHON, interpreter, environ)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for the whole session."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def project(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    torch_python: Path,
    clean: Mapping[str, str],
    shared: Path,
) -> Project:
    """Rendered, built and installed; one at a time for all tests of a module."""
    case: Case = request.param
    folder = tmp_path_factory.mktemp("templates")
    root = case.new(folder)
    wheel = build(root, folder / "dist", {**clean, **case.environ})
    assert not (shared / "touches").exists(), "the build reached for the system's CUDA toolkit"
    layer = layer_on(torch_python, folder)
    groups = [f"{root / 'pyproject.toml'}:{name}" for name in ("test", "bench", "notebook")]
    layer.install("--no-deps", wheel)  # torch is in the environment below, where uv does not look
    layer.install(*(word for group in groups for word in ("--group", group)))
    return Project(case, root, wheel, layer, shared)
