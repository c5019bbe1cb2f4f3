"""The pins of `gpuwheel/data` are on the real index and are what they say."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gpuwheel._cache import Cache
from gpuwheel._run import run
from gpuwheel.compatibility import load_tables
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.model.versions import MinorVersion
from gpuwheel.toolchain import Context, Traffic, find_device_compiler, find_host_compiler, find_torch_sdk
from gpuwheel.toolchain.headers import find_headers

if TYPE_CHECKING:
    from pathlib import Path

    from gpuwheel.model.toolchain import TorchSdk

pytestmark = [pytest.mark.network]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return Context(Cache(tmp_path_factory.mktemp("cache")), os.environ, SilentReporter())


@pytest.fixture(scope="module")
def sdk(context: Context) -> TorchSdk:
    return find_torch_sdk(load_tables().torch_sdk, context=context)


def test_the_torch_sdk_costs_two_megabytes(sdk: TorchSdk, context: Context) -> None:
    # The central directory of a torch wheel has 13,000 entries (1.2 MB); the rest is the index page and the headers.
    assert context.traffic.received < 2_500_000
    assert "by ranges" in sdk.found_via
    assert (sdk.include_dir / "torch/csrc/stable/library.h").is_file()


def test_the_crt_headers_cost_less_than_a_megabyte(context: Context) -> None:
    (pin,) = load_tables().cuda[MinorVersion(12, 9)].headers
    counted = replace(context, traffic=Traffic())
    headers = find_headers(pin, context=counted)
    assert "by ranges" in headers.found_via
    assert counted.traffic.received < 1_000_000
    assert (headers.include_dir / "crt/mma.h").is_file()


@pytest.mark.compiler
def test_the_stub_links_and_is_needed(sdk: TorchSdk, tmp_path: Path) -> None:
    source = tmp_path / "empty.cpp"
    source.write_text("#include <torch/csrc/stable/tensor.h>\n", encoding="utf-8")
    host = find_host_compiler(os.environ)
    flags = ["-std=c++17", "-shared", "-fPIC", f"-I{sdk.include_dir}", "-Wl,--no-as-needed"]
    library = tmp_path / "empty.so"
    run([host.path, *flags, source, sdk.library, "-o", library])
    assert b"\0libtorch.so\0" in library.read_bytes()


@pytest.mark.slow
def test_the_device_compiler_is_provisioned_small(context: Context) -> None:
    toolkit = load_tables().cuda[MinorVersion(12, 9)]
    compiler = find_device_compiler(toolkit, context=context, search_path=[])
    assert compiler.found_via == "index, cached"
    for file in (compiler.nvrtc, compiler.nvfatbin, *(folder / "." for folder in compiler.include_dirs)):
        assert file.is_absolute()
        assert file.exists()
    size = sum(path.stat().st_size for path in compiler.python_path[0].rglob("*") if path.is_file())
    assert size < 160_000_000
    assert find_device_compiler(toolkit, context=context, search_path=[]).found_via == "cache"
