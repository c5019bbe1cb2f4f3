"""What a setup.py may not do to the machine, and how one that breaks is told."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest
from setup_projects import SIMPLE

from gpuwheel._resources import resource

if TYPE_CHECKING:
    from collections.abc import Callable

    from setup_projects import Project

DOES_THINGS = """\
import os, pathlib, shutil, subprocess, sys
print("chatter", file=sys.stdout)
sha = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True)
subprocess.run(["git", "submodule", "update", "--init"], check=True)
os.system("touch made_by_system")
with open("ops/version.py", "w") as file:
    file.write("version = '7'")
pathlib.Path("ops/other.py").write_text("x")
exec(open("ops/version.py").read())
os.makedirs("build/temp", exist_ok=True)
shutil.rmtree("csrc")
os.symlink(os.path.abspath("csrc"), "ops/csrc")
shutil.move("csrc/ops.cpp", "moved.cpp")
os.remove("setup.py")
"""


def _files(project: Project) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(project.root.rglob("*")) if path.is_file()}


def test_what_it_writes_and_starts_does_not_happen_and_is_reported(project: Callable[..., Project]) -> None:
    made = project(DOES_THINGS + SIMPLE.replace('"1.2"', "version"))
    before = _files(made)
    document = made.report()
    assert 'version = "7"' in document["pyproject"]
    assert _files(made) == before
    assert {row["what"]: row["place"] for row in document["left"]} == {
        "runs git submodule update --init": "setup.py:4",
        "runs touch made_by_system": "setup.py:5",
        "writes ops/version.py": "setup.py:6",
        "writes ops/other.py": "setup.py:8",
        "writes ops/csrc": "setup.py:12",
        "writes moved.cpp": "setup.py:13",
    }


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import os; os.execv('/bin/true', ['true'])", "starts a program"),
        ("import urllib.request; urllib.request.urlopen('http://example.org')", "reaches for the network"),
        ("import os; os.open('made', os.O_CREAT | os.O_WRONLY)", "writes made"),
        ("import os; os.environ['NO_SUCH_VARIABLE']", "environment variable NO_SUCH_VARIABLE is not set"),
        ("import os; os._exit(0)", "it ends Python before it calls it"),
        ("raise RuntimeError('CUDA 10 is needed')", "RuntimeError: CUDA 10 is needed"),
        ("import sys; sys.exit('no ROCm')", "SystemExit: no ROCm"),
        ("x = = 1", "SyntaxError: invalid syntax"),
        ("import torch; torch.frobnicate()", "stand-in for torch has no frobnicate"),
    ],
)
def test_one_that_breaks_is_told_with_its_line(project: Callable[..., Project], line: str, said: str) -> None:
    made = project(f"import os\n{line}\n{SIMPLE}")
    before = _files(made)
    result = made.init()
    assert result.exit_code == 3, result.output
    assert " does not get to setup()" in result.stderr
    assert "error: setup.py:2 " in result.stderr or "_exit" in line
    assert said in result.stderr
    assert "hint: " in result.stderr
    assert _files(made) == before


def test_a_missing_module_is_named_in_the_hint(project: Callable[..., Project]) -> None:
    made = project("from exotic.build import thing\nif thing(): pass\n" + SIMPLE)
    result = made.init()
    assert "does not know what exotic.build.thing() is" in result.stderr
    assert "hint: install exotic beside gpuwheel" in result.stderr


def test_a_missing_module_that_nothing_is_asked_of_is_listed(project: Callable[..., Project]) -> None:
    made = project("from exotic.build import thing\nclass Mine(thing): pass\n" + SIMPLE)
    assert made.left()["imports exotic"] == "setup.py:1"


def test_the_line_is_that_of_the_project_where_a_module_of_it_breaks(project: Callable[..., Project]) -> None:
    made = project("import version\n" + SIMPLE)
    made.write("version.py", "\n\nraise ValueError('broken')\n")
    assert "error: version.py:3 does not get to setup() (ValueError: broken)" in made.init().stderr


def test_one_without_setup_or_extensions_is_told(project: Callable[..., Project]) -> None:
    made = project("print('hello')\n")
    assert "error: setup.py does not get to setup() (it ends without calling it)" in made.init().stderr
    made.write("setup.py", "from setuptools import setup\nsetup(name='ops')\n")
    result = made.init()
    assert result.exit_code == 3
    assert "error: setup.py:2 gives no extension that gpuwheel could build (found 0)" in result.stderr
    made.write("setup.py", SIMPLE.replace("csrc/", "gone/"))
    result = made.init()
    assert "gone/ops.cpp: there is no such file" in result.stderr
    assert not (made.root / "pyproject.toml").exists()


def test_a_folder_without_setup_py_is_told(project: Callable[..., Project]) -> None:
    made = project(SIMPLE)
    (made.root / "setup.py").unlink()
    result = made.init()
    assert result.exit_code == 3
    assert "has no setup.py" in result.stderr


def test_the_process_that_runs_it_knows_nothing_of_gpuwheel() -> None:
    for path in resource("adopt", "setup_worker").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not any(name.partition(".")[0] == "gpuwheel" for name in names), path.name
