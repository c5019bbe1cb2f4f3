"""Several builds in one cache, and somebody who damages or deletes it: the right bytes, or an error of ours."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel._cache import SEAL
from gpuwheel._run import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Project

pytestmark = [pytest.mark.compiler, pytest.mark.network]

# Without torch's headers: it is the cache that matters here, not what is compiled.
HOST = """\
#include "scale.h"
#include "tiny.kernels.h"
static const void* volatile kept;
__attribute__((constructor)) static void keep() { kept = &tiny::scale<float>; }
"""


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    project = make_project(**{"csrc/ops.cpp": HOST})
    project.replace("pyproject.toml", '["8.0", "9.0+PTX"]', '["8.0"]')
    return project


@pytest.fixture
def own_cache(project: Project, cache: Path, tmp_path: Path) -> Callable[[], Path]:
    """A cache of the test's own, with the downloads of the session's; nothing compiled is in it."""
    project.wheel(tmp_path / "first")

    def make() -> Path:
        own = tmp_path / "own-cache"
        shutil.rmtree(own, ignore_errors=True)
        for kind in ("sdk", "toolchains"):
            shutil.copytree(cache / "v1" / kind, own / "v1" / kind, symlinks=True, copy_function=os.link)
        return own

    return make


def _replace(path: Path, data: bytes) -> None:
    """Another file of the name; the session's cache has the old one too."""
    path.unlink()
    path.write_bytes(data)


