"""The launch path of <gpuwheel/launch.h> on the pretend driver, without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Workshop

pytestmark = pytest.mark.compiler


@pytest.fixture(scope="module")
def program(workshop: Workshop) -> Path:
    return workshop.build(workshop.source("launch"), name="launch")


def test_a_launch_reaches_the_driver_as_it_was_asked_for(workshop: Workshop, program: Path) -> None:
    out = workshop.run(program, "everything").splitlines()
    assert out[0] == "_Z3addPfPKflf grid 16 2 3 block 256 4 1 cluster 2 1 1 shared 100000 flags 1 1 device 3 stream 1"
    assert out[1] == "parameters 4: 1 1 4096 1.5"
    assert out[2] == "hello world x"


def test_large_shared_memory_is_opted_into_once_per_device(workshop: Workshop, program: Path) -> None:
    out = workshop.run(program, "shared").splitlines()
    assert out[:4] == [
        "small: set 0",
        "large, two devices: set 2",
        "smaller again: set 2, limit 100000",
        "with 16 KB static: set 3",
    ]
    assert "allowing 300000 bytes of dynamic shared memory to small::fill<4> on device 0 (which has 232448" in out[4]


def test_a_thread_without_a_context_gets_the_primary_one(workshop: Workshop, program: Path) -> None:
    out = workshop.run(program, "context").splitlines()
    assert out == ["fresh thread: ok", "another: ok", "device 2, retained 1, set 2, launches asked for 3"]


def test_first_use_by_32_threads_loads_once(workshop: Workshop, program: Path) -> None:
    assert workshop.run(program, "threads") == "init 1 load 1 launches 1\n"


def test_the_launch_path_has_no_data_race(workshop: Workshop) -> None:
    program = workshop.build(workshop.source("launch"), "-fsanitize=thread", "-g", "-O1", name="launch_tsan")
    out = workshop.run(program, "threads", TSAN_OPTIONS="exitcode=66 halt_on_error=1")
    assert out == "init 1 load 1 launches 1\n"


def test_without_a_driver_a_call_says_so(workshop: Workshop, program: Path) -> None:
    out = workshop.run(program, "plain", driver=False)
    assert out.startswith(
        "launch: [-1] gpuwheel: no CUDA driver on this machine: libcuda.so.1: cannot open shared object"
    )


def test_an_old_driver_is_named(workshop: Workshop, program: Path) -> None:
    out = workshop.run(program, "plain", GPUWHEEL_FAKE_GPU="driver=11.8")
    assert "too old: it has no cuLibraryLoadData (it supports CUDA 11.8; 12.0, driver 525, or newer is needed)" in out


def test_a_failed_start_is_tried_again(workshop: Workshop, program: Path) -> None:
    out = workshop.run(program, "start").splitlines()
    assert out[0].startswith(
        "no device: [100] gpuwheel: the CUDA driver does not start: CUDA_ERROR_NO_DEVICE (100): no CUDA"
    )
    assert out[1] == "later: ok"


def test_errors_name_the_kernel_the_device_and_the_drivers_words(workshop: Workshop, program: Path) -> None:
    out = dict(line.split(": ", 1) for line in workshop.run(program, "errors").splitlines())
    assert out["missing"].startswith(
        "[500] gpuwheel: finding kernel small::missing in the image of small: CUDA_ERROR_NOT_FOUND"
    )
    assert out["block"] == (
        "[1] gpuwheel: launching small::fill<4> with grid (1, 1, 1), block (2048, 1, 1), 0 bytes of dynamic shared "
        "memory on device 0: CUDA_ERROR_INVALID_VALUE (1): invalid argument"
    )
    assert out["grid"] == "gpuwheel: a grid or block cannot have 1099511627776 elements in one dimension"
    assert "CUDA_ERROR_INVALID_HANDLE" in out["stream"]
    assert out["unknown"].endswith("on device 0: unknown error (999)")
    assert "COOPERATIVE_LAUNCH_TOO_LARGE" in out["cooperative"]
    assert "INVALID_CLUSTER_SIZE" in out["cluster"]
    assert out["large cluster"] == "ok"
    assert out["device"] == "gpuwheel: there is no CUDA device 64"


@pytest.mark.parametrize(
    ("settings", "words", "arch"),
    [
        ("capability=7.0", "CUDA_ERROR_NO_BINARY_FOR_GPU (209)", "7.0"),
        ("capability=8.6", "CUDA_ERROR_NO_BINARY_FOR_GPU (209)", "8.6"),
        ("capability=12.0,driver=12.8", "CUDA_ERROR_UNSUPPORTED_PTX_VERSION (222)", "12.0"),
    ],
)
def test_a_device_that_the_image_does_not_serve(
    workshop: Workshop, program: Path, settings: str, words: str, arch: str
) -> None:
    out = workshop.run(program, "image", GPUWHEEL_FAKE_GPU=settings)
    assert words in out
    assert f"compiled for sm_75 sm_90 compute_100, device 0 is sm_{arch.replace('.', '')}," in out
    assert f'install a release for this GPU, or build it with "{arch}" in `archs`' in out
    assert ("install a newer driver" in out) == ("PTX" in words)
    assert "the driver supports CUDA 12.8" in out


@pytest.mark.parametrize("settings", ["capability=8.6", "capability=9.0", "capability=10.3,driver=12.9"])
def test_a_device_that_a_cubin_or_the_ptx_serves(workshop: Workshop, program: Path, settings: str) -> None:
    expected = "ok" if settings != "capability=8.6" else "CUDA_ERROR_NO_BINARY_FOR_GPU"  # sm_75 does not run on 8.6
    assert expected in workshop.run(program, "image", GPUWHEEL_FAKE_GPU=settings)


def test_fork_before_the_first_use_works(workshop: Workshop, program: Path) -> None:
    assert workshop.run(program, "fork") == "child: ok\n"


def test_fork_after_the_first_use_is_one_clear_error(workshop: Workshop, program: Path) -> None:
    out = workshop.run(program, "fork", "used")
    assert "CUDA_ERROR_NOT_INITIALIZED" in out
    assert "CUDA was used before this process was forked: start processes with the 'spawn' method" in out


@pytest.mark.parametrize("slow", ["cuInit", "cuLibraryLoadData", "cuLibraryGetKernel", "cuDevicePrimaryCtxRetain"])
def test_fork_during_the_first_use_of_another_thread_is_one_clear_error(
    workshop: Workshop, program: Path, slow: str
) -> None:
    *child, parent, status = workshop.run(program, "fork during", slow).splitlines()
    for line in child:
        assert "CUDA_ERROR_NOT_INITIALIZED (3): CUDA was used before this process was forked" in line
    assert (len(child), parent, status) == (3, "parent: ok", "status 0")


@pytest.mark.parametrize("slow", ["cuKernelSetAttribute", "cuLaunchKernelEx"])
def test_fork_during_a_later_call_of_another_thread_is_one_clear_error(
    workshop: Workshop, program: Path, slow: str
) -> None:
    *child, parent, status = workshop.run(program, "fork during", slow, "1").splitlines()
    for line in child:
        assert "CUDA was used before this process was forked" in line
    assert (len(child), parent, status) == (3, "parent: ok", "status 0")


def test_a_default_stream_is_that_of_its_device(workshop: Workshop, program: Path) -> None:
    out = workshop.run(program, "streams").splitlines()
    found = {line.partition(": ")[0]: (line, where.strip()) for line, where in zip(out[::2], out[1::2], strict=True)}
    assert found["no context, no device"][1] == "launched on 0, current 0"
    for stream in ("the other device's default stream", "its legacy stream", "its per-thread stream"):
        assert found[stream] == (f"{stream}: ok", "launched on 1, current 0")
    assert found["a stream of its own"][1] == "launched on 1, current 0"
    for device in (2, 63):
        line, where = found[f"device {device}"]
        assert f"retaining the context of device {device}: CUDA_ERROR_INVALID_DEVICE" in line
        assert where == "launched on -1, current 0"
    for stream in ("device 64", "device 2147483647", "a stream and no such device"):
        assert "there is no CUDA device" in found[stream][0]
    assert found["a new thread"] == ("a new thread: ok", "launched on 1, current 1")
    assert found["then the current device"][1] == "launched on 1, current 1"
    assert found["large"] == ("large: ok", "limits 49152 100000")


def test_questions_need_no_context_and_leave_none(workshop: Workshop, program: Path) -> None:
    out = workshop.run(program, "questions").splitlines()
    assert out[0] == "shared 16384 threads 1024 dynamic 32768"
    assert out[1] == "blocks 8 with shared 2 block 512 grid 528 cluster 16"
    assert out[2] == "context left 0"


def test_a_preloaded_kernel_can_be_captured(workshop: Workshop, program: Path) -> None:
    cold, warm = workshop.run(program, "capture").splitlines(), workshop.run(program, "capture", "warm").splitlines()
    assert "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED" in cold[0]
    assert warm == ["captured: ok", "launches 0 after replay 1"]
