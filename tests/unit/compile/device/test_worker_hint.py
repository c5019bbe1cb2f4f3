"""A device compiler that cannot be loaded: the hint mends the place where it was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel.compile.device.worker_client import Request, run_worker
from gpuwheel.errors import ToolchainError
from gpuwheel.model.toolchain import DeviceCompiler
from gpuwheel.model.versions import MinorVersion

if TYPE_CHECKING:
    from pathlib import Path

PIN = "nvidia-cuda-nvrtc-cu12==12.9.86"


@pytest.mark.parametrize(
    ("found_via", "mend"),
    [
        ("cache", "gpuwheel cache verify --fix"),
        ("index, cached", "gpuwheel cache verify --fix"),
        ("build environment", f"reinstall {PIN}"),
    ],
)
def test_a_truncated_library_is_mended_where_it_is(tmp_path: Path, found_via: str, mend: str) -> None:
    library = tmp_path / "libnvrtc.so.12"
    library.write_bytes(b"\x7fELF" + bytes(100))
    compiler = DeviceCompiler(
        cuda=MinorVersion(12, 9),
        pins=(PIN,),
        python_path=(tmp_path,),
        nvrtc=library,
        nvfatbin=library,
        include_dirs=(),
        digest="",
        found_via=found_via,
    )
    request = Request(compile=(), link=(), root=str(tmp_path), folders={}, threads=1)
    with (
        pytest.raises(ToolchainError, match=r"does not work .*libnvrtc\.so\.12") as caught,
        run_worker(compiler, request) as events,
    ):
        list(events)
    assert caught.value.hint == f"found via {found_via}: {mend}"
