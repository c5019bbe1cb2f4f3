"""A library of this machine that a project links: copied into every wheel that `gpuwheel build` finishes."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run
from gpuwheel.errors import MatrixError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.compiler, pytest.mark.network]

PYPROJECT = """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"

[project]
name = "tiny"
version = "1.0"
requires-python = ">=3.10"
dynamic = ["dependencies"]

[tool.gpuwheel]
cuda = "13.0"
archs = ["8.0"]

[tool.gpuwheel.wheel]
platform = "manylinux_2_28"
graft = ["libanswer.so.*"]

[tool.gpuwheel.extensions."tiny._C"]
mode = "nvcc"
abi = "none"
sources = ["a.cpp"]
link-flags = ["-L{folder}", "-l:libanswer.so.1"]
"""
SOURCE = """\
extern "C" int answer();
extern "C" __attribute__((visibility("default"))) int twice() { return 2 * answer(); }
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "tiny"
    (root / "src" / "tiny").mkdir(parents=True)
    (root / "src" / "tiny" / "__init__.py").write_text("")
    (root / "pyproject.toml").write_text(PYPROJECT.replace("{folder}", str(tmp_path)))
    (root / "a.cpp").write_text(SOURCE)
    words = ["cc", "-shared", "-fPIC", "-Wl,-soname,libanswer.so.1", "-o", tmp_path / "libanswer.so.1", "-x", "c", "-"]
    run(words, stdin="int answer(void) { return 21; }")
    return root


def test_what_graft_names_is_copied_and_anything_else_refused(project: Path) -> None:
    # auditwheel looks into every folder that ld.so.conf names, a toolkit's too.
    environ = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    environ["AUDITWHEEL_LD_LIBRARY_PATH"] = str(project.parent)
    words = [sys.executable, "-m", "gpuwheel", "build", "--project", project]
    built = run(words, env=environ)
    assert "libanswer.so.1" in built.stderr  # told: pip wheel alone would not copy it
    (wheel,) = (project / "dist").glob("*.whl")
    assert wheel.name.startswith("tiny-1.0-py3-none-manylinux_2_28_")
    (project.parent / "libanswer.so.1").rename(project.parent / "gone")
    installed = project.parent / "installed"
    run([sys.executable, "-m", "zipfile", "-e", wheel, installed])
    code = f"import ctypes; print(ctypes.CDLL({str(installed / 'tiny' / '_C.so')!r}).twice())"
    assert run([sys.executable, "-c", code]).stdout == "42\n"

    (project.parent / "gone").rename(project.parent / "libanswer.so.1")
    text = (project / "pyproject.toml").read_text()
    (project / "pyproject.toml").write_text(text.replace('graft = ["libanswer.so.*"]', 'graft = ["libother.so"]'))
    refused = run(words, env=environ, check=False)
    assert refused.returncode == MatrixError.exit_code
    assert "libanswer.so.1" in refused.stderr
    assert "graft" in refused.stderr
