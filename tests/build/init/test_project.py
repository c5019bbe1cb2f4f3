"""`[project]`, and a pyproject.toml that is there already."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from setup_projects import CLASSIC, KERNEL, SIMPLE

from gpuwheel._run import run
from gpuwheel.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

    from setup_projects import Project

SETUP_CFG = """\
[metadata]
name = ops
version = attr: ops.__version__
description = Fused operators
long_description = file: README.md
author = A. Person
license = MIT
classifiers =
    License :: OSI Approved :: MIT License
    Programming Language :: Python :: 3
project_urls =
    Source = https://example.org/ops

[options]
packages = find:
python_requires = >=3.11
install_requires =
    torch
    numpy

[options.extras_require]
test =
    pytest

[options.entry_points]
console_scripts =
    ops = ops.cli:main
"""

BARE = """\
from setuptools import setup
from torch.utils.cpp_extension import CUDAExtension

setup(ext_modules=[CUDAExtension("ops._C", ["csrc/ops.cpp", "csrc/ops.cu"])])
"""


def test_metadata_of_setup_cfg(project: Callable[..., Project]) -> None:
    made = project(BARE)
    made.write("setup.cfg", SETUP_CFG)
    made.write("README.md", "# ops\n")
    made.write("ops/__init__.py", '__version__ = "3.1"\n')
    document = made.adopted()
    assert document["project"] == {
        "name": "ops",
        "version": "3.1",
        "description": "Fused operators",
        "readme": "README.md",
        "requires-python": ">=3.11",
        "license": "MIT",
        "classifiers": ["Programming Language :: Python :: 3"],
        "authors": [{"name": "A. Person"}],
        "urls": {"Source": "https://example.org/ops"},
        "optional-dependencies": {"test": ["pytest"]},
        "scripts": {"ops": "ops.cli:main"},
        "dynamic": ["dependencies"],
    }
    assert document["tool"]["gpuwheel"]["dependencies"] == ["numpy"]


PYPROJECT = """\
# Made with care.
[build-system]
requires = [
  "setuptools>=64",  # the old way
  "torch",
]
build-backend = "setuptools.build_meta"

[project]
name    = "ops"   # ours
dynamic = ["version", "readme"]
requires-python = ">=3.8"
dependencies = ["torch>=2.4", "einops"]

[tool.ruff]   # not to be touched
line-length   = 99
lint.select = [ "E",
   "F" ]
"""

EXPECTED = """\
# Made with care.
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"

[project]
name    = "ops"   # ours
dynamic = ["readme", "dependencies"]
requires-python = ">=3.10"
version = "1.2"

[tool.ruff]   # not to be touched
line-length   = 99
lint.select = [ "E",
   "F" ]

[tool.gpuwheel]
dependencies = ["einops"]

[tool.gpuwheel.extensions."ops._C"]
mode = "nvcc"
abi = "compat"
sources = ["csrc/ops.cpp", "csrc/ops.cu"]
"""


def test_a_pyproject_keeps_everything_else_byte_for_byte(project: Callable[..., Project]) -> None:
    made = project(SIMPLE)
    for line_end in ("\n", "\r\n"):
        (made.root / "pyproject.toml").write_bytes(PYPROJECT.replace("\n", line_end).encode())
        assert made.init().exit_code == 0
        assert (made.root / "pyproject.toml").read_bytes().decode() == EXPECTED.replace("\n", line_end)


MODERN = """\
[build-system]
requires = ["setuptools", "torch", "setuptools_scm"]
build-backend = "setuptools.build_meta"

[project]
name = "my-ops"
dynamic = ["version", "dependencies"]
requires-python = ">=3.10"

