"""The table of CUDA runtimes that are linked in: its laws."""

from __future__ import annotations

from itertools import pairwise

import pytest

from gpuwheel._toml import own_table
from gpuwheel.testing.runtimes import StaticRuntime, nvidia_names, static_runtimes, torch_names

JUMP = 14
"""Bytes of what the pretend GPU writes over a function."""
LAUNCHES = {
    "__cudaRegisterFatBinary",
    "__cudaRegisterFunction",
    "__cudaPushCallConfiguration",
    "__cudaPopCallConfiguration",
    "cudaLaunchKernel",
    "cudaLaunchKernelExC",
}


@pytest.mark.parametrize("row", static_runtimes(), ids=lambda row: row.version)
def test_a_row_tells_one_release_and_has_room_for_each_jump(row: StaticRuntime) -> None:
    places = sorted({place for place, _ in row.entries.values()})
    assert all(following - one >= JUMP for one, following in pairwise(places))
    assert places[0] >= 0
    assert places[-1] + JUMP <= row.size
    assert all(0 <= head <= 16 for _, head in row.entries.values())
    assert len(row.run) >= 32
    assert row.at + len(row.run) <= row.size
    assert row.entries.keys() >= LAUNCHES
    assert row.wheels[0].split("-")[1] == row.version


def test_no_release_is_there_twice() -> None:
    wheels = [wheel for row in static_runtimes() for wheel in row.wheels]
    assert len(wheels) == len(set(wheels))
    assert len({(row.heads, tuple(row.entries.values())) for row in static_runtimes()}) == len(static_runtimes())


def test_whatever_mode_nvcc_links_in_is_known() -> None:
    known = {wheel for row in static_runtimes() for wheel in row.wheels}
    pinned = {
        file["filename"]
        for toolkit in own_table("pins.toml")["nvcc"].values()
        for file in toolkit["nvidia-cuda-runtime"]["files"]
        if "x86_64" in file["filename"]
    }
    assert pinned
    assert pinned <= known


def test_names_of_nvidia_and_torch_are_those_of_whole_libraries() -> None:
    assert {"libcublasLt", "libcudnn_adv", "libnccl", "libcuda", "libcutensor", "libnvrtc-builtins"} <= {
        *nvidia_names()
    }
    stems = {name.partition(".so.")[0] for name in own_table("nvidia_symbols.toml")["functions"]}
    assert stems <= {*nvidia_names()}
    assert {"libtorch_cuda.so", "libtorch_cuda_linalg.so", "libc10_cuda.so"} <= {*torch_names()}
    assert not {"libshm.so", "libgomp.so.1"} & {*torch_names()}
