"""What a machine has, looked at from outside."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run
from gpuwheel.model.versions import MinorVersion
from gpuwheel.toolchain.probes.driver import probe_driver
from gpuwheel.toolchain.probes.programs import installed_version, probe_tool
from gpuwheel.toolchain.probes.toolkits import probe_toolkits

if TYPE_CHECKING:
    from pathlib import Path


def _toolkit(root: Path, number: int, header: str = "include/cuda.h") -> Path:
    (root / header).parent.mkdir(parents=True, exist_ok=True)
    (root / header).write_text(f"#define CUDA_VERSION {number}\n", encoding="utf-8")
    (root / "bin").mkdir()
    (root / "bin/nvcc").touch(mode=0o755)
    return root


def _program(folder: Path, name: str, body: str) -> Path:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    program.chmod(0o755)
    return program


def test_each_toolkit_comes_once_with_every_way_that_leads_to_it(tmp_path: Path) -> None:
    newest = _toolkit(tmp_path / "usr/local/cuda-13.1", 13010)
    (tmp_path / "usr/local/cuda").symlink_to(newest)
    conda = _toolkit(tmp_path / "conda", 12090, "targets/x86_64-linux/include/cuda.h")
    (tmp_path / "usr/local/cuda-checker").mkdir()  # something else of that name
    environ = {"CUDA_HOME": str(tmp_path / "usr/local/cuda"), "PATH": str(newest / "bin"), "CONDA_PREFIX": str(conda)}

    first, second = probe_toolkits(environ, root=tmp_path)

    assert (first.root, first.version, first.nvcc) == (newest, MinorVersion(13, 1), True)
    ways = (str(tmp_path / "usr/local/cuda"), str(newest))
    assert first.found_via == ("CUDA_HOME", "nvcc on PATH", *ways)
    assert (second.root, second.version, second.found_via) == (conda, MinorVersion(12, 9), ("conda",))


def test_a_machine_without_a_toolkit(tmp_path: Path) -> None:
    assert probe_toolkits({"CUDA_HOME": str(tmp_path / "nowhere")}, root=tmp_path) == ()


def test_a_tool_says_its_version(tmp_path: Path) -> None:
    program = _program(tmp_path, "sccache", "echo sccache 0.9.1")
    tool = probe_tool("sccache", {"PATH": str(tmp_path)})
    assert tool is not None
    assert (tool.path, tool.version) == (program, "0.9.1")


@pytest.mark.parametrize("body", ["exit 1", "echo no number"])
def test_a_tool_that_does_not_run_has_no_version(tmp_path: Path, body: str) -> None:
    _program(tmp_path, "sccache", body)
    tool = probe_tool("sccache", {"PATH": str(tmp_path)})
    assert tool is not None
    assert tool.version is None


def test_what_is_not_there() -> None:
    assert probe_tool("sccache", {"PATH": ""}) is None
    assert installed_version("no-such-distribution") is None


def test_no_driver_is_normal(tmp_path: Path) -> None:
    driver = probe_driver({"LD_LIBRARY_PATH": str(tmp_path)})
    if driver.library is None:  # else this machine has one
        assert driver.devices == ()
        assert driver.problem is None


def test_a_driver_that_is_no_library_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "libcuda.so.1").write_bytes(b"not a library")
    driver = probe_driver({"LD_LIBRARY_PATH": str(tmp_path)})
    assert driver.library is None
    assert "invalid ELF header" in str(driver.problem) or "file too short" in str(driver.problem)


def test_a_program_that_hangs_is_ended() -> None:
    with pytest.raises(TimeoutError, match="did not end within"):
        run([sys.executable, "-c", "import time; time.sleep(60)"], timeout=0.2)
