"""Kernels run on the pretend GPU: what a library of mode nvcc launches executes the PTX inside it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel._cache import Cache
from gpuwheel._run import Completed, run
from gpuwheel.compatibility import load_tables
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.model.versions import MinorVersion
from gpuwheel.testing.environment import FakeSettings, fake_gpu_environment
from gpuwheel.toolchain import Context
from gpuwheel.toolchain.cuda.toolkit import find_cuda_toolkit

if TYPE_CHECKING:
    from conftest import Torch

pytestmark = [pytest.mark.network, pytest.mark.compiler]

SOURCE = Path(__file__).with_name("executed.cu")
START = """
import ctypes, json, sys, threading
from gpuwheel.testing import FakeGpu
gpu = FakeGpu()
library = ctypes.CDLL(sys.argv[1])
"""


def build(folder: Path, *options: str) -> Path:
    context = Context(Cache.from_environment(os.environ), {"PATH": os.environ["PATH"]}, SilentReporter())
    cuda = find_cuda_toolkit(load_tables().cuda[MinorVersion(13, 0)], context=context, system_roots=())
    archive = next((cuda.root / "lib64").glob("libcudart_static.a"))
    compiled, library = folder / "executed.o", folder / "libexecuted.so"
    run([cuda.nvcc, *options, "-lineinfo", "-Xcompiler=-fPIC", "-c", SOURCE, "-o", compiled])
    compiler = os.environ.get("CXX", "c++").split()[0]
    run([compiler, "-shared", "-s", "-o", library, compiled, archive, "-ldl", "-lrt", "-lpthread"])
    return library


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("executed"), "-gencode=arch=compute_80,code=[sm_80,compute_80]")


def execute(code: str, library: Path, **settings: object) -> Completed:
    chosen = FakeSettings(devices=2, execute=True, **settings)  # type: ignore[arg-type]
    cache = Cache.from_environment(os.environ)
    environ = fake_gpu_environment(os.environ, cache=cache, site_packages=None, settings=chosen)
    return run([sys.executable, "-c", START + code, library], env=environ)


def test_kernels_variables_and_graphs_give_their_values(library: Path) -> None:
    done = execute(
        """
assert library.values() == 0, library.values()
assert library.variables() == 0
assert library.graphs() == 0
assert library.volumes() == 0
assert library.prints() == 0
threads = [threading.Thread(target=lambda: results.append(library.values())) for _ in range(4)]
results = []
[thread.start() for thread in threads], [thread.join() for thread in threads]
assert results == [0] * 4
print(gpu.reports())
""",
        library,
    )
    assert done.stdout == "7 of device code\n[]\n", done.output


def test_what_kernels_and_calls_do_wrong_is_reported_with_its_line(library: Path) -> None:
    done = execute(
        """
for name in ("out_of_bounds", "null_pointer", "freed", "freed_twice"):
    assert getattr(library, name)() == 0, name
    for mistake in gpu.reports():
        print(mistake, file=sys.stdout)
assert gpu.reports() == []
""",
        library,
    )
    lines = done.stdout.splitlines()
    assert lines[0].startswith("out of bounds: a write of 4 bytes at 0x")
    assert lines[0].endswith(" 0 bytes after the end of an allocation of 400 bytes (cudaMalloc after launch 0)")
    assert lines[1] == "  in beyond(float*, int), block (0, 0, 0), thread (30, 0, 0)"
    assert lines[2].endswith("executed.cu:20")
    assert any(line.endswith("a write of 4 bytes at 0xc, 12 bytes after a null pointer") for line in lines)
    freed = next(line for line in lines if line.startswith("out of bounds") and "which was freed" in line)
    assert freed.endswith("which was freed: after launch 2")
    assert any(line.startswith("freed twice: cudaFree of 0x") for line in lines)


@pytest.mark.parametrize(("call", "code"), [("asserts(3)", 710), ("traps()", 719)])
def test_a_failed_kernel_is_an_error_that_stays(library: Path, call: str, code: int) -> None:
    execute(
        f"""
