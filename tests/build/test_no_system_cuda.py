"""The guard itself: it would be worth nothing if it saw nothing."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import SystemCuda

pytestmark = pytest.mark.compiler


@pytest.fixture
def toolkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_system_cuda: SystemCuda) -> Path:
    """A folder that stands for a system toolkit, with a log that the outer guard does not read."""
    del no_system_cuda  # set up before the variables below replace its own
    (tmp_path / "toolkit-13.0" / "bin").mkdir(parents=True)
    (tmp_path / "toolkit").symlink_to("toolkit-13.0")
    nvcc = tmp_path / "toolkit-13.0" / "bin" / "nvcc"
    nvcc.write_text("#!/bin/sh\necho found\n")
    nvcc.chmod(0o755)
    (tmp_path / "toolkit-13.0" / "cuda.h").write_text("#define FOUND 1\n")
    monkeypatch.setenv("SYSTEM_CUDA_GUARD_ROOTS", str(tmp_path / "toolkit"))
    monkeypatch.setenv("SYSTEM_CUDA_GUARD_LOG", str(tmp_path / "log"))
    return tmp_path / "toolkit"


@pytest.mark.parametrize(
    ("script", "recorded"),
    [
        ("cat {toolkit}/cuda.h", "open {toolkit}/cuda.h"),
        ("cat {toolkit}-13.0/cuda.h", "open {toolkit}-13.0/cuda.h"),
        ("ls {toolkit}/", "look {toolkit}/"),
        ("exec {toolkit}/bin/nvcc", "run {toolkit}/bin/nvcc"),
        ("test -d {toolkit}", "look {toolkit}"),
        ("echo '#include <cuda.h>' | c++ -I{toolkit} -E -", "look {toolkit}"),
    ],
)
def test_a_touch_is_refused_and_recorded(script: str, recorded: str, toolkit: Path) -> None:
    completed = run(["sh", "-c", script.format(toolkit=toolkit)], check=False)

    assert completed.returncode != 0
    assert "found" not in completed.stdout.lower()
    log = (toolkit.parent / "log").read_text(encoding="utf-8")
    calls = [line.partition(": ")[2] for line in log.splitlines()]
    assert recorded.format(toolkit=toolkit) in calls


def test_a_library_that_the_loader_maps_is_recorded(
    tmp_path: Path, toolkit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "program.c"
    source.write_text("int main(void) { return 0; }\n")
    with monkeypatch.context() as unguarded:
        unguarded.delenv("LD_PRELOAD")
        run(["cc", "-shared", "-o", toolkit / "libnvrtc.so", source])
        run(["cc", "-o", tmp_path / "program", source, "-Wl,--no-as-needed", toolkit / "libnvrtc.so"])

    run([tmp_path / "program"])

    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert log == f"program: load {toolkit}/libnvrtc.so\n"


def test_neighbours_of_the_toolkit_stay_visible(toolkit: Path) -> None:
    neighbour = toolkit.with_name("toolkits")
    neighbour.mkdir()

    assert run(["ls", neighbour]).returncode == 0
    assert not (toolkit.parent / "log").exists()


def test_the_path_holds_no_cuda_tool_and_everything_else(no_system_cuda: SystemCuda) -> None:
    assert shutil.which("nvcc") is None
    assert shutil.which("sh") is not None
    assert no_system_cuda.touches() == []