[tool.setuptools]
packages = { find = { where = ["python"] } }
"""


@pytest.mark.parametrize(
    ("dynamic", "version", "left"),
    [
        (
            '[tool.setuptools.dynamic]\nversion = { attr = "ops.__version__" }\n',
            "4.2",
            {"build-system.requires setuptools_scm"},
        ),
        ("[tool.setuptools_scm]\n", None, {"version", "build-system.requires setuptools_scm"}),
    ],
)
def test_what_setuptools_reads_from_pyproject_is_read_too(
    project: Callable[..., Project], dynamic: str, version: str | None, left: set[str]
) -> None:
    made = project(BARE, **{"csrc/ops.cpp": CLASSIC, "csrc/ops.cu": KERNEL})
    made.write("pyproject.toml", MODERN + dynamic)
    made.write("python/ops/__init__.py", "import torch\n\n__version__ = '4.2'\n")
    assert set(made.left()) == left
    document = made.adopted()
    assert document["project"].get("version") == version
    assert document["project"]["dynamic"] == (["dependencies"] if version else ["version", "dependencies"])
    assert document["tool"]["scikit-build"] == {"wheel": {"packages": ["python/ops"]}}


@pytest.mark.parametrize(
    ("keywords", "packages"),
    [
        ("packages=['ops']", None),
        ("packages=['ops', 'more']", ["more", "ops"]),
        ("packages=['ops', 'other'], package_dir={'other': 'lib'}", None),
        (
            "packages=['ops', 'ops.extra'], package_dir={'ops.extra': 'src/extra'}",
            {"ops": "ops", "ops/extra": "src/extra"},
        ),
        ("py_modules=['single']", ["single.py"]),
        ("packages=[]", []),
        ("name='ops'", ["more", "ops"]),
    ],
)
def test_the_wheel_gets_the_packages_of_setup(project: Callable[..., Project], keywords: str, packages: object) -> None:
    made = project(BARE.replace("setup(", f"setup(version='1', {keywords}, "))
    made.write("more/__init__.py", "")
    wheel = made.adopted()["tool"].get("scikit-build", {}).get("wheel", {})
    assert wheel.get("packages") == packages


def test_a_pyproject_without_build_system_gets_one(project: Callable[..., Project]) -> None:
    made = project(SIMPLE)
    made.write("pyproject.toml", "# first line\n[tool.ruff]\nline-length = 99\n")
    assert made.init().exit_code == 0
    text = (made.root / "pyproject.toml").read_text(encoding="utf-8")
    assert text.startswith("[build-system]\n")
    assert "# first line\n[tool.ruff]\nline-length = 99\n\n[project]\n" in text


def test_our_own_table_is_not_written_over(project: Callable[..., Project]) -> None:
    made = project(SIMPLE)
    assert made.init().exit_code == 0
    before = (made.root / "pyproject.toml").read_bytes()
    result = made.init()
    assert result.exit_code == 3
    assert "error: pyproject.toml has [tool.gpuwheel] already" in result.stderr
    assert "hint: remove [tool.gpuwheel]" in result.stderr
    assert (made.root / "pyproject.toml").read_bytes() == before


def test_a_missing_pyproject_beside_a_setup_py_has_its_hint(project: Callable[..., Project]) -> None:
    made = project(SIMPLE)
    result = CliRunner().invoke(main, ["plan", str(made.root)])
    assert result.exit_code == 3
    assert "hint: gpuwheel init writes one from setup.py" in result.stderr


def test_a_dry_run_shows_the_difference_and_writes_nothing(project: Callable[..., Project]) -> None:
    made = project(SIMPLE)
    result = made.init("--dry-run")
    assert result.exit_code == 0, result.output
    assert '+[tool.gpuwheel.extensions."ops._C"]\n' in result.stdout
    assert "nothing was written" in result.stdout
    assert sorted(path.name for path in made.root.iterdir()) == ["csrc", "ops", "setup.py"]


def test_the_report_says_what_comes_next(project: Callable[..., Project]) -> None:
    made = project(SIMPLE.replace('"ops._C", [', '"ops._C", extra_compile_args=["-g"], sources=['))
    result = made.init()
    assert "setup.py:9  -g\n      wheels are release builds" in result.stdout
    assert "next: gpuwheel plan, then pip wheel ." in result.stdout
    assert (made.root / "setup.py").is_file()


def test_a_project_is_read_where_neither_setuptools_nor_torch_is_installed(project: Callable[..., Project]) -> None:
    made = project(SIMPLE)
    code = (
        "import sys\n"
        "from gpuwheel.cli import main\n"
        "sys.modules['setuptools'] = sys.modules['torch'] = None\n"
        f"main(['init', {str(made.root)!r}])\n"
    )
    run([sys.executable, "-c", code])
    assert (made.root / "pyproject.toml").is_file()
