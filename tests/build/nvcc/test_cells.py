"""Cells of one project, for several torches and Pythons: what they share is compiled once, and every wheel is the one
that a build of its cell alone gives.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from interpreters import find_interpreter

import gpuwheel
from gpuwheel.testing import require

pytestmark = [pytest.mark.compiler, pytest.mark.network]

NVCC, CXX = "Building CUDA object", "Building CXX object"
HERE = f"3.{sys.version_info.minor}"
# gpuwheel and what it needs are of Python alone: a newer Python takes them from here.
# CMake of the package, which both Pythons see; a script that starts it is of one Python's environment.
PATH = os.pathsep.join(
    folder for folder in os.environ["PATH"].split(os.pathsep) if Path(folder) != Path(sys.executable).parent
)
PACKAGES = [Path(sysconfig.get_path("purelib")), Path(gpuwheel.__file__).parents[1]]
TORCHS = ("2.12", "2.13")
PYPROJECT = """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"

[project]
name = "nv-cells"
version = "1.0"
requires-python = ">=3.10"
dynamic = ["dependencies"]

[tool.gpuwheel]
torch = ["==2.12.*", "==2.13.*"]
archs = ["8.0"]

[tool.gpuwheel.extensions."nv_cells._C"]
mode = "nvcc"
abi = "exact"
python = "version"
sources = ["csrc/*.cu", "csrc/*.cpp"]
"""
# Of torch's headers one that has a few lines: it is what is shared that matters here, not what is compiled.
SOURCES = {
    "alone.cu": """\
namespace {{ __global__ void alone(int* x) {{ *x = {unique}; }} }}
#define HEADER "plain.h"
#include HEADER
#ifdef WITH_TORCH
#include <torch/version.h>
#endif
void launch_alone(int* x) {{ alone<<<1, PLAIN>>>(x); }}
""",
    "plain.h": "#define PLAIN 1\n",
    "torch.cu": """\
#include "through.h"
namespace {{ __global__ void torch_kernel(int* x) {{ *x = TORCH_VERSION_MINOR + {unique}; }} }}
void launch_torch(int* x) {{ torch_kernel<<<1, 1>>>(x); }}
""",
    "through.h": "#include <torch/version.h>\n",
    "module.cpp": """\
#include <Python.h>
void launch_alone(int*);
void launch_torch(int*);
static PyObject* launch(PyObject*, PyObject*) {{ launch_alone(nullptr); launch_torch(nullptr); Py_RETURN_NONE; }}
static PyMethodDef methods[] = {{{{"launch", launch, METH_NOARGS, nullptr}}, {{}}}};
static PyModuleDef module = {{PyModuleDef_HEAD_INIT, "_C", PY_VERSION " {unique}", -1, methods}};
PyMODINIT_FUNC PyInit__C() {{ return PyModule_Create(&module); }}
""",
}


@dataclass(frozen=True)
class Built:
    """One wheel."""

    log: str
    wheel: bytes

    @property
    def compiled(self) -> tuple[int, int]:
        """How many CUDA and C++ sources were compiled."""
        return self.log.count(NVCC), self.log.count(CXX)


def build(root: Path, torch: str, python: str = HERE, interpreter: Path = Path(sys.executable), **more: str) -> Built:
    """Build a cell of the project in `root` by its Python, which sees what is installed beside this one."""
    name = f"nvcc-cu13.0-torch{torch}-cp{python.replace('.', '')}-linux_{platform.machine()}"
    out = root.parent / f"out-{root.name}-{name}-{len(more)}"
    out.mkdir()
    settings = {"gpuwheel.only": name, **{key.replace("_", "-"): value for key, value in more.items()}}
    done = subprocess.run(  # noqa: TID251 (a user's program, not gpuwheel's)
        [interpreter, "-c", f"from gpuwheel import backend; backend.build_wheel({str(out)!r}, {settings!r})"],
        cwd=root,
        env=os.environ
        | {"PATH": PATH}
        | ({"PYTHONPATH": os.pathsep.join(map(str, PACKAGES))} if python != HERE else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    (wheel,) = out.glob("*.whl")
    return Built(done.stdout, wheel.read_bytes())


@pytest.fixture
def project(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sources that no test compiled before."""
    monkeypatch.setenv("GPUWHEEL_CACHE_DIR", str(cache))
    root = tmp_path / "project"
    (root / "csrc").mkdir(parents=True)
    (root / "nv_cells").mkdir()
    (root / "nv_cells" / "__init__.py").touch()
    (root / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    unique = int.from_bytes(os.urandom(3), "big")
    for name, text in SOURCES.items():
        (root / "csrc" / name).write_text(text.format(unique=unique), encoding="utf-8")
    return root


def test_another_torch_compiles_what_knows_torch_and_a_copy_elsewhere_has_the_same_bytes(
    project: Path, tmp_path: Path
) -> None:
    first = build(project, TORCHS[0])
    assert first.compiled == (2, 1)
    second = build(project, TORCHS[1])
    assert "2 objects are taken from the cache" in second.log
    assert second.compiled == (1, 0), "module.cpp knows Python alone"
    elsewhere = tmp_path / "some" / "where" / "else"
    shutil.copytree(project, elsewhere)
    whole = build(elsewhere, TORCHS[1], build_dir=str(tmp_path / "whole"))
    assert whole.compiled == (2, 1)
    assert whole.wheel == second.wheel != first.wheel


@pytest.mark.pythons
def test_another_python_compiles_what_knows_python(project: Path, tmp_path: Path) -> None:
    newer = [f"3.{minor}" for minor in range(sys.version_info.minor + 1, 15)]
    found = [(version, path) for version in newer if (path := find_interpreter(version)) is not None]
    if not found:
        require("pythons", f"no Python {' or '.join(newer)}")
    version, interpreter = found[0]
    assert build(project, TORCHS[0]).compiled == (2, 1)
    other = build(project, TORCHS[0], version, interpreter)
    assert "2 objects are taken from the cache" in other.log
    assert other.compiled == (0, 1)
    whole = build(project, TORCHS[0], version, interpreter, build_dir=str(tmp_path / "whole"))
    assert whole.wheel == other.wheel


def test_cells_that_are_built_at_the_same_time_with_one_cache(project: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        built = list(pool.map(lambda torch: build(project, torch), TORCHS))
    assert [one.compiled[1] for one in built if "taken from the cache" not in one.log], "one of them began first"
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(project, elsewhere)
    kept = build(elsewhere, TORCHS[0])
    assert "libraries are taken from the cache" in kept.log
    assert kept.wheel == built[0].wheel
    assert built[1].wheel == build(project, TORCHS[1], build_dir=str(tmp_path / "whole")).wheel
