"""`gpuwheel build` on real projects: every wheel in one folder, failures apart, and a later run that goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import pytest
from tiny_matrix import PYPROJECT, SOURCE, TORCHS, write_tiny_matrix

from gpuwheel._run import Completed, run
from gpuwheel.errors import CompileError, FileError, MatrixError, PlanError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.compiler, pytest.mark.network]

TAG = f"py3-none-manylinux_2_28_{os.uname().machine}"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_tiny_matrix(tmp_path / "tiny")


def _build(project: Path, *words: str, check: bool = True, **environ: str) -> Completed:
    command = [sys.executable, "-m", "gpuwheel", "build", "--project", project, *words]
    return run(command, cwd=project.parent, env={**os.environ, **environ}, check=check)


def _report(completed: Completed) -> dict[str, dict[str, Any]]:
    return {cell["identifier"]: cell for cell in json.loads(completed.stdout)["cells"]}


def _wheels(project: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (project / "dist").glob("*.whl")}


def test_every_wheel_once_and_a_later_run_takes_what_is_there(project: Path) -> None:
    report = _report(_build(project, "--json"))
    assert {cell["state"] for cell in report.values()} == {"built"}
    assert sorted(_wheels(project)) == [f"tiny-1.0+torch{torch}-{TAG}.whl" for torch in TORCHS]
    for torch, name in zip(TORCHS, sorted(_wheels(project)), strict=True):
        with ZipFile(project / "dist" / name) as wheel:
            metadata = wheel.read(f"tiny-1.0+torch{torch}.dist-info/METADATA").decode()
        assert f"Requires-Dist: torch=={torch}.*" in metadata
        assert f"Version: 1.0+torch{torch}\n" in metadata
    before = _wheels(project)
    assert {cell["state"] for cell in _report(_build(project, "--json", "--resume")).values()} == {"kept"}
    # One is damaged, and one is lost.
    first, second, third = sorted(before)
    (project / "dist" / first).write_bytes(b"damaged")
    (project / "dist" / second).unlink()
    states = [cell["state"] for cell in _report(_build(project, "--json", "--resume")).values()]
    assert sorted(states) == ["built", "built", "kept"]
    assert _wheels(project) == before
    # Other sources, other wheels.
    (project / "csrc" / "a.cpp").write_text(SOURCE.replace("42", "43"))
    again = _report(_build(project, "*torch2.14*", "--json", "--resume"))
    assert [cell["state"] for cell in again.values()] == ["built"]
    assert _wheels(project)[third] != before[third]
    assert (project / "dist" / ".gpuwheel" / "report.html").is_file()


def test_a_cell_that_fails_or_hangs_stops_nobody_else(project: Path) -> None:
    (project / "csrc" / "a.cpp").write_text(
        "#include <torch/version.h>\n#if TORCH_VERSION_MINOR == 13\n#error for another torch\n#endif\n" + SOURCE
    )
    completed = _build(project, "--json", check=False)
    assert completed.returncode == MatrixError.exit_code
    report = _report(completed)
    failed = report.pop(f"nvcc-cu13.0-torch2.13-linux_{os.uname().machine}")
    assert failed["error"]["exit_code"] == CompileError.exit_code
    assert {cell["state"] for cell in report.values()} == {"built"}
    assert "for another torch" in completed.stderr
    assert len(_wheels(project)) == 2
    assert not list((project / "dist" / ".gpuwheel" / "unfinished").iterdir())
    # One that hangs: nobody waits longer than they are told.
    completed = _build(project, "*torch2.14*", "--json", "--timeout", "1", check=False, CXX=_slow_compiler(project))
    assert completed.returncode == MatrixError.exit_code
    (late,) = _report(completed).values()
    assert late["error"]["exit_code"] == 124
    assert len(_wheels(project)) == 2


def _slow_compiler(project: Path) -> str:
    path = project.parent / "slow-c++"
    path.write_text(f'#!/bin/sh\ncase "$*" in *a.cpp*) sleep 60;; esac\nexec {shutil.which("c++")} "$@"\n')
    path.chmod(0o755)
    return str(path)


def test_killed_at_any_moment_it_goes_on(project: Path) -> None:
    command = [sys.executable, "-m", "gpuwheel", "build", "--project", str(project)]
    done = project / "dist" / ".gpuwheel" / "journal.jsonl"
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while not done.is_file() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    survivors = _wheels(project)
    assert survivors
    report = _report(_build(project, "--json", "--resume"))
    assert {cell["state"] for cell in report.values()} <= {"built", "kept"}
    assert sum(cell["state"] == "kept" for cell in report.values()) == len(survivors)
    resumed = _wheels(project)
    assert survivors.items() <= resumed.items()
    shutil.rmtree(project / "dist")
    _build(project)
    assert _wheels(project) == resumed


@pytest.mark.parametrize(
    ("pattern", "found"),
    [("nvcc-cu13.0-torch2.16-any", "torch2.16"), ("*cp312*", "cp312"), ("torch2.13", "'torch2.13'")],
)
def test_a_pattern_that_names_nothing(project: Path, pattern: str, found: str) -> None:
    completed = _build(project, pattern, check=False)
    assert completed.returncode == PlanError.exit_code
    assert found in completed.stderr
    assert f"nvcc-cu13.0-torch2.13-linux_{os.uname().machine}" in completed.stderr


def test_a_version_that_changes_between_cells_is_told_and_finished_wheels_stay(project: Path) -> None:
    text = PYPROJECT.replace('version = "1.0"\n', "").replace('["dependencies"]', '["dependencies", "version"]')
    provider = '\n[[tool.dynamic-metadata]]\nprovider = { path = ".", module = "clock" }\n'
    (project / "pyproject.toml").write_text(text + provider)
    (project / "clock.py").write_text(
        "import time\n\ndef dynamic_metadata(settings, project):\n    return {'version': f'1.{time.time_ns()}'}\n"
    )
    completed = _build(project, check=False)
    assert completed.returncode == MatrixError.exit_code
    assert "the version of the project changes between wheels" in completed.stderr
    assert _wheels(project) == {}


def test_a_folder_that_takes_no_file_is_told_before_anything_is_built(project: Path) -> None:
    (project / "dist").write_text("a file")
    completed = _build(project, check=False)
    assert completed.returncode == FileError.exit_code
    assert str(project / "dist") in completed.stderr


def test_a_dry_run_builds_nothing(project: Path) -> None:
    completed = _build(project, "--dry-run")
    assert completed.stdout.split() == [f"nvcc-cu13.0-torch{torch}-linux_{os.uname().machine}" for torch in TORCHS]
    assert _wheels(project) == {}
