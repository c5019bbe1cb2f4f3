"""Compiled files beside sources: where they go, and what they never replace."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gpuwheel.errors import ConfigError
from gpuwheel.model.reporter import SilentReporter
from gpuwheel.pipeline import Build
from gpuwheel.pipeline.in_place import Places, divide, search_folders, stubs_of, write_members
from gpuwheel.wheel import Member

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"
[project]
name = "{name}"
version = "1"
requires-python = ">=3.10"
dynamic = ["dependencies", "optional-dependencies"]
[tool.gpuwheel]
nvmath = ">=1.0"
"""


def members(**files: str) -> dict[str, Member]:
    named = {name.replace("__", "/").replace("_dot_", "."): text for name, text in files.items()}
    return {name: Member(name, text.encode()) for name, text in named.items()}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "src" / "ops").mkdir(parents=True)
    (tmp_path / "src" / "ops" / "init.py").write_text("own", encoding="utf-8")
    return tmp_path


def test_the_folders_of_packages_are_read_from_the_pth_file(tmp_path: Path) -> None:
    lines = f"import _editable_skbc_ops\n# a comment\n{tmp_path}/src\n{tmp_path}/src\n"
    assert search_folders({"x.pth": Member("x.pth", lines.encode())}) == (tmp_path / "src",)


def test_what_is_compiled_goes_beside_its_package_and_metadata_stay(package: Path) -> None:
    places = Places(package, (package / "src",))
    bare = members(**{"ops-1.dist-info/WHEEL": "bare"})
    built = members(
        **{"ops-1.dist-info/WHEEL": "full", "ops/init.py": "own", "ops/_C.so": "elf", "ops-1.data/scripts/x": "x"}
    )
    parts = divide(built, bare, places)
    assert parts is not None
    assert {member.name: member.data for member in parts.wheel} == {
        "ops-1.dist-info/WHEEL": b"bare",
        "ops-1.data/scripts/x": b"x",
    }
    assert {path.name: member.data for path, member in parts.sources.items()} == {"_C.so": b"elf", "init.py": b"own"}
    assert write_members(parts.sources, ours=(), root=package) == [package / "src" / "ops" / "_C.so"]


def test_a_generated_package_has_the_stub_of_the_project(package: Path) -> None:
    launcher = package / "src" / "ops" / "_kernels" / "__init__.py"
    assert stubs_of([launcher]) == {}
    (package / "src" / "ops" / "_kernels.pyi").write_text("x: int\n", encoding="utf-8")
    ((stub, member),) = stubs_of([launcher, package / "src" / "ops" / "__init__.py"]).items()
    assert stub == launcher.with_suffix(".pyi")
    assert member.data == b"x: int\n"


def test_a_package_without_a_folder_of_its_name_has_no_place(package: Path) -> None:
    assert divide(members(**{"other/_C.so": "elf"}), {}, Places(package, (package / "src",))) is None


def test_a_file_of_the_project_is_never_replaced(package: Path) -> None:
    own = package / "src" / "ops" / "init.py"
    with pytest.raises(ConfigError, match="is a file of the project"):
        write_members({own: Member("ops/init.py", b"generated")}, ours=(), root=package)
    assert own.read_text(encoding="utf-8") == "own"


def test_products_are_replaced_where_they_differ(package: Path) -> None:
    library = package / "src" / "ops" / "_C.so"
    files = {library: Member("ops/_C.so", b"elf", executable=True)}
    assert write_members(files, ours=(library,), root=package) == [library]
    assert os.access(library, os.X_OK)
    assert write_members(files, ours=(library,), root=package) == []
    newer = {library: Member("ops/_C.so", b"newer")}
    assert write_members(newer, ours=(library,), root=package) == [library]


def test_the_current_folder_has_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The inner backend works in the current folder: it is another project's here, and stays the current one."""
    for name in ("first", "second"):
        package = tmp_path / name / "src" / name
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (tmp_path / name / "pyproject.toml").write_text(PROJECT.format(name=name), encoding="utf-8")
    monkeypatch.chdir(tmp_path / "second")
    build = Build(tmp_path / "first", {"GPUWHEEL_CACHE_DIR": str(tmp_path / "cache")}, {}, SilentReporter())
    out = tmp_path / "out"
    out.mkdir()
    assert build.sdist(out).startswith("first-")
    assert build.prepare(out, editable=False).startswith("first-")
    assert build.wheel(out).startswith("first-")
    assert os.getcwd() == str(tmp_path / "second")  # noqa: PTH109 (what programs ask)
