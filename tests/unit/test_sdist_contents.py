"""An sdist holds what a wheel is built from, or there is none."""

from __future__ import annotations

import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from heard import Heard

from gpuwheel.errors import ConfigError
from gpuwheel.pipeline import Build

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"
[project]
name = "ops"
version = "1"
requires-python = ">=3.10"
dynamic = ["dependencies"]
[tool.gpuwheel.kernels.k]
sources = ["csrc/*.cu"]
include-dirs = ["include"{more}]
[tool.gpuwheel.extensions."ops._C"]
sources = ["csrc/*.cpp"]
kernels = ["k"]
{tables}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    project = tmp_path / "above" / "project"
    files = {
        "csrc/a.cu": '#include "a.cuh"\n#include "deep/b.h"\n#include <vector>\n#include "k.kernels.h"\n',
        "csrc/a.cuh": "",
        "csrc/ops.cpp": "",
        "include/deep/b.h": "",
        "ops/__init__.py": "",
    }
    for name, text in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text, encoding="utf-8")
    write(project)
    subprocess.run(["git", "init", "--quiet", project], check=True)  # noqa: S607, TID251 (a user's command)
    return project


def write(project: Path, more: str = "", tables: str = "") -> None:
    (project / "pyproject.toml").write_text(PROJECT.format(more=more, tables=tables), encoding="utf-8")


def sdist(root: Path, heard: Heard | None = None) -> list[str]:
    environ = {"GPUWHEEL_CACHE_DIR": str(root.parent / "cache"), "PATH": "/usr/bin"}
    out = root.parent / "out"
    out.mkdir(exist_ok=True)
    name = Build(root, environ, {}, heard or Heard()).sdist(out)
    with tarfile.open(out / name) as archive:
        return archive.getnames()


def test_what_is_there_is_held(root: Path) -> None:
    heard = Heard()
    assert {"ops-1/csrc/a.cu", "ops-1/csrc/a.cuh", "ops-1/include/deep/b.h"} <= set(sdist(root, heard))
    assert not [text for text in heard.warnings if "include-dirs" in text]


@pytest.mark.parametrize("ignored", ["csrc/a.cu", "csrc/a.cuh", "csrc/ops.cpp", "include/deep/b.h"])
def test_a_file_that_git_ignores_is_named_with_the_way_out(root: Path, ignored: str) -> None:
    (root / ".gitignore").write_text(f"/{ignored}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=f"{ignored} is not in the sdist") as caught:
        sdist(root)
    assert not list((root.parent / "out").iterdir())
    write(root, tables=f"[tool.scikit-build]\n{(caught.value.hint or '').partition(' in ')[0]}\n")
    assert f"ops-1/{ignored}" in sdist(root)


def test_a_file_that_the_project_excludes_too(root: Path) -> None:
    write(root, tables='[tool.scikit-build]\nsdist.exclude = ["include"]\n')
    with pytest.raises(ConfigError, match=r"include/deep/b\.h is not in the sdist"):
        sdist(root)


def test_several_are_counted(root: Path) -> None:
    (root / ".gitignore").write_text("/csrc\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"csrc/a\.cu and 2 more are not in the sdist"):
        sdist(root)


def test_a_header_outside_of_the_project_is_in_no_sdist(root: Path) -> None:
    (root.parent / "shared").mkdir()
    (root.parent / "shared" / "c.h").touch()
    (root / "csrc" / "a.cuh").write_text('#include "c.h"\n', encoding="utf-8")
    write(root, more=', "../shared"')
    with pytest.raises(ConfigError, match=r"\.\./shared/c\.h is in no sdist: outside of the project"):
        sdist(root)


def test_a_folder_of_this_machine_is_said(root: Path) -> None:
    heard = Heard()
    write(root, more=', "/usr/include"')
    assert sdist(root, heard)
    assert [text for text in heard.warnings if "include-dirs names /usr/include, a folder of this machine" in text]


def test_sources_that_are_not_there_are_told_when_the_sdist_is_made(root: Path) -> None:
    (root / "csrc" / "ops.cpp").unlink()
    with pytest.raises(ConfigError, match="matches no file"):
        sdist(root)
