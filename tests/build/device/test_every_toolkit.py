"""What we read of cubins by ptxas of every toolkit that the index has, beside what NVIDIA's tools print of them."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run
from gpuwheel.binary.cubin import read_cubin
from gpuwheel.binary.device_files import cubin_image, is_cubin
from gpuwheel.binary.extent import extent

if TYPE_CHECKING:
    from pathlib import Path

PTXAS = {
    "11.7": ("nvidia-cuda-nvcc-cu11==11.7.*", ("7.7", "sm_75", "sm_80")),
    "11.8": ("nvidia-cuda-nvcc-cu11==11.8.*", ("7.8", "sm_75", "sm_80", "sm_90")),
    "12.0": ("nvidia-cuda-nvcc-cu12==12.0.*", ("8.0", "sm_75", "sm_90a")),
    "12.1": ("nvidia-cuda-nvcc-cu12==12.1.*", ("8.1", "sm_75", "sm_90a")),
    "12.2": ("nvidia-cuda-nvcc-cu12==12.2.*", ("8.2", "sm_75", "sm_90a")),
    "12.3": ("nvidia-cuda-nvcc-cu12==12.3.*", ("8.3", "sm_75", "sm_90a")),
    "12.4": ("nvidia-cuda-nvcc-cu12==12.4.*", ("8.4", "sm_75", "sm_90a")),
    "12.5": ("nvidia-cuda-nvcc-cu12==12.5.*", ("8.5", "sm_75", "sm_90a")),
    "12.6": ("nvidia-cuda-nvcc-cu12==12.6.*", ("8.5", "sm_75", "sm_90a")),
    "12.8": ("nvidia-cuda-nvcc-cu12==12.8.*", ("8.7", "sm_75", "sm_90a", "sm_100a", "sm_120")),
    "12.9": ("nvidia-cuda-nvcc-cu12==12.9.*", ("8.8", "sm_75", "sm_90a", "sm_100f", "sm_120a")),
    **{
        f"13.{minor}": (f"nvidia-cuda-nvcc==13.{minor}.*", ("9.0", "sm_75", "sm_90a", "sm_100f", "sm_121a"))
        for minor in range(6)
    },
}
"""Toolkit -> the wheel with its ptxas, a PTX ISA that it reads, and architectures."""
OLD, OLD_TOOLS = {"12.0", "12.1", "12.2"}, "triton==3.5.0"
"""cuobjdump 13 finds no device code in what ptxas of these made for sm_90a. That of 12.8, which triton brings, does."""
PTX = """
.version VERSION
.target TARGET
.address_size 64
.visible .entry spilling(.param .u64 out, .param .u32 count)
{
    .local .align 16 .b8 frame[512];
    .shared .align 4 .b8 held[1024];
    .reg .u32 %r<9>;
    .reg .u64 %d<9>;
    ld.param.u64 %d1, [out];
    ld.param.u32 %r1, [count];
    cvta.to.global.u64 %d2, %d1;
    .loc 1 4 0
    mov.u64 %d3, frame;
    mul.wide.u32 %d4, %r1, 4;
    add.u64 %d5, %d3, %d4;
    st.local.u32 [%d5], %r1;
    mov.u64 %d6, held;
    add.u64 %d7, %d6, %d4;
    st.shared.u32 [%d7], %r1;
    bar.sync 0;
    ld.local.u32 %r2, [%d3+8];
    ld.shared.u32 %r3, [%d6+4];
    add.u32 %r4, %r2, %r3;
    st.global.u32 [%d2], %r4;
    ret;
}
.visible .entry empty()
{
    ret;
}
.visible .entry full(.param .u64 out)
.maxnreg 32
{
    .reg .f32 %f<99>;
    .reg .u64 %d<2>;
    ld.param.u64 %d1, [out];
    cvta.to.global.u64 %d1, %d1;
LOADS
    bar.sync 0;
STORES
    ret;
}
.file 1 "a.cu"
"""


PTX = PTX.replace("LOADS", "\n".join(f"    ld.volatile.global.f32 %f{i}, [%d1+{128 * i}];" for i in range(64)))
PTX = PTX.replace(
    "STORES",
    "\n".join(f"    mul.f32 %f64, %f{i}, %f{63 - i};\n    st.global.f32 [%d1+{64 * i}], %f64;" for i in range(64)),
)
NOTES_SPILLS = {"12.8", "12.9", "13"}


def _installed(requirement: str, folder: Path) -> Path:
    run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder, requirement])
    return folder


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tools")
    for name in ("cuobjdump", "nvdisasm"):
        _installed(f"nvidia-cuda-{name}", folder / name)
    return folder


@pytest.fixture(scope="module")
def old_tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = _installed(OLD_TOOLS, tmp_path_factory.mktemp("old"))
    for name in ("cuobjdump", "nvdisasm"):
        _program(folder, name).chmod(0o755)
    return folder


def _program(folder: Path, name: str) -> Path:
    return next(iter(folder.rglob(f"bin/{name}")))


@pytest.mark.heavy
@pytest.mark.parametrize("toolkit", PTXAS)
def test_cubins_of_a_toolkit(tmp_path: Path, toolkit: str, request: pytest.FixtureRequest) -> None:
    tools: Path = request.getfixturevalue("old_tools" if toolkit in OLD else "tools")
    requirement, (isa, *archs) = PTXAS[toolkit]
    ptxas = _program(_installed(requirement, tmp_path / "ptxas"), "ptxas")
    for arch in archs:
        for options in ((), ("-lineinfo",)):
            source, out = tmp_path / "a.ptx", tmp_path / "a.cubin"
            source.write_text(PTX.replace("VERSION", isa).replace("TARGET", arch))
            said = run([ptxas, f"-arch={arch}", "-v", *options, source, "-o", out])
            _compare(out, arch, tools, lines=bool(options))
            spills = {
                symbol: (int(stores), int(loads))
                for symbol, stores, loads in re.findall(
                    r"properties for (\w+)\s.+?(\d+) bytes spill stores, (\d+) bytes spill loads",
                    said.output,
                    re.DOTALL,
                )
            }
            assert min(spills["full"]) > 0
            found = {it.symbol: it.spilled for it in read_cubin(out.read_bytes(), out.name)}
            if toolkit in NOTES_SPILLS:
                assert found == spills
            else:  # they say nothing but where there is no stack
                assert found == {"empty": (0, 0), "spilling": None, "full": None}


def _compare(path: Path, arch: str, tools: Path, *, lines: bool) -> None:
    data = path.read_bytes()
    assert is_cubin(extent(data))
    image = cubin_image(extent(data), path.name)
    assert str(image) == arch
    usage = run([_program(tools, "cuobjdump"), "-res-usage", path]).stdout
    expected = {
        symbol: tuple(map(int, numbers))
        for symbol, *numbers in re.findall(r"Function (\S+):\s+REG:(\d+) STACK:(\d+) SHARED:(\d+)", usage)
    }
    facts = {it.symbol: (it.cost.registers, it.cost.local, it.cost.shared) for it in read_cubin(data, path.name)}
    assert facts == expected
    assert len(facts) == 3
    listing = run([_program(tools, "nvdisasm"), path]).stdout
    assert set(re.findall(r"^\s*\.section\s+\.text\.(\w+)", listing, re.MULTILINE)) == facts.keys()
    told = ".debug_line" in run([_program(tools, "cuobjdump"), "-elf", path]).stdout
    assert (image.line_info, lines) == (told, lines)
