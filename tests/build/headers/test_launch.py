"""The launch path of <gpuwheel/launch.h> on the pretend driver, without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Workshop

pytestmark = pytest.mark.compiler

PROGRAM = r"""
#include "harness.h"
int main(int argc, char** argv) {
  const std::string test = argc > 1 ? argv[1] : "";
  if (test == "plain") { report("launch", [] { add(); }); return 0; }
  Fake fake;
  if (test == "everything") {
    fake.configure(4, 0, 0);
    void* stream = fake.stream(3);
    float* p = reinterpret_cast<float*>(0x7f0000001000);
    gpuwheel::LaunchConfig c{{16, 2, 3}, {256, 4}, {stream, 3}};
    c.shared_bytes = 100000; c.cluster = {2, 1, 1}; c.programmatic = true; c.cooperative = true;
    small::add.launch(c, p, p + 3, 4096, 1.5f);
    const Launch& l = fake.launch(0);
    void* q[2]; long d; float e;
    std::memcpy(q, l.parameters, 16); std::memcpy(&d, l.parameters + 16, 8); std::memcpy(&e, l.parameters + 24, 4);
    std::printf("%s grid %u %u %u block %u %u %u cluster %u %u %u shared %u flags %d %d device %d stream %d\n", l.kernel, l.grid[0], l.grid[1], l.grid[2],
                l.block[0], l.block[1], l.block[2], l.cluster[0], l.cluster[1], l.cluster[2], l.shared_bytes, l.cooperative, l.programmatic, l.device, l.stream == stream);
    std::printf("parameters %d: %d %d %ld %g\n", l.parameter_count, q[0] == p, q[1] == p + 3, d, static_cast<double>(e));
    struct { char text[12]; } text = {"hello world"};
    small::bytes.launch({1, 32, {stream, 3}}, text, 'x');
    std::printf("%s %c\n", fake.launch(1).parameters, fake.launch(1).parameters[12]);
  }
  if (test == "shared") {
    fake.configure(2, 0, 0);
    gpuwheel::LaunchConfig a{1, 32, {fake.stream(0), 0}}, b{1, 32, {fake.stream(1), 1}};
    float* p = nullptr;
    a.shared_bytes = 1000; small::fill<4>.launch(a, p); small::fill<4>.launch(a, p);
    std::printf("small: set %ld\n", fake.calls("cuKernelSetAttribute"));
    a.shared_bytes = b.shared_bytes = 100000;
    for (int i = 0; i < 5; ++i) { small::fill<4>.launch(a, p); small::fill<4>.launch(b, p); }
    std::printf("large, two devices: set %ld\n", fake.calls("cuKernelSetAttribute"));
    a.shared_bytes = 60000; small::fill<4>.launch(a, p);
    std::printf("smaller again: set %ld, limit %d\n", fake.calls("cuKernelSetAttribute"), small::fill<4>.attributes(0).max_dynamic_shared_bytes);
    a.shared_bytes = 40000;
    small::static_shared.launch(a, static_cast<void*>(nullptr));
    std::printf("with 16 KB static: set %ld\n", fake.calls("cuKernelSetAttribute"));
    a.shared_bytes = 300000;
    report("too much", [&] { small::fill<4>.launch(a, p); });
  }
  if (test == "context") {
    fake.configure(3, 0, 0);
    std::thread([&] { report("fresh thread", [] { add({nullptr, 2}); add({nullptr, 2}); }); }).join();
    std::thread([&] { report("another", [] { add({nullptr, 2}); }); }).join();
    std::printf("device %d, retained %ld, set %ld, launches asked for %ld\n", fake.launch(0).device, fake.calls("cuDevicePrimaryCtxRetain"),
                fake.calls("cuCtxSetCurrent"), fake.calls("cuLaunchKernelEx"));
  }
  if (test == "threads") {
    fake.find<void(int)>("gpuwheel_fake_record")(0);
    fake.configure(2, 0, 0);
    std::vector<std::thread> threads; std::atomic<bool> start{false};
    for (int i = 0; i < 32; ++i) threads.emplace_back([&, i] {
      while (!start) std::this_thread::yield();
      for (int j = 0; j < 500; ++j) {
        gpuwheel::LaunchConfig c{1, 32, {nullptr, i % 2}};
        c.shared_bytes = static_cast<unsigned>(50000 + i * 100 + j);
        add({nullptr, i % 2}); small::fill<4>.launch(c, static_cast<float*>(nullptr));
      }
    });
    start = true;
    for (auto& thread : threads) thread.join();
    std::printf("init %ld load %ld launches %d\n", fake.calls("cuInit"), fake.calls("cuLibraryLoadData"), fake.calls("cuLaunchKernelEx") >= 32000);
  }
  if (test == "start") {
    fake.fail("cuInit", 100); report("no device", [] { add(); }); report("later", [] { add(); });
  }
  if (test == "errors") {
    report("missing", [] { small::missing.launch({1, 32}, static_cast<void*>(nullptr)); });
    report("block", [] { small::fill<4>.launch({1, 2048}, static_cast<float*>(nullptr)); });
    report("grid", [] { small::fill<4>.launch({std::int64_t{1} << 40, 32}, static_cast<float*>(nullptr)); });
    report("stream", [] { small::fill<4>.launch({1, 32, {reinterpret_cast<void*>(0x5000), 0}}, static_cast<float*>(nullptr)); });
    fake.fail("cuLaunchKernelEx", 999); report("unknown", [] { add(); });
    gpuwheel::LaunchConfig c{2000, 256}; c.cooperative = true;
    report("cooperative", [&] { small::fill<4>.launch(c, static_cast<float*>(nullptr)); });
    c = {3, 32}; c.cluster = 2; report("cluster", [&] { small::fill<4>.launch(c, static_cast<float*>(nullptr)); });
    c = {32, 32}; c.cluster = 16; report("large cluster", [&] { small::fill<4>.launch(c, static_cast<float*>(nullptr)); });
    report("device", [] { small::fill<4>.preload(64); });
  }
  if (test == "image") report("launch", [] { add(); });
  if (test == "fork") {
    if (argc > 2) add();
    if (fork() == 0) { report("child", [] { add(); }); _exit(0); }
    wait(nullptr);
  }
  if (test == "questions") {
    const auto a = small::static_shared.attributes(0);
    std::printf("shared %d threads %d dynamic %d\n", a.shared_bytes, a.max_threads, a.max_dynamic_shared_bytes);
    std::printf("blocks %d", small::fill<4>.max_blocks_per_multiprocessor(0, 256));
    std::printf(" with shared %d", small::fill<4>.max_blocks_per_multiprocessor(0, 256, 100000));
    const auto size = small::fill<4>.suggest_block_size(0, 0, 512);
    std::printf(" block %d grid %d cluster %d\n", size.threads, size.min_grid, small::fill<4>.max_cluster_size({1, 128}));
    void* context = nullptr; fake.find<int(void**)>("cuCtxGetCurrent")(&context);
    std::printf("context left %d\n", context != nullptr);
  }
  if (test == "capture") {
    void* stream = fake.stream(0);
    const bool warm = argc > 2;
    if (warm) { small::fill<4>.preload(0, 100000); }
    fake.find<int(void*)>("gpuwheel_fake_begin_capture")(stream);
    gpuwheel::LaunchConfig c{1, 32, {stream, 0}}; c.shared_bytes = 100000;
    report("captured", [&] { small::fill<4>.launch(c, static_cast<float*>(nullptr)); });
    void* graph = nullptr;
    fake.find<int(void*, void**)>("gpuwheel_fake_end_capture")(stream, &graph);
    std::printf("launches %ld", fake.launches());
    fake.find<int(void*)>("gpuwheel_fake_replay")(graph);
    std::printf(" after replay %ld\n", fake.launches());
  }
}
"""


@pytest.fixture(scope="module")
def program(workshop: Workshop) -> Path:
    return workshop.build(PROGRAM, name="launch")


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
    assert out == ["fresh thread: ok", "another: ok", "device 2, retained 1, set 2, launches asked for 5"]


def test_first_use_by_32_threads_loads_once(workshop: Workshop, program: Path) -> None:
    assert workshop.run(program, "threads") == "init 1 load 1 launches 1\n"


def test_the_launch_path_has_no_data_race(workshop: Workshop) -> None:
    program = workshop.build(PROGRAM, "-fsanitize=thread", "-g", "-O1", name="launch_tsan")
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
        "[1] gpuwheel: launching small::fill<4> with grid (1, 1, 1), block (2048, 1, 1), 0 bytes of dynamic shared memory "
        "on device 0: CUDA_ERROR_INVALID_VALUE (1): invalid argument"
    )
    assert out["grid"] == "gpuwheel: a grid or block cannot have 1099511627776 elements in one dimension"
    assert "CUDA_ERROR_INVALID_HANDLE" in out["stream"]
    assert out["unknown"].endswith("on device 0: unknown error (999)")
    assert "COOPERATIVE_LAUNCH_TOO_LARGE" in out["cooperative"]
    assert "INVALID_CLUSTER_SIZE" in out["cluster"]
    assert out["large cluster"] == "ok"
    assert out["device"] == "gpuwheel: there is no CUDA device 64"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("capability=7.0", "CUDA_ERROR_NO_BINARY_FOR_GPU (209)"),
        ("capability=12.0,driver=12.8", "CUDA_ERROR_UNSUPPORTED_PTX_VERSION (222)"),
    ],
)
def test_a_device_that_the_image_does_not_serve(workshop: Workshop, program: Path, settings: str, words: str) -> None:
    out = workshop.run(program, "image", GPUWHEEL_FAKE_GPU=settings)
    assert words in out
    assert "compiled for sm_75 sm_90 compute_100, this device is sm_" in out
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


def test_questions_need_no_context_and_leave_none(workshop: Workshop, program: Path) -> None:
    out = workshop.run(program, "questions").splitlines()
    assert out[0] == "shared 16384 threads 1024 dynamic 32768"
    assert out[1] == "blocks 8 with shared 2 block 512 grid 528 cluster 16"
    assert out[2] == "context left 0"


def test_a_preloaded_kernel_can_be_captured(workshop: Workshop, program: Path) -> None:
    cold, warm = workshop.run(program, "capture").splitlines(), workshop.run(program, "capture", "warm").splitlines()
    assert "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED" in cold[0]
    assert warm == ["captured: ok", "launches 0 after replay 1"]
