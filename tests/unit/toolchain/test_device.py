"""Exactly the pinned device compiler is found, wherever it is."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from gpuwheel.compatibility import CudaToolkit, load_tables
from gpuwheel.errors import NetworkError, ToolchainError
from gpuwheel.model.versions import MinorVersion
from gpuwheel.toolchain import Context, find_device_compiler

if TYPE_CHECKING:
    from pathlib import Path

    from package_index import IndexServer, Log

    from gpuwheel.model.pins import Pin


@pytest.fixture
def toolkit(pins: tuple[Pin, ...]) -> CudaToolkit:
    return replace(load_tables().cuda[MinorVersion(12, 9)], components=pins)


def _install(index: IndexServer, pins: tuple[Pin, ...], folder: Path) -> None:
    for pin in pins:
        content = index.projects[pin.name][pin.files[0].filename]
        with zipfile.ZipFile(BytesIO(content)) as wheel:
            wheel.extractall(folder)


def test_the_build_environment_is_used_where_it_holds_every_pin(
    index: IndexServer, toolkit: CudaToolkit, context: Context, tmp_path: Path
) -> None:
    overlay = tmp_path / "overlay"
    _install(index, toolkit.components, overlay)
    compiler = find_device_compiler(toolkit, context=context, search_path=[str(tmp_path / "none"), str(overlay)])
    assert compiler.found_via == "build environment"
    assert compiler.nvrtc == overlay / "nvidia/cuda_nvrtc/lib/libnvrtc.so.12"
    assert compiler.nvfatbin == overlay / "nvidia/nvfatbin/lib/libnvfatbin.so.12"
    assert compiler.include_dirs == (overlay / "nvidia/cuda_runtime/include", overlay / "nvidia/cuda_cccl/include")
    assert compiler.python_path == (overlay,)
    assert "nvidia-cuda-nvrtc-cu12==12.9.1" in compiler.pins
    assert index.requests == []


def test_another_nvrtc_in_the_environment_is_passed_over(
    index: IndexServer, toolkit: CudaToolkit, context: Context, tmp_path: Path
) -> None:
    outer = tmp_path / "outer"
    _install(index, toolkit.components, outer)
    info = outer / "nvidia_cuda_nvrtc_cu12-12.9.1.dist-info"
    text = (info / "METADATA").read_text(encoding="utf-8").replace("12.9.1", "12.8.93")
    (info / "METADATA").write_text(text, encoding="utf-8")
    info.rename(outer / "nvidia_cuda_nvrtc_cu12-12.8.93.dist-info")
    compiler = find_device_compiler(toolkit, context=context, search_path=[str(outer)])
    assert compiler.found_via == "index, cached"
    assert not compiler.nvrtc.is_relative_to(outer)


def test_an_environment_that_lost_a_file_is_passed_over(
    index: IndexServer, toolkit: CudaToolkit, context: Context, tmp_path: Path
) -> None:
    outer = tmp_path / "outer"
    _install(index, toolkit.components, outer)
    (outer / "nvidia/nvfatbin/lib/libnvfatbin.so.12").unlink()
    assert find_device_compiler(toolkit, context=context, search_path=[str(outer)]).found_via == "index, cached"


def test_it_is_provisioned_once(index: IndexServer, toolkit: CudaToolkit, context: Context, log: Log) -> None:
    first = find_device_compiler(toolkit, context=context, search_path=[])
    asked = len(index.requests)
    second = find_device_compiler(toolkit, context=context, search_path=[])
    assert second == replace(first, found_via="cache")
    assert len(index.requests) == asked
    assert log.lines == ["downloading the device compiler of CUDA 12.9, 0 MB"]
    assert first.nvrtc.is_absolute()
    left = {path.name for path in first.python_path[0].rglob("*") if path.is_file()}
    assert "libnvrtc-builtins.so.12.9" in left
    assert not {"libnvrtc.alt.so.12", "nvrtc.pyx"} & left
    assert list((context.cache.root / "v1/tmp").glob("scratch-*")) == []


def test_a_damaged_toolchain_is_provisioned_again(toolkit: CudaToolkit, context: Context) -> None:
    first = find_device_compiler(toolkit, context=context, search_path=[])
    first.nvrtc.unlink()
    assert find_device_compiler(toolkit, context=context, search_path=[]).found_via == "index, cached"
    assert first.nvrtc.exists()


def test_equal_pins_give_equal_digests(
    index: IndexServer, toolkit: CudaToolkit, context: Context, tmp_path: Path
) -> None:
    _install(index, toolkit.components, tmp_path / "overlay")
    installed = find_device_compiler(toolkit, context=context, search_path=[str(tmp_path / "overlay")])
    assert installed.digest == find_device_compiler(toolkit, context=context, search_path=[]).digest


def test_another_file_under_the_pinned_name_is_refused(
    index: IndexServer, toolkit: CudaToolkit, context: Context
) -> None:
    pin = toolkit.components[1]
    index.digests[pin.files[0].filename] = pin.files[0].sha256
    content = index.projects[pin.name][pin.files[0].filename]
    index.projects[pin.name][pin.files[0].filename] = content[:-1] + b"\1"
    with pytest.raises(NetworkError, match=f"{pin.files[0].filename} from {index.url} is not the pinned file"):
        find_device_compiler(toolkit, context=context, search_path=[])
    assert not list((context.cache.root / "v1/toolchains").iterdir())


def test_an_unknown_python_is_named(toolkit: CudaToolkit, context: Context) -> None:
    pin = toolkit.components[0]
    file = replace(pin.files[0], filename="cuda_bindings-12.9.1-cp27-cp27m-win32.whl")
    odd = replace(toolkit, components=(replace(pin, files=(file,)), *toolkit.components[1:]))
    with pytest.raises(ToolchainError, match=r"cuda-bindings==12\.9\.1 has no file for this Python"):
        find_device_compiler(odd, context=context, search_path=[])


def test_a_toolkit_without_pins_is_refused(toolkit: CudaToolkit, context: Context) -> None:
    with pytest.raises(ToolchainError, match="no pinned device compiler"):
        find_device_compiler(replace(toolkit, components=()), context=context)
