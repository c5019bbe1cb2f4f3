"""A user's mistake ends with a message that names it, and leaves nothing behind; the next build works."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Project

pytestmark = [pytest.mark.compiler, pytest.mark.network]


def refused(project: Project, tmp_path: Path, **environ: str) -> str:
    """What a build prints that must fail as a user's mistake does."""
    out = tmp_path / "refused"
    out.mkdir(exist_ok=True)
    result = project.hook("build_wheel", out, **environ)
    assert result.code not in {0, 1}, result.output
    assert "Traceback" not in result.output
    assert re.search(r"^error: ", result.output, re.MULTILINE), result.output
    assert not list(out.iterdir()), "something was left behind"
    return result.output


def test_a_kernel_that_does_not_compile_is_shown_with_its_own_file_and_line(project: Project, tmp_path: Path) -> None:
    project.replace("csrc/scale.cu", "if (i < n)", "if (i < count)")
    output = refused(project, tmp_path)
    first = next(line for line in output.splitlines() if "error" in line)
    assert first.startswith("csrc/scale.cu(8)")
    assert '"count" is undefined' in first
    assert output.count('error: identifier "count" is undefined') == 1, "said once for all architectures"
    assert 'error: csrc/scale.cu:8: identifier "count" is undefined' in output, "and at the end"

    project.replace("csrc/scale.cu", "if (i < count)", "if (i < n)")
    assert project.wheel(tmp_path / "mended")


def test_host_code_in_a_device_source_names_its_line(project: Project, tmp_path: Path) -> None:
    project.write(
        "csrc/scale.cu",
        "__global__ void f() {}\n// a comment: f<<<1, 1>>>();\nvoid launch() {\n  f<<<1, 32>>>();\n}\n",
    )
    output = refused(project, tmp_path)
    assert "csrc/scale.cu launches kernels with <<<>>> (line 4)" in output
    assert 'mode = "nvcc"' in output


def test_a_kernel_that_was_not_instantiated_does_not_compile(project: Project, tmp_path: Path) -> None:
    project.replace("csrc/scale.cu", "GPUWHEEL_INSTANTIATE(scale<float>);", "GPUWHEEL_INSTANTIATE(scale<double>);")
    assert "add GPUWHEEL_INSTANTIATE" in refused(project, tmp_path)


def test_a_wrong_argument_of_a_launch_does_not_compile(project: Project, tmp_path: Path) -> None:
    project.replace("csrc/ops.cpp", "x.const_data_ptr<float>(), n,", "x.const_data_ptr<float>(), factor,")
    assert "narrowed" in refused(project, tmp_path)


def last_words(output: str) -> list[str]:
    """What a build ends with: the error, its lines, and the hint."""
    lines = output.splitlines()
    return lines[max(number for number, line in enumerate(lines) if line.startswith("error: ")) :]


def test_a_launch_that_does_not_fit_ends_with_its_argument_once_for_all_dtypes(
    project: Project, tmp_path: Path
) -> None:
    dtypes = "".join(f"GPUWHEEL_INSTANTIATE(scale<{it}>);\n" for it in ("float", "gpuwheel::half"))
    project.replace("csrc/scale.cu", "GPUWHEEL_INSTANTIATE(scale<float>);", dtypes)
    project.replace("csrc/scale.h", "x * factor", "static_cast<float>(x) * factor")
    old = "  tiny::scale<float>.launch(config, out.mutable_data_ptr<float>(), x.const_data_ptr<float>(), n,\n"
    old += "                            static_cast<float>(factor));\n"
    new = "  const auto go = [&](auto zero) {\n    using T = decltype(zero);\n"
    new += "    tiny::scale<T>.launch(config, out.mutable_data_ptr<T>(), x.const_data_ptr<T>(), n, factor);\n  };\n"
    project.replace("csrc/ops.cpp", old, new + "  go(0.f);\n  go(gpuwheel::half(0.f));\n")
    output = refused(project, tmp_path)
    assert last_words(output) == [
        "error: csrc/ops.cpp:25: kernel tiny::scale<T>: argument 4 would be narrowed (found double, expected float)",
        "  scale(T* out, const T* x, int64_t n, float factor)",
        "hint: convert it where that is meant: static_cast<float>(...)",
    ]
    assert "CheckArgument<3, float, " in output, "the compiler's own words stand above"


