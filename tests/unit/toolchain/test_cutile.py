"""The pinned cuTile comes from the package index into the cache, and from nowhere else."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gpuwheel.compatibility import CudaToolkit, load_tables
from gpuwheel.errors import ToolchainError
from gpuwheel.model.pins import Pin
from gpuwheel.model.versions import MinorVersion
from gpuwheel.toolchain import Context, find_tile_compiler
from gpuwheel.toolchain.cuda.tile_compiler import cached_tile_compiler

if TYPE_CHECKING:
    from package_index import IndexServer, Log

MEMBERS = {
    "cuda-tile": {"cuda/tile/__init__.py": b""},
    "nvidia-cuda-tileiras": {"nvidia/cu13/bin/tileiras": b"elf", "nvidia/cu13/bin/tileirdisasm": b"elf"},
    "nvidia-cuda-nvcc": {f"nvidia/cu13/bin/{name}": b"elf" for name in ("ptxas", "fatbinary", "nvcc", "cudafe++")},
    "nvidia-nvvm": {"nvidia/cu13/lib/libnvvm.so.4": b"elf", "nvidia/cu13/nvvm/bin/cicc": b"elf"},
}


@pytest.fixture
def toolkit(index: IndexServer) -> CudaToolkit:
    pins = tuple(Pin(name, "1.0", (index.publish(name, "1.0", members),)) for name, members in MEMBERS.items())
    return replace(load_tables().cuda[MinorVersion(13, 4)], cutile=pins)


def test_it_is_provisioned_once(index: IndexServer, toolkit: CudaToolkit, context: Context, log: Log) -> None:
    assert cached_tile_compiler(toolkit, context.cache) is None
    first = find_tile_compiler(toolkit, context=context)
    assert first.found_via == "index, cached"
    asked = len(index.requests)
    assert find_tile_compiler(toolkit, context=context) == replace(first, found_via="cache")
    assert cached_tile_compiler(toolkit, context.cache) == replace(first, found_via="cache")
    assert len(index.requests) == asked
    assert log.lines == ["downloading cuTile of CUDA 13.4, 0 MB"]
    left = {path.name for path in first.python_path.rglob("*") if path.is_file()}
    assert {"tileiras", "ptxas", "fatbinary", "libnvvm.so.4"} <= left
    assert not {"nvcc", "cudafe++", "cicc", "tileirdisasm"} & left
    assert all(os.access(program, os.X_OK) for program in (first.tileiras, first.fatbinary))
    assert first.pins == ("cuda-tile==1.0", "nvidia-cuda-nvcc==1.0", "nvidia-cuda-tileiras==1.0", "nvidia-nvvm==1.0")


@pytest.mark.parametrize("lost", ["cuda/tile/__init__.py", "nvidia/cu13/bin/ptxas", "nvidia/cu13/lib/libnvvm.so.4"])
def test_a_damaged_one_is_fetched_again(toolkit: CudaToolkit, context: Context, lost: str) -> None:
    first = find_tile_compiler(toolkit, context=context)
    (first.python_path / lost).unlink()
    assert find_tile_compiler(toolkit, context=context).found_via == "index, cached"
    assert (first.python_path / lost).exists()


def test_a_python_that_cuda_tile_does_not_know(toolkit: CudaToolkit, context: Context) -> None:
    pin, *others = toolkit.cutile
    file = replace(pin.files[0], filename="cuda_tile-1.0-cp27-cp27m-manylinux2014_x86_64.whl")
    odd = replace(toolkit, cutile=(replace(pin, files=(file,)), *others))
    with pytest.raises(ToolchainError, match=r"^cuda-tile==1\.0 has no file for this Python and machine") as caught:
        find_tile_compiler(odd, context=context)
    assert "CPython 3.10 to 3.14" in (caught.value.hint or "")
