"""Command lines hold no path of the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuwheel.compile.device.command_line import Target, VirtualPaths, command_line, shipped_include_dirs
from gpuwheel.model.archs import Arch
from gpuwheel.model.kernels import KernelGroup
from gpuwheel.model.toolchain import DeviceCompiler
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from pathlib import Path


def test_a_command_line_is_the_same_in_every_folder(tmp_path: Path) -> None:
    lines = []
    for place in ("one", "two/deeper"):
        root = tmp_path / place
        for folder in ("project/csrc/include", "project/include", "outside", "cuda"):
            (root / folder).mkdir(parents=True)
        project, toolkit = root / "project", root / "cuda"
        compiler = DeviceCompiler(MinorVersion(12, 9), (), (), root, root, (toolkit,), "", "")
        source = project / "csrc/k.cu"
        group = KernelGroup(
            name="fused", sources=(source,), include_dirs=(project / "include", root / "outside"), defines=("A=1",),
            flags=("--use_fast_math",), std="c++20", cubin_archs=(), ptx_archs=(), lineinfo=True, compression=(),
            root=project,
        )  # fmt: skip
        paths = VirtualPaths.of(group, compiler)
        lines.append(command_line(group, source, Target(Arch(9, 0, "a"), ptx=False), paths))
        assert paths.folders == {
            100: shipped_include_dirs()[0],
            101: shipped_include_dirs()[1],
            110: toolkit,
            120: root / "outside",
        }
        log = f"{paths.name(source)}(3): error, from /proc/self/fd/110/half.h and /proc/self/fd/120/x.h"
        assert paths.real(log) == f"csrc/k.cu(3): error, from {toolkit}/half.h and {root}/outside/x.h"
    assert lines[0] == lines[1] == (
        "--gpu-architecture=sm_90a", "--std=c++20", "--frandom-seed=/proc/self/cwd/csrc/k.cu",
        "--include-path=/proc/self/cwd/csrc", "--include-path=/proc/self/cwd/include",
        "--include-path=/proc/self/fd/120", "--include-path=/proc/self/fd/100", "--include-path=/proc/self/fd/101",
        "--include-path=/proc/self/fd/110", "--define-macro=A=1", "--generate-line-info", "--ptxas-options=-v",
        "--use_fast_math",
    )  # fmt: skip


def test_ptx_needs_no_assembler_options(tmp_path: Path) -> None:
    group = KernelGroup("k", (), (), (), (), "c++17", (), (), lineinfo=False, compression=(), root=tmp_path)
    line = command_line(group, tmp_path / "k.cu", Target(Arch(10, 0), ptx=True), VirtualPaths(tmp_path))
    assert line[0] == "--gpu-architecture=compute_100"
    assert not any("ptxas" in option for option in line)
