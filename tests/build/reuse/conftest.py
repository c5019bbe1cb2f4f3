"""A project as small as they come, whose library says what it was compiled from, and its builds with one cache."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PYPROJECT = """\
[build-system]
requires = ["gpuwheel"]
build-backend = "gpuwheel.backend"

[project]
name = "told"
version = "1.0"
requires-python = ">=3.10"
dynamic = ["dependencies"]

[tool.gpuwheel]
torch = ">=2.10"
archs = ["8.0"]

[tool.gpuwheel.extensions."told._C"]
sources = ["csrc/*.cpp"]
"""
# Without torch's headers: it is what is kept that matters here, not what is compiled.
SOURCE = """\
#include "told.h"
static const char text[] = "told:" TOLD ";";
static const void* volatile kept;
__attribute__((constructor)) static void keep() { kept = text; }
"""


@dataclass(frozen=True)
class Built:
    """One build."""

    log: str
    library: bytes

    @property
    def told(self) -> str:
        """What the library was compiled from."""
        assert self.library.count(b"told:") == 1
        return self.library.partition(b"told:")[2].partition(b";")[0].decode()

    @property
    def compiled(self) -> bool:
        return "compiling host code" in self.log

    @property
    def linked(self) -> bool:
        return self.compiled or "linking host code" in self.log


@dataclass
class Project:
    """A project on disk, and the cache that its builds share."""

    root: Path
    cache: Path
    environ: dict[str, str] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=count)

    def write(self, path: str, text: str) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        return target

    def tell(self, word: str, path: str = "csrc/told.h") -> Path:
        """Write a header that says `word`."""
        return self.write(path, f'#define TOLD "{word}"\n')

    def configure(self, *lines: str) -> None:
        """Add lines to the extension."""
        self.write("pyproject.toml", PYPROJECT + "\n".join(lines) + "\n")

    def build(self, settings: dict[str, str] | None = None, **environ: str) -> Built:
        """Build a wheel as a frontend does, which must succeed."""
        out = self.root.parent / f"out-{next(self._numbers)}"
        out.mkdir()
        code = f"from gpuwheel import backend; backend.build_wheel({str(out)!r}, {settings or {}!r})"
        done = subprocess.run(  # noqa: TID251 (a frontend, not gpuwheel)
            [sys.executable, "-c", code],
            cwd=self.root,
            env={**os.environ, "GPUWHEEL_CACHE_DIR": str(self.cache), **self.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        (wheel,) = out.glob("*.whl")
        return Built(done.stdout, zipfile.ZipFile(io.BytesIO(wheel.read_bytes())).read("told/_C.so"))


@pytest.fixture
def project(tmp_path: Path, cache: Path) -> Project:
    """The project, in no other test's folder, so that nothing of another's is found."""
    made = Project(tmp_path / "project", cache)
    made.configure()
    made.write("csrc/told.cpp", f'static_assert(true, "{tmp_path}");\n{SOURCE}')
    made.write("told/__init__.py", "")
    made.tell("one")
    return made


@pytest.fixture
def archive(tmp_path: Path) -> str:
    """A program that makes an archive of an object that says a word: `archive FILE WORD`."""
    script = tmp_path / "archive"
    script.write_text(
        "#!/bin/sh\nset -e\ncd $(mktemp -d)\n"
        'echo "static const char text[] = \\"value:$2;\\"; static const void* volatile kept;" > v.cpp\n'
        'echo "__attribute__((constructor)) static void keep() { kept = text; }" >> v.cpp\n'
        f"{shutil.which('c++')} -fPIC -c v.cpp\nrm -f $1\nar rcsD $1 v.o\n",
        encoding="utf-8",
    )
    script.chmod(0o755)
    return str(script)
