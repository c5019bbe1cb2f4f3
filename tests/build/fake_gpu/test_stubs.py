"""Stub libraries by themselves: functions that give a text give one, whichever way they do."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

import pytest

from gpuwheel.testing.native_code import find_c_compiler
from gpuwheel.testing.stubs import Stub, write_stub

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.compiler

NAMES = frozenset(
    (
        "cuptiGetResultString",
        "cuptiGetCallbackName",
        "cudnnGetLastErrorString",
        "cudnnGetErrorString",
        "ncclGetErrorString",
        "cublasGetStatusString",
        "cudnnCreate",
    )
)


def test_what_a_library_says_of_an_error_is_a_text(tmp_path: Path) -> None:
    """A profiler formats it even where it then goes on; a null pointer is an exception there, a number is a crash."""
    stub = ctypes.CDLL(str(write_stub(Stub("libany.so.1", {None: NAMES}), tmp_path, find_c_compiler(os.environ))))
    text = ctypes.c_char_p()
    assert stub.cuptiGetResultString(1, ctypes.byref(text)) == 0
    assert b"stub" in (text.value or b"")
    assert stub.cuptiGetCallbackName(1, 2, ctypes.byref(text)) == 0
    for name in ("cudnnGetErrorString", "ncclGetErrorString", "cublasGetStatusString"):
        function = stub[name]
        function.restype = ctypes.c_char_p
        assert function(1) == text.value
    for room, expected in ((100, text.value), (4, b"no "), (1, b"")):
        buffer = ctypes.create_string_buffer(b"x" * 100)
        stub.cudnnGetLastErrorString(buffer, room)
        assert buffer.value == expected
    assert stub.cudnnCreate() == 100
