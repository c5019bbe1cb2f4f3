"""Stub libraries by themselves: functions that give a text give one, whichever way they do."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import run
from gpuwheel._toml import own_table
from gpuwheel.testing.environment import build_fake_driver
from gpuwheel.testing.native_code import compile_c, find_c_compiler
from gpuwheel.testing.stubs import Stub, extension_libraries, plan_stubs, write_stub

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


def test_what_extensions_ask_for_is_in_the_stubs(tmp_path: Path) -> None:
    """Also names of which torch has no need, of libraries that it does not know, and of two files with one name."""
    compiler, packages = find_c_compiler(os.environ), tmp_path / "site-packages"
    libraries = [
        write_stub(Stub("libcublas.so.12", {"libcublas.so.12": frozenset({"cublasNew"})}), tmp_path, compiler),
        write_stub(Stub("libnvjpeg.so.12", {None: frozenset({"nvjpegCreateSimple"})}), tmp_path, compiler),
        write_stub(Stub("libcuda_ext.so", {None: frozenset({"ext_init"})}), tmp_path, compiler),  # an extension's own
        write_stub(Stub("libcurl.so.4", {None: frozenset({"curl_easy_init"})}), tmp_path, compiler),
    ]
    source = tmp_path / "extension.c"
    source.write_text(
        "int cublasNew(void), nvjpegCreateSimple(void), curl_easy_init(void), ext_init(void);\n"
        "#ifdef JPEG\nint a(void) { return nvjpegCreateSimple() + curl_easy_init() + ext_init(); }\n"
        "#else\nint a(void) { return cublasNew(); }\n#endif\n"
    )
    for name, option in (("one", "-DJPEG"), ("two", "-DBLAS")):
        (packages / name).mkdir(parents=True)
        compile_c(compiler, [source, *libraries], packages / name / "_C.so", [option, "-Wl,--as-needed"])
    own = shutil.copyfile(packages / "two" / "_C.so", packages / "two" / "libnvdiff.so")
    (packages / "one" / "broken.so").write_bytes(b"")
    (packages / "torch").mkdir()
    compile_c(compiler, [source, *libraries], packages / "torch" / "own.so", ["-DJPEG"])
    found = extension_libraries([packages, packages, tmp_path / "none"])
    assert found == (packages / "one" / "_C.so", packages / "two" / "_C.so", own)
    stubs = {stub.soname: stub for stub in plan_stubs((), found)}
    assert stubs.keys() == {"libcublas.so.12", "libnvjpeg.so.12"}
    assert stubs["libnvjpeg.so.12"].names == {None: frozenset({"nvjpegCreateSimple"})}
    (blas,) = stubs["libcublas.so.12"].names.items()
    assert blas[0] == "libcublas.so.12"
    assert {"cublasNew", "cublasGetStatusString", "cublasGemmEx"} <= blas[1]


LINKED_TO_THE_DRIVER = """
import ctypes, sys
driver = ctypes.CDLL(sys.argv[1])
assert not [name for name in sys.argv[2:] if not hasattr(driver, name)]
assert driver.cuArrayCreate_v2(None, None) == 801  # CUDA_ERROR_NOT_SUPPORTED
count = ctypes.c_int()
assert driver.cuInit(0) == driver.cuDeviceGetCount(ctypes.byref(count)) == 0
assert count.value == 1
"""


def test_a_library_that_is_linked_to_the_driver_loads(tmp_path: Path) -> None:
    driver = build_fake_driver(tmp_path, find_c_compiler(os.environ))
    names = own_table("nvidia_symbols.toml")["functions"]["libcuda.so.1"].split()
    run([sys.executable, "-c", LINKED_TO_THE_DRIVER, driver, *names])