assert library.asserts(4) == 0
assert library.{call} == {code}
assert library.values() != 0 and library.asserts(4) == {code}, "as on a GPU"
(mistake,) = gpu.reports()
gpu.clear()
assert library.values() == 0
""",
        library,
    )


def test_an_image_that_cannot_be_executed_says_what_to_set(tmp_path: Path) -> None:
    without_ptx = build(tmp_path, "-gencode=arch=compute_80,code=sm_80")
    done = execute("assert library.asserts(4) == 209", without_ptx, capability="8.0")
    assert 'set archs = ["...", "8.0+PTX"] in [tool.gpuwheel]' in done.stderr


def test_a_device_older_than_the_ptx_is_refused_unless_asked_for(tmp_path: Path) -> None:
    newer = build(tmp_path, "-gencode=arch=compute_80,code=sm_80", "-gencode=arch=compute_90,code=compute_90")
    done = execute("assert library.asserts(4) == 209", newer, capability="8.0")
    assert "its newest PTX is for 9.0 and the pretend GPU is a 8.0" in done.stderr
    execute("assert library.asserts(4) == 0", newer, capability="8.0", newer_ptx=True)


def test_any_command_is_watched(library: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    words = (
        sys.executable,
        "-m",
        "gpuwheel.testing",
        "run",
        "--no-torch",
        "--report",
        report,
        "--",
        sys.executable,
        "-c",
    )
    code = "import ctypes, sys; sys.exit(getattr(ctypes.CDLL(sys.argv[1]), sys.argv[2])())"

    fine = run([*words, code, library, "values"])
    assert (fine.returncode, json.loads(report.read_text())["mistakes"]) == (0, [])

    wrong = run([*words, code, library, "out_of_bounds"], check=False)
    assert wrong.returncode == 1
    (mistake,) = json.loads(report.read_text())["mistakes"]
    assert (mistake["kind"], mistake["kernel"], mistake["count"]) == ("out-of-bounds", "beyond(float*, int)", 2)
    assert "the pretend GPU reports:\nout of bounds: a write of 4 bytes" in wrong.stderr


def test_copies_the_wrong_way_are_errors(library: Path) -> None:
    code = """
assert library.wrong_way() == 0
print(*[mistake.kind for mistake in gpu.reports()])
"""
    assert execute(code, library).stdout.split() == ["host-memory"] * 5


def test_a_small_device_shows_what_is_wrong_between_the_turns_of_a_block(library: Path) -> None:
    code = """
assert library.as_large_as_the_device() == 0
print(*[mistake.kind for mistake in gpu.reports()])
"""
    assert execute(code, library).stdout.strip() == ""
    assert execute(code, library, multiprocessors=2).stdout.strip() == "shared-race"


def test_streams_that_are_not_ordered_are_reported(library: Path) -> None:
    done = execute(
        """
for order in range(7):
    assert library.two_streams(order) == 0
    print(order, [(mistake.kind, mistake.what.partition(" (")[0]) for mistake in gpu.reports()])
""",
        library,
    )
    reads = "reads an allocation of 16384 bytes"
    assert done.stdout.splitlines() == [
        f"0 [('stream-race', 'order of streams: scale {reads}')]",
        *(f"{order} []" for order in range(1, 6)),
        f"6 [('stream-race', 'order of streams: cudaMemcpy {reads}')]",
    ]


def test_what_a_program_does_not_free_is_reported(library: Path) -> None:
    words = (sys.executable, "-m", "gpuwheel.testing", "run", "--no-torch")
    code = "import ctypes, sys; ctypes.CDLL(sys.argv[1]).leak()"
    wrong = run([*words, "--", sys.executable, "-c", code, library], check=False)
    assert wrong.returncode == 1
    assert "leaked: an allocation of 12345 bytes (cudaMalloc after launch 0), which nothing freed" in wrong.stderr
    run([*words, "--checks", "shared,global", "--", sys.executable, "-c", code, library])


PTX = b""".version 7.0
.target sm_70
.address_size 64
.global .align 4 .u32 start = 41;
.visible .entry next(.param .u64 to) {
  .reg .b64 %rd<2>;
  .reg .b32 %r<2>;
  ld.param.u64 %rd1, [to];
  ld.global.u32 %r1, [start];
  add.u32 %r1, %r1, 1;
  st.global.u32 [%rd1], %r1;
  ret;
}
"""
BY_THE_DRIVER = f"""
cuda, module, function, memory, context = ctypes.CDLL("libcuda.so.1"), *(ctypes.c_void_p() for _ in range(4))
def call(name, *words):
    assert getattr(cuda, name)(*words) == 0, name
