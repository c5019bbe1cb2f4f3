"""Environments to build in, as uv and as pip make them, and what stays of them."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from uv import find_uv_bin

from gpuwheel import __version__
from gpuwheel._cache import Cache
from gpuwheel._run import Completed, run
from gpuwheel.matrix.own_wheel import own_wheel
from gpuwheel.testing import require
from gpuwheel.toolchain.python_headers import running_python

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.network]

# What asks for an environment: a program, for it is the interpreter that runs it whose pip is used.
ASK = """
import json, os, sys
from pathlib import Path
from gpuwheel._cache import Cache
from gpuwheel.errors import GpuwheelError
from gpuwheel.matrix.environments import BuildEnvironments
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.toolchain import Context

class Heard(SilentReporter):
    said = []
    def warn(self, text): self.said.append(text)
    def step(self, text): self.said.append(text)

root, version = Path(sys.argv[1]), sys.argv[2]
context = Context(Cache.from_environment(os.environ), dict(os.environ), Heard())
try:
    python = BuildEnvironments(root, context).python(version, {})
except GpuwheelError as error:
    sys.exit(error.render())
print(json.dumps({"python": str(python), "said": Heard.said}))
"""
AGAIN = """
import sys
from pathlib import Path
from gpuwheel._cache import Cache
from gpuwheel.matrix.own_wheel import own_wheel
print(own_wheel(Cache(Path(sys.argv[1]))).version)
"""
PYPROJECT = """
[build-system]
requires = ["gpuwheel>=0.1", "tabulate"]
build-backend = "gpuwheel.backend"

[project]
name = "small"
version = "1"
requires-python = ">=3.10"
dynamic = ["dependencies", "optional-dependencies"]

