"""The tutorial's project, locked and fetched once."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpuwheel._run import Completed, run
from gpuwheel.lock.file import LOCK_FILE

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class LockedProject:
    """A project with its lock file, in a folder of its own."""

    root: Path

    @property
    def lock(self) -> Path:
        return self.root / LOCK_FILE

    def copy(self, target: Path) -> LockedProject:
        """The same project, to change it."""
        return LockedProject(Path(shutil.copytree(self.root, target)))

    def edit(self, old: str, new: str) -> None:
        text = self.lock.read_text(encoding="utf-8")
        assert old in text
        self.lock.write_text(text.replace(old, new, 1), encoding="utf-8")

    def gpuwheel(self, command: str, *options: str, **environ: str) -> Completed:
        """Run a command on the project."""
        words = [sys.executable, "-m", "gpuwheel", command, self.root, *options]
        return run(words, env={**os.environ, **environ}, check=False)

    def hook(self, call: str, before: Sequence[str] = (), **environ: str) -> Completed:
        """Call a PEP 517 hook as a frontend does: `call` is what follows `backend.`."""
        words = [*before, sys.executable, "-c", f"from gpuwheel import backend; print(backend.{call})"]
        return run(words, cwd=self.root, env={**os.environ, **environ}, check=False)


@pytest.fixture(scope="session")
def locked_project(tmp_path_factory: pytest.TempPathFactory) -> LockedProject:
    """With everything its build downloads in the user's cache."""
    root = tmp_path_factory.mktemp("locked") / "first-wheel"
    project = LockedProject(Path(shutil.copytree(ROOT / "docs/tutorial/first-wheel", root)))
    for command in ("lock", "fetch"):
        done = project.gpuwheel(command)
        assert done.returncode == 0, done.output
    return project
