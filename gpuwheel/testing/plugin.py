"""The pytest plugin: `--fake-gpu`. Loaded into every pytest run of the environment, so it imports next to nothing."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

    from gpuwheel.testing.gpu import FakeGpu

__all__ = [
    "fake_gpu",
    "pytest_addoption",
    "pytest_configure",
    "pytest_load_initial_conftests",
    "pytest_report_header",
]

# Not imported from `environment`: this file is loaded into every run of pytest.
_VARIABLE = "GPUWHEEL_FAKE_GPU"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--fake-gpu` and what the pretend machine has."""
    group = parser.getgroup("gpuwheel", "gpuwheel: test without a GPU")
    group.addoption("--fake-gpu", action="store_true", help="let torch and gpuwheel's operators see a pretend GPU")
    group.addoption("--fake-gpu-devices", type=int, default=2, metavar="N", help="how many (default: 2)")
    group.addoption(
        "--fake-gpu-capability",
        metavar="X.Y",
        help="compute capability (default: 12.0, which takes any PTX; with --fake-gpu-record: 9.0)",
    )
    group.addoption(
        "--fake-gpu-driver", default="13.0", metavar="X.Y", help="the driver's CUDA version (default: 13.0)"
    )
    group.addoption(
        "--fake-gpu-multiprocessors",
        type=int,
        default=132,
        metavar="N",
        help="of each device; with few, grids that are as large as a device do more turns (default: 132)",
    )
    group.addoption("--fake-gpu-record", action="store_true", help="record launches, and execute none")
    group.addoption(
        "--fake-gpu-checks",
        default="all",
        metavar="NAMES",
        help="of what is executed: all, none (bounds alone), or names such as shared,global,uninitialised",
    )
    group.addoption(
        "--fake-gpu-newer-ptx",
        action="store_true",
        help="execute PTX that is for a newer GPU than the pretended one as well",
    )
    group.addoption(
        "--fake-gpu-patience",
        type=int,
        default=10_000_000_000,
        metavar="N",
        help="instructions of warps after which a launch is ended (default: 10,000,000,000; 0: never)",
    )
    group.addoption("--fake-gpu-report", metavar="FILE", help="write what the checks found there, as JSON")
    group.addoption(
        "--fake-gpu-coverage",
        metavar="FOLDER",
        help="tell which kernels and lines were executed; write index.html, lcov.info and coverage.json there",
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outside of pytest's capture: a new program must get the real output
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Start this pytest again with the pretend GPU, before any conftest may import torch."""
    options = early_config.known_args_namespace
    # The variable is set in the process that was started again: it goes on from here.
    if options.fake_gpu and _VARIABLE not in os.environ:
        _start_again(early_config)
    if _VARIABLE in os.environ:
        from gpuwheel.testing.torch_operators.after_import import replace_when_imported  # noqa: PLC0415

        replace_when_imported()  # a Python that was started with -I or -E imports no sitecustomize
    yield


def _start_again(config: pytest.Config) -> NoReturn:
    from gpuwheel._cache import Cache  # noqa: PLC0415 - only runs with --fake-gpu pay for these
    from gpuwheel.errors import GpuwheelError  # noqa: PLC0415
    from gpuwheel.testing import environment as pretend  # noqa: PLC0415
    from gpuwheel.testing.stubs import extension_libraries  # noqa: PLC0415

    # pytest.main() in a program: started again, that program would do everything else twice.
    if list(config.invocation_params.args) != sys.argv[1:]:
        msg = "--fake-gpu needs a pytest that was started from the command line (it starts the command again)"
        raise pytest.UsageError(msg)
    options = config.known_args_namespace
    try:
        settings = pretend.FakeSettings.chosen(
            devices=options.fake_gpu_devices,
            capability=options.fake_gpu_capability,
            driver=options.fake_gpu_driver,
            multiprocessors=options.fake_gpu_multiprocessors,
            execute=not options.fake_gpu_record,
            newer_ptx=options.fake_gpu_newer_ptx,
            checks=options.fake_gpu_checks,
            patience=options.fake_gpu_patience,
        )
        environ = pretend.fake_gpu_environment(
            os.environ,
            cache=Cache.from_environment(os.environ),
            site_packages=pretend.find_torch(),
            settings=settings,
            also=extension_libraries(pretend.package_folders()),
        )
    except GpuwheelError as error:
        msg = f"--fake-gpu: {error.message}" + (f"\nhint: {error.hint}" if error.hint else "")
        raise pytest.UsageError(msg) from error
    # execve throws away what Python still holds in its buffers.
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environ)  # noqa: S606 - this program, again


def pytest_configure(config: pytest.Config) -> None:
    """Watch what kernels do, where they are executed."""
    if "execute=1" in os.environ.get(_VARIABLE, ""):
        from gpuwheel.testing.watched_runs import WatchedRun  # noqa: PLC0415 - see the head of this file

        config.pluginmanager.register(WatchedRun(config), "gpuwheel-watched-run")
    folder = config.getoption("fake_gpu_coverage")
    if folder and not hasattr(config, "workerinput"):  # the workers of pytest-xdist count for the first process
        _cover(config, folder)


def _cover(config: pytest.Config, folder: str) -> None:
    if "execute=1" not in os.environ.get(_VARIABLE, ""):
        msg = "--fake-gpu-coverage needs --fake-gpu, without --fake-gpu-record: it tells what was executed"
        raise pytest.UsageError(msg)
    from pathlib import Path  # noqa: PLC0415 - see the head of this file

    from gpuwheel.testing.coverage.covered_run import CoveredRun  # noqa: PLC0415

    config.pluginmanager.register(CoveredRun(config, Path(folder)), "gpuwheel-covered-run")


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say that the GPU of this run is not one."""
    settings = os.environ.get(_VARIABLE)
    if not settings:
        return []
    machine, _, executing = settings.partition(",execute=")
    does = "launches are recorded, none is executed"
    if executing:
        checks = config.getoption("fake_gpu_checks")
        does = f"launches execute the newest PTX of their library; checks: {checks}; not shown: machine code, timing"
    return [f"gpuwheel: pretend GPU ({machine.replace(',', ', ')}): {does}"]


@pytest.fixture
def fake_gpu() -> Iterator[FakeGpu]:
    """The pretend GPU, with nothing recorded. Without `--fake-gpu` the test is skipped (GPUWHEEL_REQUIRE=fake-gpu).

    Its test looks at launches, often of memory that holds nothing: none is executed until it calls `execute()`.
    """
    if _VARIABLE not in os.environ:
        from gpuwheel.testing.features import require  # noqa: PLC0415 - see the head of this file

        require("fake-gpu", "start pytest with --fake-gpu")
    from gpuwheel.testing.gpu import FakeGpu  # noqa: PLC0415

    gpu = FakeGpu()
    executes = gpu.executes
    gpu.clear()
    gpu.execute(False)  # noqa: FBT003 - a switch
    yield gpu
    gpu.execute(executes)
    gpu.clear()
