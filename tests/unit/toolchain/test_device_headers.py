"""Headers that few sources need come with the device compiler only for those."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from gpuwheel.compatibility import CudaToolkit, load_tables
from gpuwheel.model.versions import MinorVersion
from gpuwheel.toolchain import Context, find_device_compiler

if TYPE_CHECKING:
    from pathlib import Path

    from package_index import IndexServer

    from gpuwheel.model.pins import HeadersPin, Pin

HEADERS = {"crt/mma.h": b"// mma\n", "crt/mma.hpp": b"// more\n"}


@pytest.fixture
def toolkit(pins: tuple[Pin, ...], crt_pin: HeadersPin) -> CudaToolkit:
    return replace(load_tables().cuda[MinorVersion(12, 9)], components=pins, headers=(crt_pin,))


def _install(index: IndexServer, toolkit: CudaToolkit, folder: Path) -> None:
    (pin,) = toolkit.headers
    with zipfile.ZipFile(BytesIO(index.projects[pin.name][pin.files[0].filename])) as wheel:
        wheel.extractall(folder)


def _asked(index: IndexServer) -> list[str]:
    return [request for request in index.requests if "nvcc" in request]


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_other_sources_download_nothing_and_keep_their_digest(
    index: IndexServer, toolkit: CudaToolkit, context: Context
) -> None:
    without = find_device_compiler(replace(toolkit, headers=()), context=context, search_path=[])
    includes = {"cuda_fp16.h", "my/mma.h", "cub/cub.cuh"}
    found = find_device_compiler(toolkit, context=context, includes=includes, search_path=[])
    assert replace(found, found_via=without.found_via) == without
    assert _asked(index) == []


@pytest.mark.parametrize("name", ["mma.h", "crt/mma.h"])
def test_sources_that_need_them_get_them(index: IndexServer, toolkit: CudaToolkit, context: Context, name: str) -> None:
    plain = find_device_compiler(toolkit, context=context, search_path=[])
    found = find_device_compiler(toolkit, context=context, includes={"cuda_fp16.h", name}, search_path=[])
    assert found.include_dirs[:-1] == plain.include_dirs
    assert _contents(found.include_dirs[-1]) == HEADERS
    assert found.digest != plain.digest
    assert set(found.pins) - set(plain.pins) == {"nvidia-cuda-nvcc-cu12==12.9.2"}
    asked = _asked(index)
    assert all("bytes=" in request for request in asked if request.startswith("/files/"))
    assert find_device_compiler(toolkit, context=context, includes={name}, search_path=[]).digest == found.digest
    assert _asked(index) == asked


def test_the_build_environment_saves_the_download(
    index: IndexServer, toolkit: CudaToolkit, context: Context, tmp_path: Path
) -> None:
    _install(index, toolkit, tmp_path / "overlay")
    found = find_device_compiler(toolkit, context=context, includes={"mma.h"}, search_path=[str(tmp_path / "overlay")])
    assert _contents(found.include_dirs[-1]) == HEADERS
    assert _asked(index) == []


def test_other_headers_in_the_build_environment_are_passed_over(
    index: IndexServer, toolkit: CudaToolkit, context: Context, tmp_path: Path
) -> None:
    _install(index, toolkit, tmp_path / "overlay")
    (tmp_path / "overlay/nvidia/cuda_nvcc/include/crt/mma.h").write_bytes(b"// edited\n")
    found = find_device_compiler(toolkit, context=context, includes={"mma.h"}, search_path=[str(tmp_path / "overlay")])
    assert _contents(found.include_dirs[-1]) == HEADERS
    assert _asked(index)