def test_a_header_of_a_group_that_the_extension_does_not_list(project: Project, tmp_path: Path) -> None:
    project.replace("csrc/ops.cpp", '#include "tiny.kernels.h"', '#include "tinny.kernels.h"')
    error, line, hint = last_words(refused(project, tmp_path))
    assert error == "error: csrc/ops.cpp:3: tinny.kernels.h is not there: the extension has no kernel group tinny"
    assert line == '  #include "tinny.kernels.h"'
    assert hint.endswith("(compiled: tiny)")


def test_an_unstable_header_is_refused(project: Project, tmp_path: Path) -> None:
    project.replace("csrc/ops.cpp", '#include "scale.h"', '#include <ATen/ATen.h>\n#include "scale.h"')
    assert "ATen/ATen.h" in refused(project, tmp_path)


def test_a_library_that_needs_cuda_is_refused_after_linking(project: Project, tmp_path: Path) -> None:
    project.replace(
        "csrc/ops.cpp",
        "namespace {\nTensor scale_cpu",
        'extern "C" int cuInit(unsigned);\nnamespace {\nTensor scale_cpu',
    )
    project.replace("csrc/ops.cpp", "float* to = ", "cuInit(0);\n  float* to = ")
    output = refused(project, tmp_path)
    assert "tiny_ops/_C.so" in output
    assert "cuInit" in output


def test_a_shim_newer_than_the_torch_floor_is_refused(project: Project, tmp_path: Path) -> None:
    project.replace(
        "csrc/ops.cpp",
        "namespace {\nTensor scale_cpu",
        'extern "C" int torch_set_requires_grad_probe();\n'
        'extern "C" AOTITorchError torch_from_blob_v2(void*, int64_t);\nnamespace {\nTensor scale_cpu',
    )
    project.replace("csrc/ops.cpp", "float* to = ", "torch_from_blob_v2(nullptr, 0);\n  float* to = ")
    assert "torch_from_blob_v2" in refused(project, tmp_path)


def test_too_many_registers_break_the_budget(project: Project, tmp_path: Path) -> None:
    project.replace("pyproject.toml", 'sources = ["csrc/*.cu"]', 'sources = ["csrc/*.cu"]\nbudget = 4')
    assert "budget" in refused(project, tmp_path)


def test_a_wheel_above_its_size_is_refused(project: Project, tmp_path: Path) -> None:
    project.write(
        "pyproject.toml", (project.root / "pyproject.toml").read_text() + '\n[tool.gpuwheel.wheel]\nmax-size = "1 kB"\n'
    )
    assert "max-size" in refused(project, tmp_path)  # the key to raise


def test_a_platform_that_no_stubs_are_made_for_is_refused(project: Project, tmp_path: Path) -> None:
    text = (project.root / "pyproject.toml").read_text()
    project.write("pyproject.toml", text + '\n[tool.gpuwheel.wheel]\nplatform = "manylinux_2_5"\n')
    assert 'platform = "manylinux_2_17"' in refused(project, tmp_path)


def test_a_function_that_the_platform_lacks_is_refused(project: Project, tmp_path: Path) -> None:
    # glibc 2.39 has it: it is declared here, so that headers of every glibc do.
    source = 'extern "C" int pidfd_getpid(int);\nstatic volatile int called = pidfd_getpid(0);\n'
    project.write("csrc/newer.cpp", source)
    output = refused(project, tmp_path)
    assert "imports symbols that nothing provides (pidfd_getpid" in output
    assert "`platform`" in output


