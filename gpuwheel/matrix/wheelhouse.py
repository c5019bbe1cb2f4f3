"""The folder that finished wheels go into, and what is beside them: a journal, logs, wheels that are not finished."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from packaging.version import Version

from gpuwheel._files import sha256_of, write_if_changed
from gpuwheel.errors import AuditError, FileError, PlanError
from gpuwheel.matrix.journal import Finished, Journal
from gpuwheel.wheel.naming import parse_wheel_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gpuwheel.matrix.executors import Made
    from gpuwheel.matrix.snapshot import Snapshot
    from gpuwheel.matrix.tasks import Task

__all__ = ["Wheelhouse", "journal_of"]

_HIDDEN, _IGNORED = ".gpuwheel", ".gitignore"
"""What `twine upload dist/*` and `pip install dist/*.whl` do not see."""


def journal_of(folder: Path) -> Path:
    """Where it is noted which wheels of a wheelhouse are finished."""
    return folder / _HIDDEN / "journal.jsonl"


class Wheelhouse:
    """Where one run puts its wheels."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which is made if it is not there.

        Raises:
            FileError: it cannot be written.
        """
        self.folder = folder
        self.hidden = folder / _HIDDEN
        self.journal = Journal(journal_of(folder))
        self._taken: dict[str, str] = {}
        try:
            (self.hidden / "logs").mkdir(parents=True, exist_ok=True)
            # As `uv build` does: in a project without a .gitignore of its own, the next sdist would hold all wheels.
            if not (folder / _IGNORED).exists():
                write_if_changed(folder / _IGNORED, b"*\n")
        except OSError as error:
            msg = f"wheels cannot be put into {folder} ({error.strerror}, expected a folder that can be written)"
            raise FileError(msg, hint="--out names another folder") from error

    def finished(self, tasks: Sequence[Task]) -> dict[str, Finished]:
        """By key: those tasks whose wheels are here, as an earlier run left them."""
        found = self.journal.finished({task.key: task.identifier for task in tasks}, self.folder)
        self._taken |= {one.wheel: one.identifier for one in found.values()}
        return found

    def log(self, task: Task) -> Path:
        """The file that holds what tools printed for a cell."""
        return self.hidden / "logs" / f"{task.identifier}.log"

    @contextmanager
    def staging(self, task: Task) -> Iterator[Path]:
        """An empty folder for a wheel that is not finished, on the disk of the finished ones."""
        folder = self.hidden / "unfinished" / task.identifier
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def check(self, made: Made, snapshot: Snapshot) -> None:
        """Hold a wheel to what its maker said of it, and to the version of the sources.

        Raises:
            AuditError: it is another file, or of another version.
        """
        with made.wheel.open("rb") as file:
            found = sha256_of(file)
        if found != made.sha256:
            msg = f"{made.wheel.name} is not as it was made (found sha256 {found}, expected {made.sha256})"
            raise AuditError(msg, hint="it was damaged on its way: build it again")
        version = Version(parse_wheel_name(made.wheel.name).version)
        if version.public != snapshot.version.public:
            msg = f"the version of the project changes between wheels (found {version}, expected {snapshot.version})"
            raise AuditError(msg, hint="state the version in pyproject.toml, or in a file that the sdist holds")

    def take(self, task: Task, made: Made, seconds: float) -> Finished:
        """Move a checked wheel to its place, and note it.

        Raises:
            PlanError: another cell of this run has a wheel of that name.
            OSError: it cannot be written.
        """
        name = made.wheel.name
        other = self._taken.setdefault(name, task.identifier)
        if other != task.identifier:
            msg = f"{task.identifier} and {other} would both be {name} (expected a name for each)"
            raise PlanError(msg, hint="build them into two folders, with --out")
        with made.wheel.open("rb") as file:
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
        made.wheel.replace(self.folder / name)
        finished = Finished(task.key, task.identifier, name, made.sha256, size, round(seconds, 2))
        self.journal.add(finished)
        return finished
