"""`gpuwheel check`: a command with a wheel or a package on the pretend GPU, and what its kernels did wrong."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from gpuwheel._resources import resource
from gpuwheel._run import Completed, run
from gpuwheel.wheel import Member
from gpuwheel.wheel.archive import write_wheel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pytestmark = [pytest.mark.network, pytest.mark.compiler]

# Writes as many words as it is told, by the driver alone: no torch, no NumPy, no runtime.
MODULE = b'''
import ctypes

PTX = b"""
.version 7.0
.target sm_80
.address_size 64
.visible .entry fill(.param .u64 to, .param .u32 value)
{
  .reg .b32 %r<3>;
  .reg .b64 %rd<4>;
  ld.param.u64 %rd1, [to];
  ld.param.u32 %r1, [value];
  mov.u32 %r2, %tid.x;
  mul.wide.u32 %rd2, %r2, 4;
  add.s64 %rd3, %rd1, %rd2;
  st.global.u32 [%rd3], %r1;
  ret;
}
"""


def fill(threads, blocks=1):
    cuda = ctypes.CDLL("libcuda.so.1")
    context, library, kernel, memory = (ctypes.c_void_p() for _ in range(4))
    code = ctypes.create_string_buffer(PTX)
    back = (ctypes.c_uint32 * 8)()
    values = (ctypes.c_void_p(), ctypes.c_uint32(7))

    def call(name, *arguments):
        status = getattr(cuda, name)(*arguments)
        assert status == 0, (name, status)

    call("cuInit", 0)
    call("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0)
    call("cuCtxSetCurrent", context)
    call("cuLibraryLoadData", ctypes.byref(library), code, None, None, 0, None, None, 0)
    call("cuLibraryGetKernel", ctypes.byref(kernel), library, b"fill")
    call("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t(32))
    values[0].value = memory.value
    parameters = (ctypes.c_void_p * 2)(*map(ctypes.addressof, values))
    call("cuLaunchKernel", kernel, blocks, 1, 1, threads, 1, 1, 0, None, parameters, None)
    cuda.cuMemcpyDtoH_v2(back, memory, ctypes.c_size_t(32))
    call("cuMemFree_v2", memory)
    return list(back)
'''


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    info = "filling-1.0.dist-info"
    path = tmp_path_factory.mktemp("filling") / "filling-1.0-py3-none-any.whl"
    members = {
        "filling.py": MODULE,
        f"{info}/METADATA": b"Metadata-Version: 2.2\nName: filling\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    write_wheel(path, [Member(name, data) for name, data in members.items()])
    return path


def check(target: Path | str, code: str, *options: str) -> Completed:
    words = [sys.executable, "-m", "gpuwheel", "check", str(target), "--yes", *options, "--", "python", "-c", code]
    return run(words, check=False)


def document(done: Completed) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(done.stdout)
    jsonschema.validate(found, json.loads(resource("data", "check.schema.json").read_text(encoding="utf-8")))
    return found


def test_a_wheel_without_a_mistake(wheel: Path) -> None:
    done = check(wheel, "import filling; assert filling.fill(8) == [7] * 8; print('filled')", "--json")
    assert done.returncode == 0, done.output
    assert "filled" in done.stderr  # stdout is the document's
    found = document(done)
    assert (found["executed"], found["mistakes"], found["status"]) == (1, [], 0)


def test_a_mistake_is_said_with_its_kernel(wheel: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = check(wheel, "import filling; filling.fill(9)", "--report", str(report))
    assert done.returncode == 9, done.output
    (mistake,) = json.loads(report.read_text())["mistakes"]
    assert (mistake["kind"], mistake["kernel"], mistake["thread"]) == ("out-of-bounds", "fill", [8, 0, 0])
    assert "32 bytes" in done.stderr


def test_a_launch_may_take_as_long_as_is_said(wheel: Path) -> None:
    code = "import filling; filling.fill(8, 9)"
    assert check(wheel, code).returncode == check(wheel, code, "--patience", "0").returncode == 0
    done = check(wheel, code, "--patience", "10", "--json")
    assert done.returncode == 9, done.output
    mistake = next(each for each in document(done)["mistakes"] if each["kernel"])  # its memory is not freed either
    assert (mistake["kind"], mistake["kernel"], mistake["block"]) == ("too-long", "fill", [2, 0, 0])
    assert "ld.param" in mistake["instruction"]
    assert check(wheel, code, "--patience", "-1").returncode == 2


def test_a_command_that_fails_and_one_that_launches_nothing(wheel: Path) -> None:
    assert check(wheel, "raise SystemExit(3)").returncode == 1
    done = check(wheel, "import filling")
    assert done.returncode == 0
    assert "launched no kernel" in done.stderr


def test_what_cannot_be_checked() -> None:
    for target, status in (("there-is-none.whl", 2), ("no-such-package-of-anybody", 3)):
        assert check(target, "pass").returncode == status
    assert check("click", "pass", "--torch", "2.12").returncode == 2
