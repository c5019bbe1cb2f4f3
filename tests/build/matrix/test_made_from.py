"""What `--resume` holds a finished wheel to: everything that may make another one of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gpuwheel._cache import Cache
from gpuwheel.matrix.made_from import made_from
from gpuwheel.matrix.snapshot import Snapshot
from gpuwheel.matrix.trials.verdicts import Level
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.toolchain import Context

if TYPE_CHECKING:
    from pathlib import Path


def _made(folder: Path, test: Level = Level.NONE, place: str | None = None, **environ: str) -> dict[str, object]:
    # No compiler is there: what the environment says is what counts here.
    context = Context(Cache(folder), {"PATH": os.devnull, **environ}, SilentReporter())
    return made_from(Snapshot(folder / "ops-1.tar.gz", "0" * 64, folder), context, test, place)


@pytest.mark.parametrize(
    "environ",
    [
        {"GPUWHEEL_ARCHS": "9.0"},
        {"GPUWHEEL_LOCAL": "mine"},
        {"TORCH_CUDA_ARCH_LIST": "8.0"},
        {"CXX": "/absent/clang++"},
        {"CC": "clang"},
        {"CXXFLAGS": "-O1"},
        {"CUDA_HOME": "/opt/cuda"},
        {"CMAKE_ARGS": "-DX=1"},
        {"SKBUILD_CMAKE_DEFINE": "X=1"},
        {"SETUPTOOLS_SCM_PRETEND_VERSION": "2"},
        {"CIBW_MANYLINUX_X86_64_IMAGE": "mine"},
        {"SOURCE_DATE_EPOCH": "1"},
    ],
    ids=lambda environ: next(iter(environ)),
)
def test_a_variable_that_may_change_a_wheel_counts(tmp_path: Path, environ: dict[str, str]) -> None:
    assert _made(tmp_path, **environ) != _made(tmp_path)


@pytest.mark.parametrize(
    "environ",
    [
        {"GPUWHEEL_CACHE_DIR": "/elsewhere"},
        {"GPUWHEEL_DEBUG": "1"},
        {"GPUWHEEL_REMOTE_KEY": "secret"},
        {"AWS_SESSION_TOKEN": "new in every job"},
        {"GITHUB_RUN_ID": "17"},
        {"HOME": "/home/somebody"},
    ],
    ids=lambda environ: next(iter(environ)),
)
def test_what_is_new_in_every_job_of_ci_does_not(tmp_path: Path, environ: dict[str, str]) -> None:
    assert _made(tmp_path, **environ) == _made(tmp_path)


def test_how_wheels_are_tried_and_where_they_are_built_counts(tmp_path: Path) -> None:
    made = [_made(tmp_path), _made(tmp_path, Level.SMOKE), _made(tmp_path, place="manylinux_2_28")]
    assert all(one != other for one in made for other in made if one is not other)
