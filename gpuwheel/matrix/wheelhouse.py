"""The folder that finished wheels go into, and what is beside them: a journal, logs, wheels that are not finished."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import Version

from gpuwheel._files import atomic_file, held_folder, sha256_of, write_if_changed
from gpuwheel.errors import AuditError, FileError, PlanError
from gpuwheel.matrix.journal import Finished, Journal
from gpuwheel.wheel.naming import parse_wheel_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpuwheel.matrix.executors import Made
    from gpuwheel.matrix.snapshot import Snapshot
    from gpuwheel.matrix.tasks import Task

__all__ = ["Wheelhouse", "journal_of"]

_HIDDEN, _IGNORED = ".gpuwheel", ".gitignore"
"""What `twine upload dist/*` and `pip install dist/*.whl` do not see."""
_BUILT = (".whl", ".tar.gz")
_BLOCK = 1 << 20
_DAY = 86400.0  # seconds


def journal_of(folder: Path) -> Path:
    """Where it is noted which wheels of a wheelhouse are finished."""
    return folder / _HIDDEN / "journal.jsonl"


class Wheelhouse:
    """Where one run puts its wheels."""

    def __init__(self, folder: Path, project: Path | None = None) -> None:
        """Use `folder`, which is made if it is not there.

        Args:
            folder: of the wheels.
            project: whose wheels they are.

        Raises:
            FileError: it cannot be written, or is the project itself.
        """
        if project is not None and folder.resolve() == project.resolve():
            msg = f"wheels cannot be put into {folder}, beside the sources (the next sdist would hold them)"
            raise FileError(msg, hint="--out dist, or a folder outside of the project")
        self.folder = folder
        self.hidden = folder / _HIDDEN
        self.journal = Journal(journal_of(folder))
        self._taken: dict[str, str] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # As `uv build` does: in a project without a .gitignore of its own, the next sdist would hold all wheels.
            # Only where nothing else is: git would no longer see what people add.
            if all(path.name.endswith(_BUILT) for path in folder.iterdir()):
                write_if_changed(folder / _IGNORED, b"*\n")
            (self.hidden / "logs").mkdir(parents=True, exist_ok=True)
            self._tidy()
        except OSError as error:
            msg = f"wheels cannot be put into {folder} ({error.strerror}, expected a folder that can be written)"
            raise FileError(msg, hint="--out names another folder") from error

    def _tidy(self) -> None:
        """Remove what runs that were killed left, and no other run is working on."""
        place = self.hidden / "unfinished"
        if not place.is_dir():
            return
        with held_folder(place):
            for left in place.iterdir():
                with suppress(OSError), held_folder(left, wait=False) as is_nobodys:
                    # The day is for file systems without locks.
                    if is_nobodys or left.stat().st_mtime < time.time() - _DAY:
                        shutil.rmtree(left, ignore_errors=True)

    def finished(self, tasks: Sequence[Task]) -> dict[str, Finished]:
        """By key: those tasks whose wheels are here, as an earlier run left them."""
        found = self.journal.finished({task.key: task.identifier for task in tasks}, self.folder)
        self._taken |= {one.wheel: one.identifier for one in found.values()}
        return found

    def log(self, task: Task) -> Path:
        """The file that holds what tools printed for a cell."""
        return self.hidden / "logs" / f"{task.identifier}.log"

    def keep(self, sdist: Path) -> None:
        """Put the sdist beside the wheels that are built from it.

        Raises:
            OSError: it cannot be written.
        """
        with sdist.open("rb") as source, atomic_file(self.folder / sdist.name) as file:
            while block := source.read(_BLOCK):
                file.write(block)

    @contextmanager
    def staging(self, task: Task) -> Iterator[Path]:
        """An empty folder for a wheel that is not finished, on the disk of the finished ones.

        It is this process's own: another run may build into the same wheelhouse.
        """
        place = self.hidden / "unfinished"
        place.mkdir(exist_ok=True)
        with ExitStack() as stack:
            with held_folder(place):  # until it is held itself, it looks like that of a run that was killed
                folder = Path(tempfile.mkdtemp(prefix=f"{task.identifier}-", dir=place))
                stack.callback(shutil.rmtree, folder, ignore_errors=True)
                stack.enter_context(held_folder(folder))
            yield folder

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