def test_no_compiler(project: Project, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "apt install g++" in refused(project, tmp_path, PATH=str(empty))


def test_a_cmake_that_is_too_old(project: Project, tmp_path: Path) -> None:
    """Without isolation, as with Debian 12's CMake: what is there, what is needed, how to get it."""
    programs, out = tmp_path / "programs", tmp_path / "out"
    programs.mkdir()
    out.mkdir()
    (programs / "cmake").write_text("#!/bin/sh\necho cmake version 3.25.1\n", encoding="utf-8")
    (programs / "cmake").chmod(0o755)
    hidden = "import sys; sys.modules['cmake'] = None; "
    done = subprocess.run(  # noqa: TID251  # its output together
        [sys.executable, "-c", f"{hidden}from gpuwheel import backend; backend.build_wheel({str(out)!r})"],
        cwd=project.root,
        env={**os.environ, **project.environ, "PATH": f"{programs}:/usr/bin:/bin"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 5, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert f"no CMake that fits (found 3.25.1 at {programs}/cmake, expected >=3.26)" in done.stderr
    assert "hint: pip install cmake ninja" in done.stderr


def test_an_architecture_that_no_toolkit_knows(project: Project, tmp_path: Path) -> None:
    project.replace("pyproject.toml", '"9.0+PTX"', '"9.5"')
    output = refused(project, tmp_path)
    assert "9.5" in output
    assert "12.9" in output


def test_a_torch_floor_below_the_stable_abi(project: Project, tmp_path: Path) -> None:
    project.replace("pyproject.toml", '">=2.10"', '">=2.8"')
    assert "2.10" in refused(project, tmp_path)


def test_no_network_and_nothing_cached(project: Project, tmp_path: Path) -> None:
    output = refused(
        project,
        tmp_path,
        GPUWHEEL_CACHE_DIR=str(tmp_path / "nothing"),
        GPUWHEEL_INDEX_URL="http://127.0.0.1:9/simple",
    )
    assert "127.0.0.1" in output


@contextmanager
def compiling(project: Project, out: Path, cache: Path) -> Iterator[subprocess.Popen[str]]:
    """A build that is just compiling device code."""
    code = f"from gpuwheel import backend; backend.build_wheel({str(out)!r})"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=project.root,
        env={**os.environ, **project.environ, "GPUWHEEL_CACHE_DIR": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as build:
        assert build.stdout is not None
        for line in build.stdout:
            if "kernel group tiny: compiling" in line:
                break
        time.sleep(0.3)
        yield build


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_leaves_nothing_half_written(
    project: Project, tmp_path: Path, fresh_cache: Path, number: signal.Signals, status: int
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with compiling(project, out, fresh_cache) as build:
        build.send_signal(number)
        rest = build.stdout.read() if build.stdout else ""
    assert build.returncode == status, rest
    assert "Traceback" not in rest
    assert not list(out.iterdir())
    scratch = [path for path in (fresh_cache / "v1" / "tmp").iterdir() if not path.name.endswith(".lock")]
    assert not scratch
    assert project.wheel(out, GPUWHEEL_CACHE_DIR=str(fresh_cache))


def test_a_killed_build_leaves_no_compiler_running(project: Project, tmp_path: Path, fresh_cache: Path) -> None:
    with compiling(project, tmp_path, fresh_cache) as build:
        children = Path(f"/proc/{build.pid}/task/{build.pid}/children").read_text(encoding="ascii").split()
        assert children
        build.kill()
    ended = time.monotonic() + 10
    while any(Path("/proc", child).exists() for child in children) and time.monotonic() < ended:
        time.sleep(0.05)
    assert not [child for child in children if Path("/proc", child).exists()]
    assert project.wheel(tmp_path / "out", GPUWHEEL_CACHE_DIR=str(fresh_cache))
