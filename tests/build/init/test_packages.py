"""The wheel holds the files that setuptools would have put into it: its own command is asked, and scikit-build-core."""

from __future__ import annotations

import importlib.util
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from gpuwheel._run import run
from gpuwheel._toml import parse_toml

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from setup_projects import Project

pytestmark = pytest.mark.skipif(importlib.util.find_spec("setuptools") is None, reason="setuptools is not installed")

SETUP = """\
from setuptools import find_namespace_packages, find_packages, setup
extensions = {{}}
try:
    from torch.utils.cpp_extension import CUDAExtension
    extensions["ext_modules"] = [CUDAExtension("ops.inner._C", ["csrc/ops.cpp", "csrc/ops.cu"])]
except ImportError:
    pass
setup(name="ops", version="1", {keywords}, **extensions)
"""
FILES = (
    *("ops/__init__.py", "ops/py.typed", "ops/data.json", "ops/readme.txt", "ops/_C.pyi", "ops/kernels/a.cu"),
    *("ops/kernels/a.cuh", "ops/cute/__init__.py", "ops/cute/k.py", "ops/cute/deep/__init__.py", "ops/cute/t.json"),
    *("ops/plain/no_init.py", "ops/plain/d.json", "ops/inner/__init__.py", "ops/inner/x y [1].txt", "ops/inner/in.h"),
    *("tests/__init__.py", "tests/t.py", "hopper/__init__.py", "hopper/h.py", "tools/run.py", "projects/__init__.py"),
    *("projects/nerf/__init__.py", "projects/nerf/n.json", "projects/trainer/__init__.py", "projects/trainer/c.json"),
)
LAYOUTS = [
    "packages=find_packages()",
    "packages=find_packages(exclude=('tests', 'ops.cute', 'ops.cute.*'))",
    "packages=find_packages(exclude=['tests*', 'hopper', 'projects.*'], include=['*'])",
    "packages=find_packages(include=['ops', 'ops.inner'])",
    "packages=['ops']",
    "packages=['ops', 'ops.cute'], package_data={'ops': ['*.json', 'kernels/*.cu'], 'ops.cute': ['*']}",
    "packages=find_packages(), package_data={'': ['*.json']}, exclude_package_data={'ops': ['data.json']}",
    "packages=['ops'], package_data={'ops': ['kernels/**/*', 'plain/*']}",
    "packages=find_packages(), include_package_data=True",
    "packages=find_namespace_packages(include=['ops', 'ops.*'])",
    "packages=['ops', 'ops.trainer'], package_dir={'ops.trainer': 'projects/trainer'}, package_data={'': ['c.json']}",
    "packages=find_packages(exclude=['projects.*']) + ['ops.trainer'], package_dir={'ops.trainer': 'projects/trainer'}",
]
MANIFEST = """\
include README.md
recursive-include ops *.txt *.cu
global-include *.typed
prune ops/cute
global-exclude ops/readme.txt
graft projects/nerf
exclude ops/inner/in.h
"""
ASK = """\
import json, sys
from pathlib import Path
import pathspec
from scikit_build_core.build._editable import get_packages
from scikit_build_core.build._pathutil import packages_to_file_mapping
wheel = json.loads(sys.argv[1])
packages = get_packages(packages=wheel.get("packages"), name="ops")
mapping = packages_to_file_mapping(packages=packages, platlib_dir=Path("/wheel"), include=[], src_exclude=[],
                                   target_exclude=wheel.get("exclude", []), build_dir="", mode="default")
excluded = pathspec.GitIgnoreSpec.from_lines(wheel.get("exclude", []))  # as its writer of wheels does once more
paths = [Path(path).relative_to("/wheel").as_posix() for path in mapping.values()]
print(json.dumps(sorted(path for path in paths if not excluded.match_file(path))))
"""
SETUPTOOLS = "import sys; sys.modules['torch'] = None; sys.argv[0] = 'setup.py'; exec(open('setup.py').read())"


@pytest.mark.parametrize("keywords", LAYOUTS)
def test_the_same_files_are_shipped(project: Callable[..., Project], tmp_path: Path, keywords: str) -> None:
    made = project(SETUP.format(keywords=keywords), **dict.fromkeys((*FILES, "csrc/ops.cpp", "csrc/ops.cu"), ""))
    made.write("csrc/ops.cpp", "#include <torch/library.h>\n")
    made.write("MANIFEST.in", MANIFEST)
    document = parse_toml(made.report()["pyproject"].encode())
    wheel: dict[str, Any] = document["tool"].get("scikit-build", {}).get("wheel", {})
    ours = json.loads(run([sys.executable, "-c", ASK, json.dumps(wheel)], cwd=made.root).stdout)
    out = tmp_path / "lib"
    run([sys.executable, "-c", SETUPTOOLS, "-q", "build_py", "--build-lib", str(out)], cwd=made.root)
    theirs = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert ours == theirs
