"""What counts as passed: not an exit status alone."""

from __future__ import annotations

import os
import sys
import sysconfig
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gpuwheel._cache import Cache
from gpuwheel._run import run
from gpuwheel.config.model import TrialSettings
from gpuwheel.matrix.trials.clean_environments import Place
from gpuwheel.matrix.trials.tried import own_tests, smoke
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.toolchain import Context

if TYPE_CHECKING:
    from pathlib import Path

# What else is installed beside these tests has plugins too.
ENVIRON = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
TEST = "def test_it():\n    import ops\n"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An environment in which a distribution `ops` is installed, and pytest, that of these tests."""
    run([sys.executable, "-I", "-m", "venv", "--without-pip", tmp_path / "environment"])
    (site,) = (tmp_path / "environment").glob("lib/python*/site-packages")
    (site / "these.pth").write_text(sysconfig.get_path("purelib"))
    (site / "ops").mkdir()
    (site / "ops" / "__init__.py").write_text("")
    (site / "ops-1.dist-info").mkdir()
    (site / "ops-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: ops\nVersion: 1\n")
    (site / "ops-1.dist-info" / "RECORD").write_text("ops/__init__.py,,\nops-1.dist-info/METADATA,,\n")
    (tmp_path / "work").mkdir()
    context = Context(Cache(tmp_path / "cache"), {**ENVIRON, "PATH": os.environ["PATH"]}, SilentReporter())
    return Place(tmp_path / "environment" / "bin" / "python", tmp_path / "work", site, False, (), context)  # noqa: FBT003


def _own(place: Place, text: str, *command: str) -> tuple[bool | None, str]:
    sources = place.folder.parent / "sources"
    (sources / "tests").mkdir(parents=True)
    (sources / "pyproject.toml").write_text("")
    (sources / "tests" / "test_it.py").write_text(text)
    words = command or ("python", "-m", "pytest", "tests", "-p", "no:cacheprovider")
    return own_tests(place, sources, TrialSettings(command=words), seconds=60)


def test_a_package_that_imports_passes_whatever_is_printed_as_python_ends(place: Place) -> None:
    (place.site_packages / "ops" / "__init__.py").write_text("import atexit; atexit.register(print, 'bye')\n")

    passed, output = smoke(place, "ops", seconds=60)

    assert passed, output
    assert "packages: ops" in output


@pytest.mark.parametrize("code", ["import os; os._exit(0)", "print('fine', flush=True); import os; os._exit(0)"])
def test_a_package_that_ends_python_with_success_does_not_pass(place: Place, code: str) -> None:
    (place.site_packages / "ops" / "__init__.py").write_text(f"{code}\n")

    passed, output = smoke(place, "ops", seconds=60)

    assert passed is False
    assert output.endswith("it ended before everything was imported and loaded (exit status 0)")


def test_tests_that_pass_are_counted_with_those_that_were_skipped(place: Place) -> None:
    skipped = "import pytest\n@pytest.mark.skip\ndef test_other(): pass\n@pytest.mark.xfail\ndef test_x(): assert 0\n"

    passed, output = _own(place, TEST + skipped)

    assert passed, output
    assert output.splitlines()[-1] == "tests: 1 passed, 1 skipped, 1 xfailed"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"import pytest\n@pytest.mark.skip\n{TEST}", "tests: 1 skipped (expected one that passes)"),
        (f"import pytest\npytest.skip(allow_module_level=True)\n{TEST}", "tests: 1 skipped (expected one that passes)"),
        ("import pytest\n@pytest.mark.xfail\ndef test_it(): assert 0\n", "tests: 1 xfailed (expected one that passes)"),
        ("import os\nos._exit(0)\n", "tests: none ran; pytest ended before it was through"),
        (f"{TEST}def test_other():\n    import os; os._exit(0)\n", "pytest ended before it was through"),
        (f"{TEST}def test_other(): assert 0\n", "tests: 1 passed, 1 failed"),
        ("", "tests: none ran (expected one that passes)"),
    ],
    ids=["skipped", "file skipped", "expected to fail", "ends while collected", "ends", "fails", "none"],
)
def test_without_a_test_that_passes_and_an_end_a_run_of_pytest_does_not_pass(
    place: Place, text: str, said: str
) -> None:
    passed, output = _own(place, text)

    assert passed is False
    assert said in output.splitlines()[-1]


def test_a_pytest_that_never_begins_did_not_pass(place: Place) -> None:
    passed, output = _own(place, TEST, "python", "-m", "pytest", "--version")

    assert passed is False
    assert output.splitlines()[-1] == "tests: pytest did not begin"


@pytest.mark.parametrize(("status", "expected"), [(0, True), (3, False)])
def test_what_runs_no_pytest_is_believed_and_that_is_said(place: Place, status: int, expected: bool) -> None:  # noqa: FBT001
    passed, output = _own(place, TEST, "python", "-c", f"raise SystemExit({status})")

    assert passed is expected
    assert output.splitlines()[-1] == "tests: not counted, no pytest ran them"


def test_a_program_that_runs_pytest_is_counted_too(place: Place) -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-m', 'pytest', '-k', 'nothing', 'tests'])"

    passed, output = _own(place, TEST, "python", "-c", code)

    assert passed is False
    assert output.splitlines()[-1] == "tests: none ran (expected one that passes)"


def test_tests_see_no_secret_and_no_remote(place: Place) -> None:
    secret = {
        "GPUWHEEL_REMOTE": "s3://bucket/x",
        "GPUWHEEL_REMOTE_WRITE": "main",
        "GPUWHEEL_REMOTE_KEY": "k",
        "GPUWHEEL_REMOTE_KEY_FILE": "/k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_SESSION_TOKEN": "t",
        "SCCACHE_BUCKET": "b",
    }
    context = replace(place.context, environ={**place.context.environ, **secret})
    code = "import os; print({k: v for k, v in os.environ.items() if k.startswith(('GPUWHEEL_', 'AWS_'))})"

    _, output = _own(replace(place, context=context), TEST, "python", "-c", code)

    assert output.splitlines()[0] == "{'GPUWHEEL_REMOTE': 'off'}"