def _empty(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()


def _damage(own: Path, what: str) -> list[Path]:
    """What was damaged: of libraries, those for every compiler that the tests of this session have used."""
    if what == "headers of gpuwheel":
        (headers,) = own.glob("v1/sdk/gpuwheel-*/gpuwheel/launch.h")
        _replace(headers, headers.read_bytes().replace(b"unsigned", b"signed  ", 1))
        return [headers]
    if what == "stub of torch":
        (stub,) = own.glob("v1/sdk/*/lib/x86_64/libtorch.so")
        _replace(stub, b"")
        return [stub]
    libraries = list(own.glob("v1/toolchains/stubs-*"))
    for folder in libraries:
        _empty(folder)
    return libraries


@pytest.mark.parametrize("what", ["headers of gpuwheel", "stub of torch", "libraries of an older system"])
def test_damage_reaches_no_wheel(
    project: Project, own_cache: Callable[[], Path], cache: Path, tmp_path: Path, what: str
) -> None:
    right = project.wheel(tmp_path / "right").read_bytes()
    own = own_cache()
    damaged = _damage(own, what)
    wheel = project.wheel(tmp_path / "wheel", GPUWHEEL_CACHE_DIR=str(own))
    assert wheel.read_bytes() == right
    (mended,) = [path for path in damaged if path.is_file() or any(path.iterdir())]
    whole = cache / mended.relative_to(own)
    if mended.is_file():
        assert mended.read_bytes() == whole.read_bytes()
    else:
        names = {path.name for path in whole.iterdir()}
        assert {path.name for path in mended.iterdir()} == names > {SEAL, "libc.so"}


def _start(project: Project, hook: str, out: Path, own: Path, settings: dict[str, str]) -> subprocess.Popen[str]:
    out.mkdir(parents=True, exist_ok=True)
    code = f"from gpuwheel import backend; backend.{hook}({str(out)!r}, {settings!r})"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=project.root,
        env={**os.environ, **project.environ, "GPUWHEEL_CACHE_DIR": str(own)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_six_builds_at_once(
    project: Project,
    make_project: Callable[..., Project],
    own_cache: Callable[[], Path],
    tmp_path: Path,
) -> None:
    other = make_project("other", **{"csrc/ops.cpp": HOST + "int other;\n"})
    other.replace("pyproject.toml", '["8.0", "9.0+PTX"]', '["8.0"]')
    own = own_cache()
    builds = [
        _start(one, "build_wheel", tmp_path / f"out-{number}", own, {})
        for number, one in enumerate([project, other] * 3)
    ]
    said = [build.communicate()[0] for build in builds]
    assert [build.returncode for build in builds] == [0] * 6, "\n".join(said)
    wheels = [next((tmp_path / f"out-{number}").glob("*.whl")).read_bytes() for number in range(6)]
    assert len(set(wheels[::2])) == 1
    assert len(set(wheels[1::2])) == 1
    assert [path for path in (own / "v1/tmp").iterdir() if path.is_dir()] == []


def test_an_editable_install_that_rebuilds_keeps_its_folder_beside_a_wheel(
    project: Project, own_cache: Callable[[], Path], tmp_path: Path
) -> None:
    right = project.wheel(tmp_path / "right").read_bytes()
    own = own_cache()
    settings = {"editable.rebuild": "true"}
    builds = [
        _start(project, "build_wheel", tmp_path / "wheel", own, {}),
        _start(project, "build_editable", tmp_path / "one", own, settings),
        _start(project, "build_editable", tmp_path / "two", own, settings),
    ]
    said = [build.communicate()[0] for build in builds]
    assert [build.returncode for build in builds] == [0] * 3, "\n".join(said)
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    assert wheel.read_bytes() == right
    for name in ("one", "two"):
        (editable,) = (tmp_path / name).glob("*.whl")
        with zipfile.ZipFile(editable) as archive:
            text = b"".join(archive.read(name) for name in archive.namelist() if name.endswith(".py")).decode()
        folder = next((word for word in re.split(r"['\"]", text) if word.startswith(str(own / "v1"))), None)
        assert folder is not None
        assert own / "v1/builds" in Path(folder).parents, "what a rebuild works in stays"
    (kept,) = (own / "v1/builds").glob("*/build/CMakeCache.txt")
    assert kept.is_file()


@pytest.mark.parametrize("delay", [0.6, 1.5, 3.0, 5.0])
def test_a_cache_that_is_deleted_in_mid_build(
    project: Project, own_cache: Callable[[], Path], tmp_path: Path, delay: float
) -> None:
    right = project.wheel(tmp_path / "right").read_bytes()
    own = own_cache()
    build = _start(project, "build_wheel", tmp_path / "out", own, {})
    timer = threading.Timer(delay, lambda: run(["rm", "-rf", own / "v1"], check=False))
    timer.start()
    said, _ = build.communicate()
    timer.join()
    wheels = list((tmp_path / "out").glob("*.whl"))
    if build.returncode == 0:
        assert [wheel.read_bytes() for wheel in wheels] == [right]
    else:
        assert "Traceback" not in said
        assert "error: the cache folder" in said
        assert "hint: build again" in said
        assert wheels == []
    assert project.wheel(tmp_path / "again", GPUWHEEL_CACHE_DIR=str(own)).read_bytes() == right


def _mounted(*options: str | Path) -> None:
    if run(["mount", *options], check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")


def test_a_warm_cache_that_may_only_be_read_serves(
    project: Project, own_cache: Callable[[], Path], tmp_path: Path
) -> None:
    own = own_cache()
    right = project.wheel(tmp_path / "right", GPUWHEEL_CACHE_DIR=str(own)).read_bytes()
    before = {path: path.lstat().st_mtime_ns for path in own.rglob("*")}
    _mounted("--bind", own, own)
    try:
        _mounted("-o", "remount,bind,ro", own)
        assert project.wheel(tmp_path / "wheel", GPUWHEEL_CACHE_DIR=str(own)).read_bytes() == right
        project.write("csrc/ops.cpp", HOST.replace("kept", "changed"))
        refused = project.hook("build_wheel", tmp_path / "right", GPUWHEEL_CACHE_DIR=str(own))
    finally:
        run(["umount", own])
    assert before == {path: path.lstat().st_mtime_ns for path in own.rglob("*")}
    assert refused.code in {0, 7}
    assert refused.code == 0 or "error: the cache folder" in refused.output


@pytest.fixture
def no_programs(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that starts no programs."""
    folder = tmp_path / "noexec"
    folder.mkdir()
    _mounted("-t", "tmpfs", "-o", "noexec,size=1g", "tmpfs", folder)
    yield folder
    run(["umount", folder])


def test_a_cache_that_starts_no_programs_is_named_before_anything_is_fetched(
    project: Project, no_programs: Path, tmp_path: Path
) -> None:
    environ = {"GPUWHEEL_CACHE_DIR": str(no_programs)}
    result = project.hook("build_wheel", tmp_path, **environ)
    assert result.code == 7
    words = "is on a file system that starts no programs (mounted noexec; the device compiler of CUDA 12.9 runs there)"
    assert f"error: the cache folder {no_programs} {words}" in result.output
    assert "downloading" not in result.output
    assert "CMake" not in result.output