[tool.gpuwheel]
minimum-version = "0.1"
nvmath = ">=1.0"
"""


@dataclass(frozen=True)
class Answer:
    python: Path
    said: list[str]

    def run(self, *words: str) -> str:
        return run([self.python, "-I", *words]).stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "small").mkdir(parents=True)
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "small" / "__init__.py").touch()
    # Nothing of a project is imported by what installs for it.
    (root / "json.py").write_text("raise SystemExit('the project was imported')\n")
    return root


def _ask(python: Path, project: Path, version: str, environ: dict[str, str]) -> Completed:
    return run([python, "-I", "-c", ASK, project, version], env=environ, check=False, cwd=project.parent)


def _answer(completed: Completed) -> Answer:
    assert completed.returncode == 0, completed.output
    found = json.loads(completed.stdout)
    return Answer(Path(found["python"]), found["said"])


def _without_uv(tmp_path: Path) -> dict[str, str]:
    folders = [each for each in os.environ["PATH"].split(":") if not (Path(each) / "uv").exists()]
    hidden = {"PATH": ":".join(folders), "GPUWHEEL_CACHE_DIR": str(tmp_path / "cache")}
    return {**os.environ, **hidden}


def _host(tmp_path: Path, *packages: str) -> Path:
    """The Python of an environment that holds this gpuwheel, as users have one."""
    wheel = own_wheel(Cache(tmp_path / "host-cache")).path
    run([find_uv_bin(), "venv", "--quiet", "--python", sys.executable, tmp_path / "host"])
    python = tmp_path / "host" / "bin" / "python"
    run([find_uv_bin(), "pip", "install", "--quiet", "--python", python, wheel, *packages])
    return python


def test_an_environment_holds_this_gpuwheel_and_is_used_again_where_no_index_answers(
    project: Path, tmp_path: Path
) -> None:
    python, cache = Path(sys.executable), tmp_path / "cache"
    environ = {**os.environ, "GPUWHEEL_CACHE_DIR": str(cache), "UV_SYSTEM_PYTHON": "1", "FORCE_COLOR": "1"}
    environ.pop("HOME")

    first = _answer(_ask(python, project, running_python(), environ))
    assert first.run("-c", "import gpuwheel, tabulate; print(gpuwheel.__version__)") == __version__
    own = first.run("-c", "from importlib.metadata import version as v; print(v('gpuwheel'))")
    assert own == own_wheel(Cache(cache)).version
    # Who is in such an environment makes the same wheel again, and so knows whether another has the same code.
    again = first.run("-c", AGAIN, str(tmp_path / "other"))
    assert again == own
    assert first.python.parent.parent.parent == cache / "v1" / "environments"
    # Its commands work where they are, and not only where they were installed.
    assert __version__ in run([first.python.with_name("gpuwheel"), "--version"]).stdout
    assert not (project / ".uv_cache").exists()

    deaf = {**environ, "UV_OFFLINE": "1", "UV_NO_CACHE": "1"}
    second = _answer(_ask(python, project, running_python(), deaf))
    assert second.python == first.python
    assert any("is that of the last build" in line for line in second.said)

    # What it would need anew cannot be had, and that is said.
    pyproject = project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace('"tabulate"', '"tabulate>=99"'))
    refused = _ask(python, project, running_python(), deaf)
    assert "cannot be had" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.pythons
def test_another_python_gets_one_of_its_own(
    project: Path, tmp_path: Path, find_other_python: Callable[[], str]
) -> None:
    environ = {**os.environ, "GPUWHEEL_CACHE_DIR": str(tmp_path / "cache")}
    version = find_other_python()

    made = _answer(_ask(Path(sys.executable), project, version, environ))

    assert made.run("-c", "import sys; print('%d.%d' % sys.version_info[:2])") == version
    assert made.run("-c", "import gpuwheel; print(gpuwheel.__version__)") == __version__


@pytest.mark.parametrize("pip", ["pip==23.0", pytest.param("pip", marks=pytest.mark.heavy)])
def test_pip_makes_the_same_without_uv(project: Path, tmp_path: Path, pip: str) -> None:
    host, environ = _host(tmp_path, pip), _without_uv(tmp_path)

    first = _answer(_ask(host, project, running_python(), environ))
    assert first.run("-c", "import gpuwheel, tabulate; print(gpuwheel.__version__)") == __version__
    assert __version__ in run([first.python.with_name("gpuwheel"), "--version"]).stdout

    deaf = {**environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
    second = _answer(_ask(host, project, running_python(), deaf))
    assert second.python == first.python


def test_without_uv_and_pip_the_hint_says_what_to_install(project: Path, tmp_path: Path) -> None:
    refused = _ask(_host(tmp_path), project, running_python(), _without_uv(tmp_path))

    assert "nothing here installs what a build requires" in refused.stderr
    assert "hint: pip install uv" in refused.stderr


def test_many_processes_make_an_environment_once(project: Path, tmp_path: Path) -> None:
    environ = {**os.environ, "GPUWHEEL_CACHE_DIR": str(tmp_path / "cache")}
    code = (
        "import subprocess, sys\n"
        "started = [subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True) for _ in range(4)]\n"
        "print('\\n'.join(each.communicate()[0].strip() for each in started))\n"
    )
    words = [sys.executable, "-I", "-c", ASK, project, running_python()]
    lines = run([sys.executable, "-c", code, *words], env=environ).stdout.splitlines()
    answers = [json.loads(line) for line in lines]

    assert len({answer["python"] for answer in answers}) == 1
    made = [line for answer in answers for line in answer["said"] if line.startswith("making an environment")]
    assert len(made) == len(set(Path(tmp_path / "cache/v1/environments").glob("build-*")))
    assert not list(Path(tmp_path / "cache/v1/tmp").glob("environments-build-*[!k]"))


def test_what_a_hook_refuses_is_told_as_it_says_it(project: Path, tmp_path: Path) -> None:
    environ = {**os.environ, "GPUWHEEL_CACHE_DIR": str(tmp_path / "cache")}
    pyproject = project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text() + "unheard-of = true\n")

    refused = _ask(Path(sys.executable), project, running_python(), environ)

    assert "unheard-of" in refused.stderr
    assert "error:" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.fixture
def find_other_python() -> Callable[[], str]:
    """A version that this machine has beside the running one."""

    def find() -> str:
        from interpreters import find_interpreter  # noqa: PLC0415 (asks programs)

        for version in ("3.12", "3.10", "3.13", "3.11"):
            if version != running_python() and find_interpreter(version):
                return version
        return require("pythons", "no interpreter of another version")

    return find


def test_an_environment_is_pruned_like_everything_else(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    made = own_wheel(cache)
    environ = {**os.environ, "GPUWHEEL_CACHE_DIR": str(tmp_path)}
    os.utime(made.path.parent, (0, 0))

    run([sys.executable, "-m", "gpuwheel", "cache", "prune", "--older-than", "1"], env=environ)

    assert not made.path.exists()
