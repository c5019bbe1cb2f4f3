"""`gpuwheel dev`: what changed is compiled, and the result lies beside the sources."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest
from transcript import follow, read_steps

from gpuwheel._resources import resource

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Project

ROOT = Path(__file__).resolve().parents[3]
GPUWHEEL = Path(sys.executable).with_name("gpuwheel")
IGNORED = "*.so\n_kernels.json\ncompile_commands.json\n_kernels/\n"

pytestmark = [pytest.mark.compiler, pytest.mark.network]


def dev(project: Project, *options: str, code: int = 0) -> str:
    """What `gpuwheel dev` prints, on both streams."""
    done = subprocess.run(  # noqa: TID251 (a user's command)
        [GPUWHEEL, "dev", "--arch", "8.0", *options],
        cwd=project.root,
        env={**os.environ, **project.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


@pytest.fixture
def ready(project: Project) -> Project:
    """The small project, built once."""
    project.write(".gitignore", IGNORED)
    assert "built tiny_ops/_C.so" in dev(project)
    return project


def test_only_what_changed_is_compiled(ready: Project) -> None:
    library = ready.root / "tiny_ops" / "_C.so"
    first = library.read_bytes()
    assert "nothing changed" in dev(ready)

    ready.replace("csrc/fill.cu", "1.0f", f"{time.time_ns()}.0f")  # an image that no cache has
    log = dev(ready)
    assert "compiling 1 image" in log
    assert "Building CXX object" not in log
    assert "built tiny_ops/_C.so for 8.0" in log
    assert library.read_bytes() != first

    ready.replace("csrc/ops.cpp", "from[i]", "from[i + 0]")
    log = dev(ready)
    assert "compiling" not in log
    assert "Building CXX object" in log


def test_after_an_error_the_last_library_is_there(ready: Project) -> None:
    library = ready.root / "tiny_ops" / "_C.so"
    first = library.read_bytes()
    ready.replace("csrc/ops.cpp", "scale_cpu(const", "scaled_cpu(const")
    log = dev(ready, code=8)
    assert "csrc/ops.cpp" in log
    assert "was not declared" in log
    assert library.read_bytes() == first
    dev(ready, code=8)  # still an error: nothing was taken for built
    ready.replace("csrc/scale.cu", "out[i] =", "out[i] = oops")
    assert "oops" in dev(ready, code=8)
    assert library.read_bytes() == first
    ready.replace("csrc/scale.cu", "out[i] = oops", "out[i] =")
    ready.replace("csrc/ops.cpp", "scaled_cpu(const", "scale_cpu(const")
    assert "Traceback" not in dev(ready)
    assert library.read_bytes() == first


def test_what_somebody_deleted_comes_back_and_what_is_gone_goes(ready: Project) -> None:
    library = ready.root / "tiny_ops" / "_C.so"
    first = library.read_bytes()
    library.unlink()
    assert "built tiny_ops/_C.so" in dev(ready)
    assert library.read_bytes() == first
    ready.replace("pyproject.toml", "tiny_ops._C", "tiny_ops._D")
    assert "built tiny_ops/_D.so" in dev(ready)
    assert not library.exists()


def test_the_document_is_all_of_standard_output(project: Project) -> None:
    project.write(".gitignore", IGNORED)
    done = subprocess.run(  # noqa: TID251 (a user's command)
        [GPUWHEEL, "dev", "--json", "--arch", "8.0"],
        cwd=project.root,
        env={**os.environ, **project.environ},
        capture_output=True,
        text=True,
        check=True,
    )
    document = json.loads(done.stdout)
    jsonschema.validate(document, json.loads(resource("data", "dev.schema.json").read_bytes()))
    assert document["archs"] == ["8.0"]
    assert document["files"] == document["changed"] == ["tiny_ops/_C.so", "tiny_ops/_kernels.json"]
    commands = json.loads((project.root / "compile_commands.json").read_bytes())
    assert str(project.root / "csrc" / "ops.cpp") in {command["file"] for command in commands}


def test_variables_and_settings_are_not_mixed(ready: Project) -> None:
    """Ninja does not see them: the folder is configured anew."""
    project = type(ready)(ready.root, {**ready.environ, "CXXFLAGS": "-DEXTRA=1"})
    assert "Building CXX object" in dev(project)
    assert "nothing changed" in dev(project)
    assert "Building CXX object" in dev(ready)
    assert "Building CXX object" in dev(ready, "-C", "cmake.build-type=Debug")


def test_the_package_is_imported_as_an_editable_install_sees_it(ready: Project, tmp_path: Path) -> None:
    """One install; after it, `dev` alone changes what is imported."""
    ready.write("tiny_ops/__init__.py", "")
    built = ready.hook("build_editable", tmp_path, {"gpuwheel.archs": "8.0"})
    assert built.code == 0, built.output
    shutil.unpack_archive(tmp_path / built.value, tmp_path / "site", "zip")
    ready.replace("csrc/fill.cu", "1.0f", "3.0f")
    dev(ready)
    code = f"import site; site.addsitedir({str(tmp_path / 'site')!r})\nimport importlib.util, tiny_ops\n"
    code += "print(importlib.util.find_spec('tiny_ops._C').origin)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)  # noqa: TID251
    assert done.stdout.strip() == str(ready.root / "tiny_ops" / "_C.so")


def test_mode_kernels(make_project: Callable[..., Project]) -> None:
    project = make_project()
    project.write(".gitignore", IGNORED)
    project.replace(
        "pyproject.toml",
        '[tool.gpuwheel.extensions."tiny_ops._C"]\nsources = ["csrc/*.cpp"]\n',
        '[tool.gpuwheel.extensions."tiny_ops._kernels"]\nmode = "kernels"\n',
    )
    assert "built tiny_ops/_kernels.json, tiny_ops/_kernels/__init__.py" in dev(project)
    assert "nothing changed" in dev(project)
    project.replace("csrc/fill.cu", "1.0f", "2.0f")
    assert "built tiny_ops/_kernels/tiny.fatbin" in dev(project)


def test_watching_ends_with_ctrl_c(ready: Project) -> None:
    words = [GPUWHEEL, "dev", "--watch", "--json", "--arch", "8.0"]
    environ = {**os.environ, **ready.environ}
    with subprocess.Popen(words, cwd=ready.root, env=environ, stdout=subprocess.PIPE, text=True) as watching:
        try:
            assert watching.stdout is not None
            assert json.loads(watching.stdout.readline())["changed"] == []
            ready.replace("csrc/ops.cpp", "tiny::scaled(from[i],", "1.0f + tiny::scaled(from[i],")
            assert json.loads(watching.stdout.readline())["changed"] == ["tiny_ops/_C.so"]
            watching.send_signal(signal.SIGINT)
            assert watching.wait(20) == 130
        finally:
            watching.kill()


def test_the_page_is_right(tmp_path: Path, fresh_cache: Path) -> None:
    shutil.copytree(ROOT / "docs" / "tutorial" / "first-wheel", tmp_path / "first-wheel")
    page = (ROOT / "docs" / "how-to" / "edit-loop.md").read_text(encoding="utf-8")
    path = f"{GPUWHEEL.parent}:{os.environ['PATH']}"
    follow(
        read_steps(page), tmp_path / "first-wheel", {**os.environ, "GPUWHEEL_CACHE_DIR": str(fresh_cache), "PATH": path}
    )
