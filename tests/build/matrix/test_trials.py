"""Finished wheels in clean environments: what passes, what fails, and what cannot be tried."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

from gpuwheel._cache import Cache
from gpuwheel._run import run
from gpuwheel.compatibility import load_tables
from gpuwheel.matrix.trials import Level, Trial, try_wheel
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.toolchain import Context
from gpuwheel.toolchain.python_headers import running_python
from gpuwheel.wheel import Member, write_wheel

pytestmark = [pytest.mark.network]

# One Python, and no torch: such a trial takes two seconds.
HERE = f"Requires-Python: =={running_python().rstrip('t')}.*"
PROJECT = """
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"
[project]
name = "ops"
version = "1"
dynamic = ["dependencies", "optional-dependencies"]
[tool.gpuwheel]
minimum-version = "0.1"
nvmath = ">=1.0"
"""
REGISTERS = """
import torch

library = torch.library.Library("trial_ops", "DEF")
library.define("traced(Tensor a) -> Tensor")
library.impl("traced", torch.clone, "CPU")
library.impl("traced", torch.empty_like, "Meta")
library.define("untraced(Tensor a) -> Tensor")
library.impl("untraced", torch.clone, "CPU")
"""


def _wheel(folder: Path, files: dict[str, str], *headers: str) -> Path:
    info = "ops-1.dist-info"
    texts = {
        **files,
        f"{info}/METADATA": "\n".join(["Metadata-Version: 2.1", "Name: ops", "Version: 1", HERE, *headers, "", ""]),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    path = folder / "ops-1-py3-none-any.whl"
    write_wheel(path, [Member(name, text.encode()) for name, text in texts.items()])
    return path


@pytest.fixture(scope="session")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A fresh cache, but torch's environments are those of the user: they have gigabytes."""
    kept = os.environ.get("GPUWHEEL_TEST_ENVIRONMENTS") or str(Cache.from_environment(os.environ).root)
    path = f"{Path(find_uv_bin()).parent}:{os.environ['PATH']}"
    cache = str(tmp_path_factory.mktemp("cache"))
    return {**os.environ, "PATH": path, "GPUWHEEL_CACHE_DIR": cache, "GPUWHEEL_TEST_ENVIRONMENTS": kept}


Try = "Callable[..., Trial]"


@pytest.fixture
def tried(tmp_path: Path, environ: dict[str, str]) -> Try:
    """Try a wheel of some files, and give its only trial."""

    def one(files: dict[str, str], *headers: str, tests: dict[str, str] | None = None, **more: object) -> Trial:
        sources = tmp_path / "sources"
        sources.mkdir()
        (sources / "pyproject.toml").write_text(f"{PROJECT}{more.pop('settings', '')}")
        for name, text in (tests or {}).items():
            (sources / name).parent.mkdir(exist_ok=True)
            (sources / name).write_text(text)
        # As the project has it before it is built: nothing may import it from there.
        (sources / "ops").mkdir()
        (sources / "ops" / "__init__.py").write_text("raise SystemError('imported from the sources')\n")
        context = Context(Cache.from_environment(environ), environ, SilentReporter())
        level = Level.SMOKE if tests is None else Level.FULL
        (trial,) = try_wheel(
            _wheel(tmp_path, files, *headers), sources, level, context, seconds=more.get("seconds", 600)
        )
        return trial

    return one


def test_a_wheel_with_what_it_requires(tried: Try) -> None:
    trial = tried({"ops/__init__.py": "import tabulate\n", "ops/inner/__init__.py": ""}, "Requires-Dist: tabulate")

    assert trial.passed, trial.output
    assert (trial.python, trial.torch, trial.level) == (running_python(), None, "smoke")
    assert "packages: ops, ops.inner" in trial.output


def test_what_it_does_not_require_is_not_there(tried: Try) -> None:
    # pytest and numpy are around this test, and none of a user's business.
    trial = tried({"ops/__init__.py": "import pytest\n"})

    assert trial.passed is False
    assert "No module named 'pytest'" in trial.output
    assert "failed: import ops" in trial.output


@pytest.mark.parametrize(
    ("code", "said", "seconds"),
    [
        ("import ctypes; ctypes.string_at(0)", "ended by SIGSEGV", 600),
        ("import os; os.abort()", "ended by SIGABRT", 600),
        ("raise SystemExit(0)", "failed: import ops", 600),
        ("import time; time.sleep(600)", "it was not done after 5 s", 5),
    ],
    ids=["a crash", "an abort", "an exit", "a hang"],
)
def test_whatever_a_package_does_is_a_failed_trial(tried: Try, code: str, said: str, seconds: float) -> None:
    trial = tried({"ops/__init__.py": f"{code}\n"}, seconds=seconds)

    assert trial.passed is False
    assert said in trial.output


def test_a_library_that_does_not_load(tried: Try) -> None:
    trial = tried({"ops/__init__.py": "", "ops/lib.so": "no ELF file"})

    assert trial.passed is False
    assert "lib.so" in trial.output


