"""The one look at a CUDA toolkit of the machine that tests of mode `nvcc` allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Protocol

    class SystemCuda(Protocol):
        """What the fixture `no_system_cuda` gives."""

        log: Path


__all__ = ["cmake_may_look_for_debians_toolkit"]

_LOOKS = "cmake: look /usr/lib/nvidia-cuda-toolkit/bin/crt/link.stub"


@pytest.fixture(autouse=True)
def cmake_may_look_for_debians_toolkit(no_system_cuda: SystemCuda) -> Iterator[None]:
    """CMake asks whether this one file exists, whatever compiler it is given (Internal/CMakeCUDAFindToolkit.cmake), and
    does nothing with the answer where the compiler is nvcc. Anything else that is touched fails the test as ever.
    """
    yield
    if no_system_cuda.log.exists():
        lines = no_system_cuda.log.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.strip() != _LOOKS]
        no_system_cuda.log.write_text("".join(kept), encoding="utf-8")
