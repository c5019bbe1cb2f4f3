"""Existing CUDA projects of different kinds, each with nothing but a `pyproject.toml` added."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from email.parser import BytesParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cmake_looks import cmake_may_look_for_debians_toolkit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from email.message import Message
    from typing import Protocol

    class SystemCuda(Protocol):
        """What the fixture `no_system_cuda` gives."""

        log: Path


__all__ = ["cmake_may_look_for_debians_toolkit"]

PROJECTS = Path(__file__).resolve().parent / "projects"


@dataclass(frozen=True)
class Result:
    """How a program ended."""

    code: int
    output: str


def run(*words: str | Path, cwd: Path, **environ: str) -> Result:
    """Run a program as a user would."""
    done = subprocess.run(  # noqa: TID251 (a user's program, not gpuwheel's)
        words,
        cwd=cwd,
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Result(done.returncode, done.stdout)


@dataclass(frozen=True)
class Wheel:
    """A built wheel, unpacked beside itself."""

    path: Path
    root: Path

    @property
    def tag(self) -> str:
        """The last three parts of the name."""
        return "-".join(self.path.stem.split("-")[-3:])

    @property
    def metadata(self) -> Message:
        """METADATA."""
        (file,) = self.root.glob("*.dist-info/METADATA")
        return BytesParser().parsebytes(file.read_bytes())

    @property
    def requirements(self) -> list[str]:
        """Requires-Dist."""
        return self.metadata.get_all("Requires-Dist", [])

    def python(self, code: str) -> Result:
        """Run Python beside the wheel's packages."""
        return run(sys.executable, "-c", code, cwd=self.root)


@dataclass(frozen=True)
class Project:
    """A copy of one of the projects."""

    root: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    def replace(self, path: str, old: str, new: str) -> None:
        """Change a file."""
        text = (self.root / path).read_text(encoding="utf-8")
        assert old in text
        (self.root / path).write_text(text.replace(old, new), encoding="utf-8")

    def build(self, out: Path, settings: Mapping[str, str] | None = None, **environ: str) -> Result:
        """Call the hook as a frontend does: its own process, the project's folder."""
        out.mkdir(parents=True, exist_ok=True)
        code = f"from gpuwheel import backend; backend.build_wheel({str(out)!r}, {dict(settings or {})!r})"
        return run(sys.executable, "-c", code, cwd=self.root, **{**self.environ, **environ})

    def wheel(self, out: Path, settings: Mapping[str, str] | None = None, **environ: str) -> Wheel:
        """Build a wheel, which must succeed."""
        result = self.build(out, settings, **environ)
        assert result.code == 0, result.output
        (path,) = out.glob("*.whl")
        with zipfile.ZipFile(path) as archive:
            archive.extractall(out / "root")
        return Wheel(path, out / "root")


@pytest.fixture
def project(tmp_path: Path, cache: Path) -> Callable[[str], Project]:
    """Copy a project into a folder of its own."""

    def copy(name: str) -> Project:
        shutil.copytree(PROJECTS / name, tmp_path / "project" / name)
        return Project(tmp_path / "project" / name, {"GPUWHEEL_CACHE_DIR": str(cache)})

    return copy


@pytest.fixture
def project_at(cache: Path) -> Callable[[Path], Project]:
    """A project that a test wrote."""
    return lambda root: Project(root, {"GPUWHEEL_CACHE_DIR": str(cache)})
