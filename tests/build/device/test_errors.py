"""Device code that does not compile: the message leads with the user's file and line, and says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel.errors import CompileError
from gpuwheel.model.archs import Arch

if TYPE_CHECKING:
    from conftest import Project

pytestmark = pytest.mark.network

GOOD = "__global__ void good(int* p) { p[0] = 1; }\n"


def _failure(project: Project, **changes: object) -> CompileError:
    with pytest.raises(CompileError) as caught:
        project.build(**changes)
    assert not (project.root / "out").exists(), "nothing half-written"
    assert "/proc/self" not in caught.value.render()
    return caught.value


def test_the_users_file_and_line_come_first_and_once(project: Project) -> None:
    project.write(k__bad_cu='#include "sub/part.h"\n\n__global__ void k(int* p) { p[0] = missing; }\n')
    project.write(k__sub__part_h="__device__ int f() { return other; }\n")
    error = _failure(project)
    assert error.detail is not None
    assert error.detail.startswith('k/sub/part.h(1): error: identifier "other" is undefined')
    assert error.detail.count('k/bad.cu(3): error: identifier "missing" is undefined') == 1
    assert error.message == 'k/sub/part.h:1: identifier "other" is undefined\n  __device__ int f() { return other; }'


def test_an_error_on_some_architectures_names_them(project: Project) -> None:
    project.write(bad_cu="__global__ void k(int* p) {\n#if __CUDA_ARCH__ < 800\n  p[0] = missing;\n#endif\n}\n" + GOOD)
    error = _failure(project)
    assert error.message == 'bad.cu:3: identifier "missing" is undefined (only for sm_75)\n  p[0] = missing;'


def test_every_bad_source_is_reported(project: Project) -> None:
    project.write(a_cu="__global__ void a() { x; }\n", b_cu=GOOD, c_cu="__global__ void c() { y; }\n")
    error = _failure(project)
    assert error.message.startswith('a.cu:1: identifier "x" is undefined\n')
    assert error.message.endswith("\n  (and 1 other source of the group)")
    assert error.detail is not None
    assert 'a.cu(1): error: identifier "x"' in error.detail
    assert 'c.cu(1): error: identifier "y"' in error.detail


def test_assembly_errors_name_the_file(project: Project) -> None:
    project.write(bad_cu='__global__ void k() { asm volatile("bogus.instr;"); }\n')
    error = _failure(project, ptx_archs=())
    assert error.detail is not None
    assert error.detail.startswith("bad.cu: ptxas application ptx input, line")


@pytest.mark.parametrize(
    "host",
    [
        "void run(int* p) {\n  // not here: <<<\n  good<<<1, 1>>>(p);\n}\n",
        "#include <torch/extension.h>\nvoid run(int* p) {\n  good<<<1, 1>>>(p);\n}\n",
        "__global__ void run(int* p) {\n  /* nor here: <<< */\n  good<<<1, 1>>>(p);\n}\n",
    ],
)  # fmt: skip
def test_a_host_launch_names_its_line_and_the_ways_out(project: Project, host: str) -> None:
    project.write(k__mixed_cu=GOOD + host)
    error = _failure(project)
    assert error.message.startswith("k/mixed.cu launches kernels with <<<>>> (line 4), which is host code")
    assert error.hint is not None
    assert 'mode = "nvcc"' in error.hint


def test_a_guarded_host_launch_is_fine(project: Project) -> None:
    project.write(k_cu=GOOD + "#ifndef __CUDACC_RTC__\nvoid run(int* p) { good<<<1, 1>>>(p); }\n#endif\n")
    assert list(project.build().kernels) == ["good"]


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        (
            "#include <torch/extension.h>\n" + GOOD,
            "k.cu:1: torch/extension.h is for host code, and device code cannot use it",
            ".cpp",
        ),
        ("#include <Python.h>\n" + GOOD, "k.cu:1: Python.h is for host code", ".cpp"),
        ("#include <mma.h>\n" + GOOD, "k.cu:1: crt/mma.h was not fetched", "by its name"),
        ("#include <vector>\n" + GOOD, "k.cu:1: <vector> needs a host", "cuda/std"),
        (
            "inline int host() { return 1; }\n" + GOOD,
            "k.cu:1: a function or variable has no __device__",
            "--device-as-default",
        ),
        (
            "__device__ int helper() { return 1; }\n",
            "kernel group fused has no kernel (in k.cu)",
            "GPUWHEEL_INSTANTIATE",
        ),
        ("__global__ void k(int*) {}\n__global__ void k(float*) {}\n", "kernel k is overloaded", "own name"),
        ("namespace { __global__ void k(int*) {} }\n", "(it involves an anonymous namespace)", "name"),
    ],
)
def test_known_mistakes(project: Project, source: str, message: str, hint: str) -> None:
    project.write(k_cu=source)
    error = _failure(project)
    assert message in error.message
    assert error.hint is not None
    assert hint in error.hint


TEMPLATE = """#include <gpuwheel/device.h>
namespace tiny {
template <typename T> __global__ void scale(T* out, const T* x, int n) { out[n] = BODY; }
GPUWHEEL_INSTANTIATE(scale<float>);
GPUWHEEL_INSTANTIATE(scale<gpuwheel::half>);
}  // namespace tiny
"""
INSTANTIATE = "\nGPUWHEEL_INSTANTIATE(g<float>);\n"
EIGHTY_KB = "template <typename T> __global__ void big(T* p) {\n  __shared__ T all[20480]; all[threadIdx.x] = p[0];\n"
EIGHTY_KB += "  __syncthreads(); p[1] = all[threadIdx.x ^ 1];\n}\ntemplate __global__ void big<float>(float*);\n"


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ("#include <cub/cub.cuh>\n" + GOOD, "k.cu:1: <cub/cub.cuh> launches kernels", "cub/block/"),
        ("#include <curand_kernel.h>\n" + GOOD, "k.cu:1: curand_kernel.h is of cuRAND", 'libraries = ["curand"]'),
        ("#include <gpuwheel/torch.h>\n" + GOOD, "k.cu:1: <gpuwheel/torch.h> is for host code", ""),
        ('#include "part.h"\n' + GOOD, "part.h:2: <gpuwheel/launch.h> is for host code", ""),
        ("#include <string>\n" + GOOD, "k.cu:1: <string> needs a host", "cuda/std"),
        ('#include "nope.h"\n' + GOOD, "k.cu:1: nope.h is not found", "include-dirs of the kernel group"),
        (
            "template <typename T> __global__ void g(T* p) {}" + INSTANTIATE,
            "k.cu:2: GPUWHEEL_INSTANTIATE is not known here",
            "#include <gpuwheel/device.h>",
        ),
        ("GPUWHEEL_HOST_DEVICE int f();\n" + GOOD, "k.cu:1: GPUWHEEL_HOST_DEVICE is not known", "gpuwheel/dtype.h"),
        (
            "#include <gpuwheel/dtype.h>\nGPUWHEEL_HOST_DEVICE inline bool f(int x) { return x; }\n" + GOOD,
            "k.cu:2: GPUWHEEL_HOST_DEVICE says inline already",
            "leave inline away",
        ),
        (
            "#include <gpuwheel/device.h>\ntemplate <typename T> __device__ void g(T* p) {}" + INSTANTIATE,
            "k.cu:3: g is not a kernel: its definition does not say __global__",
            "__global__ before the return type",
        ),
        (
            "#include <gpuwheel/device.h>\ntemplate <typename T> void g(T* p) {}" + INSTANTIATE,
            "k.cu:3: g is not a kernel: its definition does not say __global__",
            "__global__ before the return type",
        ),
        (TEMPLATE.replace("BODY", "std::max(x[0], x[1])"), "k.cu:3: std::max is not declared", "<algorithm>"),
        (TEMPLATE.replace("BODY", "x[0] * 1.0f"), "k.cu:3: * of a 16-bit float and another", "static_cast<float>"),
        (EIGHTY_KB, "k.cu:1: kernel big<float> has 81920 bytes of static shared memory (49152 at most)", "extern"),
        (
            "__device__ float f(float);\n__global__ void k(float* p) { *p = f(*p); }\n",
            "k.cu: f is declared, and not defined",
            "header",
        ),
        (
            '__global__ void k(int* p) { asm volatile("wgmma.fence.sync.aligned;"); }\n',
            "k.cu: wgmma.fence is not of sm_90: only sm_90a has it",
            'archs = ["9.0a"]',
        ),
        (
            '#include "part.h"\n__device__ void f() { bad(1, 2); }\n' + GOOD,
            "part.h:2: expected a",
            "",
        ),
    ],
)
def test_what_authors_often_do_has_its_own_words(project: Project, source: str, message: str, hint: str) -> None:
    project.write(k_cu=source, part_h="// a header\n#include <gpuwheel/launch.h>\n")
    if "bad(" in source:
        project.write(part_h="// a header\nstruct Part { int x }\nstruct Other {};\n")
    error = _failure(project, cubin_archs=(Arch(9, 0),), ptx_archs=())
    assert error.message.startswith(message), error.render()
    assert hint in (error.hint or "")
    assert "\0" not in error.render()
    assert "_Z" not in error.message
    assert len(error.message.splitlines()) <= 3


def test_a_refused_flag_is_shown(project: Project) -> None:
    project.write(k_cu=GOOD)
    error = _failure(project, flags=("--bogus",))
    assert error.message == "k.cu: NVRTC refuses an option (unrecognized option --bogus found)"


def test_one_kernel_in_two_sources(project: Project) -> None:
    project.write(a_cu=GOOD, b_cu=GOOD)
    assert _failure(project).message == "kernel good is compiled twice (in a.cu and in b.cu)"


def test_warnings_are_told_on_every_build(project: Project) -> None:
    project.write(k_cu="__global__ void k(int* p) { int unused; p[0] = 1; }\n")
    for _ in range(2):
        project.build()
        (warning,) = project.reporter.warnings
        assert warning.startswith('k.cu(1): warning #177-D: variable "unused" was declared but never referenced')