call("cuInit", 0), call("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0), call("cuCtxSetCurrent", context)
call("cuModuleLoadData", ctypes.byref(module), {PTX!r})
call("cuModuleGetFunction", ctypes.byref(function), module, b"next")
call("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t(4))
parameters, value = (ctypes.c_void_p * 1)(ctypes.addressof(memory)), ctypes.c_int()
call("cuLaunchKernel", function, 1, 1, 1, 1, 1, 1, 0, None, parameters, None)
call("cuMemcpyDtoH_v2", ctypes.byref(value), memory, ctypes.c_size_t(4))
print(value.value, gpu.reports())
call("cuModuleGetGlobal_v2", ctypes.byref(memory), None, module, b"start")
print(bytes(gpu.memory(memory.value, 4)))
"""


def test_ptx_by_the_interface_of_the_driver(library: Path) -> None:
    assert execute(BY_THE_DRIVER, library).stdout == "42 []\nb')\\x00\\x00\\x00'\n"


TESTS = """
import ctypes, os, torch
library = ctypes.CDLL(os.environ["LIBRARY"])
library.scale_by.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_float]
def scale(out, x, n):
    assert library.scale_by(out.data_ptr(), x.data_ptr(), n, 3.0) == 0
def test_values():
    x = torch.arange(300.0, device="cuda").mul_(2)  # an operator of torch's, before and after
    out = torch.empty_like(x)
    scale(out, x, 300)
    factors = torch.tensor([1.0, 2.0, 4.0, 8.0]).repeat(75)
    assert torch.equal((out + 1).cpu(), torch.arange(300.0) * 6 * factors + 1)
def test_beyond_the_end():
    x = torch.ones(300, device="cuda")
    scale(torch.empty(299, device="cuda"), x, 300)
def test_uninitialised():
    scale(torch.empty(8, device="cuda"), torch.empty(8, device="cuda"), 8)
def test_that_expects_a_report(fake_gpu):
    fake_gpu.execute()
    scale(torch.empty(8, device="cuda"), torch.empty(8, device="cuda"), 8)
    (mistake,) = fake_gpu.reports()
    assert mistake.kind == "global-uninitialised"
def test_launches_alone(fake_gpu):
    scale(torch.empty(8, device="cuda"), torch.empty(8, device="cuda"), 8)
    assert [launch.name for launch in fake_gpu.launches("scale")] == ["scale"]
"""


@pytest.mark.slow
def test_pytest_fails_the_test_whose_kernels_did_something_wrong(library: Path, torch: Torch, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    words = ("-m", "pytest", "-p", "gpuwheel.testing.plugin", "--fake-gpu", "--fake-gpu-report", "report.json", "-v")
    out = torch.run(*words, cwd=tmp_path, check=False, LIBRARY=str(library), GITHUB_ACTIONS="true")
    failed = {line.split()[0].partition("::")[2] for line in out.stdout.splitlines() if " FAILED " in line}
    assert failed == {"test_beyond_the_end", "test_uninitialised"}, out.output
    beyond = "0 bytes after the end of an allocation of 1196 bytes (cudaMalloc in test_it.py::test_beyond_the_end"
    assert beyond in out.stdout
    assert "4 launches were executed; the checks found 2 mistakes" in out.stdout
    kinds = [mistake["kind"] for mistake in json.loads((tmp_path / "report.json").read_text())["mistakes"]]
    assert kinds == ["out-of-bounds", "global-uninitialised"]
    line = next(line for line in out.stdout.splitlines() if line.startswith("::error file="))
    assert "executed.cu,line=12," in line


@pytest.mark.slow
def test_what_a_pytest_finds_is_told_to_who_watches_it(library: Path, torch: Torch, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    watched = ("-m", "gpuwheel.testing", "run", "--report", "report.json", "--")
    words = (torch.python, "-m", "pytest", "-p", "gpuwheel.testing.plugin")
    out = torch.run(*watched, *words, cwd=tmp_path, check=False, LIBRARY=str(library))
    found = json.loads((tmp_path / "report.json").read_text())
    assert (found["status"], found["executed"]) == (1, 4), out.output
    assert [mistake["kind"] for mistake in found["mistakes"]] == ["out-of-bounds", "global-uninitialised"]
