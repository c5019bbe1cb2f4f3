"""C++ exceptions between torch's libraries and a library with newer parts of the C++ runtime linked in."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run
from gpuwheel.binary.elf import read_elf

if TYPE_CHECKING:
    from conftest import Workshop

pytestmark = [pytest.mark.compiler, pytest.mark.torch]

CALL = """
import ctypes, sys, torch
library = ctypes.CDLL(sys.argv[1])
assert library.caught_from_torch() == 0, library.caught_from_torch()
assert library.uncaught_count() == 0
try:
    torch.device("no such device")
except RuntimeError as error:  # torch's own errors are as before
    assert "no such device" in str(error)
"""


@pytest.mark.parametrize("platform", ["manylinux_2_28"])
def test_an_error_thrown_by_torch_is_caught(workshop: Workshop, platform: str) -> None:
    spec = importlib.util.find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    torch = Path(spec.origin).parent
    made = workshop.compile("torch_errors.cpp", f"-isystem{torch / 'include'}", "-std=c++20")
    library = workshop.link(made, platform, f"-L{torch / 'lib'}", "-lc10")
    newer = {symbol.version for symbol in read_elf(library.read_bytes(), library.name).imports}
    assert not newer & {"GLIBC_2.32", "GLIBC_2.34", "GLIBCXX_3.4.26", "GLIBCXX_3.4.29"}
    run([sys.executable, "-c", CALL, library])
