"""Device code that does not compile: the message leads with the user's file and line, and says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpuwheel.errors import CompileError

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
    assert error.message == "k/bad.cu does not compile (for sm_75, sm_100, compute_100)"


def test_an_error_on_some_architectures_names_them(project: Project) -> None:
    project.write(bad_cu="__global__ void k(int* p) {\n#if __CUDA_ARCH__ < 800\n  p[0] = missing;\n#endif\n}\n" + GOOD)
    error = _failure(project)
    assert error.message == "bad.cu does not compile (for sm_75)"


def test_every_bad_source_is_reported(project: Project) -> None:
    project.write(a_cu="__global__ void a() { x; }\n", b_cu=GOOD, c_cu="__global__ void c() { y; }\n")
    error = _failure(project)
    assert error.message.startswith("a.cu does not compile (for sm_75, sm_100, compute_100); c.cu does not compile")
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
            "k.cu includes torch/extension.h, which device code cannot use",
            ".cpp",
        ),
        ("#include <Python.h>\n" + GOOD, "k.cu includes Python.h, which device code cannot use", ".cpp"),
        ("#include <mma.h>\n" + GOOD, "k.cu needs crt/mma.h, which was not fetched", "by its name"),
        ("#include <vector>\n" + GOOD, "k.cu includes vector, which is not found", "include-dirs"),
        (
            "inline int host() { return 1; }\n" + GOOD,
            "k.cu has functions or variables without __device__",
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


def test_a_refused_flag_is_shown(project: Project) -> None:
    project.write(k_cu=GOOD)
    error = _failure(project, flags=("--bogus",))
    assert error.message.startswith(
        "k.cu was not compiled: NVRTC refuses an option (unrecognized option --bogus found)"
    )


def test_one_kernel_in_two_sources(project: Project) -> None:
    project.write(a_cu=GOOD, b_cu=GOOD)
    assert _failure(project).message == "kernel good is compiled twice (in a.cu and in b.cu)"


def test_warnings_are_told_on_every_build(project: Project) -> None:
    project.write(k_cu="__global__ void k(int* p) { int unused; p[0] = 1; }\n")
    for _ in range(2):
        project.build()
        (warning,) = project.reporter.warnings
        assert warning.startswith('k.cu(1): warning #177-D: variable "unused" was declared but never referenced')
