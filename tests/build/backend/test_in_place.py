"""Where an editable install puts what was compiled."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Project

pytestmark = [pytest.mark.compiler, pytest.mark.network]

BESIDE = '''\
"""Loads its library as many packages do."""

from pathlib import Path

LIBRARY = Path(__file__).parent / "_C.so"
assert LIBRARY.read_bytes()[:4] == b"\\x7fELF"
'''


def imported(wheel: Path, site: Path, program: str) -> str:
    """What a program prints in an environment where the editable wheel is installed."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)  # noqa: S202 (our own wheel)
    done = subprocess.run(  # noqa: TID251 (a user's program)
        [sys.executable, "-c", f"import site; site.addsitedir({str(site)!r})\n{program}"],
        cwd=site,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("mode", ["", '\n[tool.scikit-build]\neditable.mode = "inplace"\n'])
def test_a_package_finds_its_library_beside_itself(
    make_project: Callable[..., Project], tmp_path: Path, mode: str
) -> None:
    project = make_project(**{"tiny_ops/__init__.py": BESIDE})
    project.write("pyproject.toml", (project.root / "pyproject.toml").read_text(encoding="utf-8") + mode)
    built = project.hook("build_editable", tmp_path, {"gpuwheel.archs": "8.0"})
    assert built.code == 0, built.output
    program = "import importlib.util, tiny_ops; print(importlib.util.find_spec('tiny_ops._C').origin)"
    assert imported(tmp_path / built.value, tmp_path / "site", program) == str(project.root / "tiny_ops" / "_C.so")


def test_what_lies_there_is_in_no_sdist_and_replaced_in_wheels(project: Project, tmp_path: Path) -> None:
    settings = {"gpuwheel.archs": "8.0"}
    (project.root / "tiny_ops" / "_C.so").write_text("of another day", encoding="utf-8")
    with zipfile.ZipFile(project.wheel(tmp_path, settings)) as archive:
        assert archive.read("tiny_ops/_C.so")[:4] == b"\x7fELF"
    sdist = project.hook("build_sdist", tmp_path)
    with tarfile.open(tmp_path / sdist.value) as archive:
        assert not [name for name in archive.getnames() if name.endswith(".so")]
    editable = project.hook("build_editable", tmp_path, settings)
    assert editable.code == 0, editable.output
    assert (project.root / "tiny_ops" / "_C.so").read_bytes()[:4] == b"\x7fELF"


def test_git_that_does_not_ignore_it_is_named(project: Project, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", project.root], check=True)  # noqa: S607, TID251 (a user's command)
    project.write(".gitignore", "_kernels.json\n")
    settings = {"gpuwheel.archs": "8.0"}
    told = "git does not ignore tiny_ops/_C.so, which the build made: add *.so to .gitignore"
    assert told in project.hook("build_editable", tmp_path, settings).output
    (project.root / "tiny_ops" / "_C.so").unlink()
    project.write(".gitignore", "_kernels.json\n*.so\n")
    assert "git does not" not in project.hook("build_editable", tmp_path, settings).output