def test_requirements_that_nothing_satisfies(tried: Try) -> None:
    trial = tried({"ops/__init__.py": ""}, "Requires-Dist: tabulate>=99")

    assert trial.passed is False
    assert "nothing satisfies what ops-1-py3-none-any.whl requires" in trial.output


def test_the_projects_own_tests_see_the_installed_wheel(tried: Try) -> None:
    tests = {"tests/test_it.py": "import ops\n\ndef test_it():\n    assert ops.value == 7\n"}

    good = tried({"ops/__init__.py": "value = 7\n"}, tests=tests)

    assert good.passed, good.output
    assert "1 passed" in good.output


def test_a_test_that_fails_is_a_failed_trial(tried: Try) -> None:
    tests = {"tests/test_it.py": "import ops\n\ndef test_it():\n    assert ops.value == 8\n"}

    trial = tried({"ops/__init__.py": "value = 7\n"}, tests=tests)

    assert trial.passed is False
    assert "assert 7 == 8" in trial.output


def test_a_command_of_ones_own(tried: Try) -> None:
    settings = """
[tool.gpuwheel.test]
command = ["python", "checks/run.py", "--all"]
requires = ["tabulate"]
sources = ["checks"]
"""
    tests = {"checks/run.py": "import sys, ops, tabulate\nprint(sys.argv[1:], ops.value)\n"}

    trial = tried({"ops/__init__.py": "value = 7\n"}, tests=tests, settings=settings)

    assert trial.passed, trial.output
    assert "['--all'] 7" in trial.output


def test_tests_that_the_sdist_lacks_are_said(tried: Try) -> None:
    trial = tried({"ops/__init__.py": ""}, tests={})

    assert trial.passed is None
    assert "the sdist has no tests" in trial.output


@pytest.mark.compiler
@pytest.mark.slow
def test_operators_beside_a_torch_whose_nvidia_libraries_are_pretended(tried: Try) -> None:
    release = next(row.release for _, row in sorted(load_tables().torch.items(), reverse=True))
    if running_python() != "3.11":
        pytest.skip("the environments with torch that tests share have Python 3.11")

    trial = tried({"ops/__init__.py": REGISTERS}, f"Requires-Dist: torch=={release}")

    assert trial.passed, trial.output
    assert trial.torch == release
    assert "operators: trial_ops::traced, trial_ops::untraced" in trial.output
    assert "without a fake: trial_ops::untraced" in trial.output


def test_a_torch_that_cannot_be_had_is_said(tmp_path: Path, environ: dict[str, str]) -> None:
    deaf = {**environ, "UV_OFFLINE": "1", "UV_NO_CACHE": "1", "GPUWHEEL_TEST_ENVIRONMENTS": str(tmp_path / "none")}
    wheel = _wheel(tmp_path, {"ops/__init__.py": ""}, "Requires-Dist: torch==2.15.*")
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    context = Context(Cache(tmp_path / "cache"), deaf, SilentReporter())

    (trial,) = try_wheel(wheel, tmp_path, Level.SMOKE, context)

    assert trial.passed is None
    assert "no environment with torch 2.15" in trial.output


def test_the_program_that_makes_torch_environments_says_what_is_wrong(tmp_path: Path, environ: dict[str, str]) -> None:
    deaf = {**environ, "UV_OFFLINE": "1", "UV_NO_CACHE": "1", "GPUWHEEL_TEST_ENVIRONMENTS": str(tmp_path)}
    words = [sys.executable, "-m", "gpuwheel.testing", "environment", "2.15.0", "--python", running_python()]

    completed = run([*words, "--interpreter", sys.executable], env=deaf, check=False)

    assert completed.returncode == 5
    assert "Traceback" not in completed.stderr


@pytest.mark.compiler
@pytest.mark.slow
def test_a_wheel_that_fails_is_kept_apart_and_the_build_says_so(tmp_path: Path, environ: dict[str, str]) -> None:
    if running_python() != "3.11":
        pytest.skip("the environments with torch that tests share have Python 3.11")
    project = tmp_path / "project"
    (project / "ops").mkdir(parents=True)
    (project / "ops" / "__init__.py").write_text("import ops.missing\n")
    only_here = 'requires-python = "==3.11.*"\ndynamic'
    (project / "pyproject.toml").write_text(PROJECT.replace("dynamic", only_here) + 'torch = ">=2.15"\n')
    words = [sys.executable, "-m", "gpuwheel", "build", "--project", project, "--test", "smoke"]

    completed = run(words, env=environ, check=False)

    dist = project / "dist"
    assert completed.returncode == 16, completed.output
    assert "failed its trial with Python 3.11 and torch 2.15" in completed.stderr
    assert "No module named 'ops.missing'" in completed.stderr
    assert not list(dist.glob("*.whl"))
    (kept,) = (dist / ".gpuwheel" / "failed").glob("ops-1-*.whl")
    assert str(kept) in completed.stderr
