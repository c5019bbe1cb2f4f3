"""A project whose operators call nvmath-python from Python: nothing is compiled, by whatever frontend."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from email.parser import BytesParser
from pathlib import Path

import pytest

from gpuwheel import backend
from gpuwheel._run import run
from gpuwheel.audit import audit_wheel
from gpuwheel.compatibility import load_tables
from gpuwheel.wheel import read_members

ROOT = Path(__file__).resolve().parents[3]
EXTRAS = [
    "torch>=2.10",
    'nvmath-python[cu12]>=1.0; extra == "cu12"',
    'nvmath-python[cu13]>=1.0; extra == "cu13"',
    'pytest>=8; extra == "test"',
]


@pytest.fixture
def pure(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder."""
    file = project / "pyproject.toml"
    extension = '[tool.gpuwheel.extensions."epilogs._C"]\nsources = ["*.cpp"]\n'
    file.write_text(file.read_text(encoding="utf-8").replace(extension, ""), encoding="utf-8")
    (project / "ops.cpp").unlink()
    package = project / "src/epilogs/__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text("ANSWER = 42\n", encoding="utf-8")
    monkeypatch.chdir(project)
    return project


def requirements(metadata: bytes) -> list[str]:
    return BytesParser().parsebytes(metadata).get_all("Requires-Dist", [])


@pytest.mark.end_to_end
def test_the_wheel_is_python_alone_and_keeps_its_claims(pure: Path, tmp_path: Path) -> None:
    name = backend.build_wheel(str(tmp_path))
    assert name == "epilogs-1.0-py3-none-any.whl"
    members = read_members(tmp_path / name)
    assert set(members) - {f"epilogs-1.0.dist-info/{file}" for file in ("METADATA", "WHEEL", "RECORD")} == {
        "epilogs/__init__.py",
        "epilogs-1.0.dist-info/sboms/gpuwheel.cdx.json",
    }
    assert requirements(members["epilogs-1.0.dist-info/METADATA"].data) == EXTRAS
    assert audit_wheel(tmp_path / name, load_tables()) == ()
    backend.build_sdist(str(tmp_path))
    with tarfile.open(tmp_path / "epilogs-1.0.tar.gz") as archive:
        info = archive.extractfile("epilogs-1.0/PKG-INFO")
        assert info is not None
        assert requirements(info.read()) == EXTRAS
    assert pure.is_dir()


@pytest.mark.usefixtures("pure")
def test_no_tool_is_asked_for() -> None:
    assert backend.get_requires_for_build_wheel() == []
    assert backend.get_requires_for_build_editable() == []


@pytest.mark.network
def test_an_isolated_build_needs_no_program_of_the_machine(pure: Path, tmp_path: Path) -> None:
    """CMake above all: the environment has none, for nothing asks for it."""
    links, empty = tmp_path / "links", tmp_path / "empty"
    empty.mkdir()
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    run([*words, "--wheel-dir", links, ROOT])
    run([*words, "--wheel-dir", tmp_path / "out", "--find-links", links, pure], env={**os.environ, "PATH": str(empty)})
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["epilogs-1.0-py3-none-any.whl"]


def test_an_editable_install_follows_the_sources(pure: Path, tmp_path: Path) -> None:
    name = backend.build_editable(str(tmp_path))
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(tmp_path / "site")]
    subprocess.run([*install, str(tmp_path / name)], check=True, capture_output=True)  # noqa: TID251 (a user's frontend)
    (pure / "src/epilogs/__init__.py").write_text("ANSWER = 43\n", encoding="utf-8")
    program = f"import site; site.addsitedir({str(tmp_path / 'site')!r}); import epilogs; print(epilogs.ANSWER)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)  # noqa: TID251 (a user's program)
    assert done.stdout == "43\n"


@pytest.mark.usefixtures("pure")
def test_a_local_version_is_in_the_wheel_and_its_metadata_and_never_in_an_sdist(tmp_path: Path) -> None:
    settings: dict[str, str | list[str]] = {"gpuwheel.local": "Torch2.14-cu13.0"}
    info = "epilogs-1.0+torch2.14.cu13.0.dist-info"
    prepared = [backend.prepare_metadata_for_build_wheel(str(tmp_path), settings)]
    metadata = (tmp_path / info / "METADATA").read_bytes()
    assert b"\nVersion: 1.0+torch2.14.cu13.0\n" in metadata
    name = backend.build_wheel(str(tmp_path), settings)
    assert name == "epilogs-1.0+torch2.14.cu13.0-py3-none-any.whl"
    found = read_members(tmp_path / name)
    assert found[f"{info}/METADATA"].data == metadata
    assert {member.partition("/")[0] for member in found} == {"epilogs", info}
    assert audit_wheel(tmp_path / name, load_tables()) == ()
    editable = tmp_path / "editable"
    editable.mkdir()
    prepared.append(backend.prepare_metadata_for_build_editable(str(editable), settings))
    assert prepared == [info, info]
    assert backend.build_editable(str(editable), settings).startswith("epilogs-1.0+torch2.14.cu13.0-")
    assert backend.build_sdist(str(tmp_path), settings) == "epilogs-1.0.tar.gz"
    with tarfile.open(tmp_path / "epilogs-1.0.tar.gz") as archive:
        member = archive.extractfile("epilogs-1.0/PKG-INFO")
        assert member is not None
        assert b"\nVersion: 1.0\n" in member.read()
