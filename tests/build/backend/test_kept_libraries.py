"""Host code that did not change is not compiled again, whatever folder the build runs in; all else is."""

from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Project

pytestmark = [pytest.mark.compiler, pytest.mark.network]

COMPILING, LINKING, KEPT = "compiling host code", "linking host code", "libraries are taken from the cache"
# Without torch's headers: it is the keys that matter here, not what is compiled.
HOST = """\
#include <outside.h>
#include "scale.h"
#include "tiny.kernels.h"
static const void* volatile kept[2];
static const char text[] = "first";
__attribute__((constructor)) static void keep() { kept[0] = &tiny::scale<float>, kept[1] = text; }
"""


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., tuple[str, bytes]]:
    """Build the project of a name, and say what the log said and what the wheel is."""
    numbers = iter(range(100))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "outside.h").write_text("#define OUTSIDE 1\n", encoding="utf-8")

    def run(project: Project, settings: dict[str, str] | None = None, **environ: str) -> tuple[str, bytes]:
        out = tmp_path / f"out-{next(numbers)}"
        out.mkdir()
        result = project.hook("build_wheel", out, settings or {}, CPLUS_INCLUDE_PATH=str(outside), **environ)
        assert result.code == 0, result.output
        (wheel,) = out.iterdir()
        return result.output, wheel.read_bytes()

    return run


def test_the_second_build_compiles_nothing_and_gives_the_same_file(
    make_project: Callable[..., Project], build: Callable[..., tuple[str, bytes]], tmp_path: Path
) -> None:
    project = make_project("one", **{"csrc/ops.cpp": HOST.replace("first", str(tmp_path))})
    log, first = build(project)
    assert COMPILING in log
    for again in (project, make_project("elsewhere/two", **{"csrc/ops.cpp": HOST.replace("first", str(tmp_path))})):
        log, second = build(again)
        assert KEPT in log
        assert COMPILING not in log
        assert second == first


def test_whatever_changes_is_compiled(
    make_project: Callable[..., Project], build: Callable[..., tuple[str, bytes]], tmp_path: Path
) -> None:
    project = make_project(**{"csrc/ops.cpp": HOST.replace("first", str(tmp_path))})
    build(project)

    def change(path: str, old: str, new: str) -> Callable[[], None]:
        return lambda: project.replace(path, old, new)

    outside = tmp_path / "outside" / "outside.h"
    changes = {
        "a source": change("csrc/ops.cpp", "= text;", "= text + 1;"),
        "a header of the project": change("csrc/scale.h", "x * factor", "factor * x"),
        "a header that the compiler found by itself": lambda: outside.write_text("#define OUTSIDE 22\n"),
        "an option": change("pyproject.toml", 'sources = ["csrc/*.cpp"]', 'sources = ["csrc/*.cpp"]\nflags = ["-O1"]'),
    }
    for what, apply in changes.items():
        apply()
        assert COMPILING in build(project)[0], f"{what} changed"
    assert KEPT in build(project)[0]
    assert COMPILING in build(project, CXXFLAGS="-O1")[0]


def test_objects_are_linked_again_where_only_a_kernel_changed(
    make_project: Callable[..., Project], build: Callable[..., tuple[str, bytes]], tmp_path: Path
) -> None:
    project = make_project(**{"csrc/ops.cpp": HOST.replace("first", str(tmp_path))})
    build(project)
    project.replace("csrc/fill.cu", "1.0f", "2.0f")
    log, wheel = build(project)
    assert LINKING in log
    assert COMPILING not in log
    assert KEPT in build(project)[0]
    # The same file as one that was compiled whole.
    assert build(project, {"build-dir": str(tmp_path / "kept")})[1] == wheel


def test_settings_that_no_key_covers_compile_every_time(
    project: Project, build: Callable[..., tuple[str, bytes]], tmp_path: Path
) -> None:
    project.write("csrc/ops.cpp", HOST)
    for _ in range(2):
        assert COMPILING in build(project, {"cmake.args": "-DTHIS=1"})[0]
    folder = {"build-dir": str(tmp_path / "kept")}
    build(project, folder, CMAKE_ARGS="-DTHIS=1")
    assert COMPILING in build(project, folder)[0]  # by Ninja, which finds nothing to do
    assert json.loads((tmp_path / "kept" / "compile_commands.json").read_text(encoding="utf-8"))


def test_a_library_in_no_package_keeps_its_manifest_out_of_what_others_share(
    project: Project, build: Callable[..., tuple[str, bytes]]
) -> None:
    project.write("csrc/ops.cpp", HOST)
    project.replace("pyproject.toml", "tiny_ops._C", "tiny_C")
    (_, first), (log, second) = build(project), build(project)
    assert KEPT in log
    assert second == first
    names = zipfile.ZipFile(io.BytesIO(first)).namelist()
    assert "tiny_C.so" in names
    assert [name for name in names if name.endswith("_kernels.json")] == ["tiny_ops-1.2.3.dist-info/_kernels.json"]


STARTS = """
import collections, os, sys
started = collections.Counter()
def hook(event, arguments):
    if event == "subprocess.Popen":
        started[os.path.basename(os.fsdecode(arguments[0]))] += 1
sys.addaudithook(hook)
from gpuwheel import backend
backend.build_wheel({out!r})
print("STARTED", dict(started))
"""


def test_without_changes_each_compiler_is_started_once_at_most(project: Project, tmp_path: Path) -> None:
    project.wheel(tmp_path)
    done = subprocess.run(  # noqa: TID251 (a frontend, not gpuwheel)
        [sys.executable, "-c", STARTS.format(out=str(tmp_path))],
        cwd=project.root,
        env={**os.environ, **project.environ},
        capture_output=True,
        text=True,
        check=True,
    )
    started = ast.literal_eval(done.stdout.rpartition("STARTED ")[2])
    assert max(started.values(), default=0) <= 1, started
