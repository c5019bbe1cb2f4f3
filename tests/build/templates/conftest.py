"""Projects as `gpuwheel new` writes them, each built once and installed beside a CPU build of torch."""

from __future__ import annotations

import os
import sys
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from interpreters import find_interpreter
from packaging.metadata import Metadata
from torch_environments import Layer, environment_with, layer_on, release_that_pip_finds

from gpuwheel._toml import parse_toml
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
    Case("a", "embed", {"license": "MIT", "ci": "gitlab", "archs": "9.0", "image": f"python@sha256:{'0' * 64}"}),
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


def beside_torch(wheel: Path) -> list[str]:
    """What a wheel requires but for torch, which is there, and but for its extras."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Metadata.from_email(archive.read(name))
    return [
        str(requirement)
        for requirement in metadata.requires_dist or ()
        if requirement.name != "torch" and (requirement.marker is None or requirement.marker.evaluate({"extra": ""}))
    ]


@dataclass(frozen=True)
class Builder:
    """Builds wheels by the gpuwheel that is tested, on a machine without a CUDA toolkit."""

    environ: Mapping[str, str]
    requires: Path
    """Holds what projects require to be built beside gpuwheel."""
    log: Path
    """Who looked for the machine's own toolkit."""

    def wheel(self, project: Path, out: Path, *words: str, **environ: str) -> Path:
        """The wheel of a project; `words` go to pip."""
        python = [sys.executable, "-m", "pip"]
        text = (project / "pyproject.toml").read_text(encoding="utf-8")
        others = [line for line in parse_toml(text.encode())["build-system"]["requires"] if not line.startswith("gpuwheel")]
        if others and not self.requires.exists():
            run([*python, "install", "--quiet", "--no-deps", "--target", self.requires, *others])
        build = [*python, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", out, *words]
        path = os.pathsep.join(filter(None, [str(self.requires), self.environ.get("PYTHONPATH")]))
        run([*build, project], env={**self.environ, "PYTHONPATH": path, **environ})
        (wheel,) = out.glob("*.whl")
        return wheel

    def touches(self) -> set[str]:
        """Who looked for the machine's own toolkit, but for what CMake does wherever it finds an nvcc."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return {line for line in lines if not line.endswith("/crt/link.stub")}


@dataclass(frozen=True)
class Project:
    """A rendered project, its wheel, and the environment that has it."""

    case: Case
    root: Path
    wheel: Path
    layer: Layer
    builder: Builder
    shared: Path
    """A folder for what all projects may keep: caches of Python and of mypy."""

    def run(self, *words: str | Path, environ: Mapping[str, str] | None = None) -> str:
        """Run Python in the project's folder; what it printed."""
        return self.run_in(self.layer, *words, environ=environ)

    def run_in(self, layer: Layer, *words: str | Path, environ: Mapping[str, str] | None = None) -> str:
        """Run the Python of another environment there."""
        # torch's modules are many: their bytecode is kept, but not in the environment, which others use too.
        bytecode = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(self.shared / "bytecode")}
        return layer.run(*words, cwd=self.root, environ={**bytecode, **(environ or {})}).output


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


@pytest.fixture(scope="session")
def builder(system_cuda_hider: Callable[[Path], Mapping[str, str]], shared: Path) -> Builder:
    """One for all projects."""
    log = shared / "touches"
    return Builder({**os.environ, **system_cuda_hider(log)}, shared / "build-requires", log)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def project(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    torch_python: Path,
    builder: Builder,
    shared: Path,
) -> Project:
    """Rendered, built and installed; one at a time for all tests of a module."""
    case: Case = request.param
    folder = tmp_path_factory.mktemp("templates")
    root = case.new(folder)
    run(["git", "-C", root, "add", "--all"])  # what is not added now came later
    wheel = builder.wheel(root, folder / "dist", **case.environ)
    assert builder.touches() == set()
    layer = layer_on(torch_python, folder)
    groups = [f"{root / 'pyproject.toml'}:{name}" for name in ("test", "bench", "notebook")]
    layer.install("--no-deps", wheel)  # torch is in the environment below, where uv does not look
    layer.install(*beside_torch(wheel), *(word for group in groups for word in ("--group", group)))
    return Project(case, root, wheel, layer, builder, shared)
