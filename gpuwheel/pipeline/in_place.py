"""Compiled files beside the sources of the packages that they belong to: for editable installs and `gpuwheel dev`.

There a package finds them as it does in a wheel, by import and by `Path(__file__).parent`, in the project's folder and
from an editable install, and what is built anew is seen by both.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gpuwheel._files import atomic_file
from gpuwheel._run import ProcessFailedError, run
from gpuwheel.errors import ConfigError
from gpuwheel.wheel import Member

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gpuwheel.pipeline.session import Session

__all__ = ["EditableParts", "Places", "divide", "search_folders", "stubs_of", "tell_git", "write_members"]


@dataclass(frozen=True)
class Places:
    """Where the files of a wheel lie in the project."""

    root: Path
    folders: tuple[Path, ...]
    """What an editable install puts on `sys.path`: the folders that hold the packages."""

    def of(self, name: str) -> Path | None:
        """Where the member `name` of a wheel goes; `None`: its package is in none of the folders, or not writable."""
        top, _, inside = name.partition("/")
        if not inside:  # a module in no package
            return (self.folders[0] if self.folders else self.root) / name
        held = (folder for folder in self.folders if (folder / top).is_dir() and os.access(folder / top, os.W_OK))
        return next((folder / name for folder in held), None)


@dataclass(frozen=True)
class EditableParts:
    """A wheel's files, divided."""

    wheel: tuple[Member, ...]
    """What the editable wheel holds."""
    sources: Mapping[Path, Member]
    """What goes beside the sources."""


def search_folders(members: Mapping[str, Member]) -> tuple[Path, ...]:
    """What an editable wheel adds to `sys.path` (the `.pth` files of `site`)."""
    # `site` reads .pth files at the top of site-packages alone, and runs lines that begin with "import" (Python's
    # docs, `site`).
    lines = (
        line
        for name, member in members.items()
        if name.endswith(".pth") and "/" not in name
        for line in member.data.decode().splitlines()
    )
    return tuple(dict.fromkeys(Path(line) for line in lines if line and not line.startswith(("import ", "#"))))


def divide(built: Mapping[str, Member], editable: Mapping[str, Member], places: Places) -> EditableParts | None:
    """The files of `built`, a whole wheel, that `editable`, one without compiled files, lacks.

    `None` where a package lies in no folder of its name, or may not be written to: then they have to be in the wheel.

    Raises:
        ConfigError: one of them would replace a file of the project's.
    """
    beside: dict[Path, Member] = {}
    inside = dict(editable)
    for name, member in built.items():
        if name in editable:
            continue
        # Installers move these elsewhere (binary distribution format): beside the sources they would mean nothing.
        if name.partition("/")[0].endswith((".dist-info", ".data")):
            inside[name] = member
            continue
        target = places.of(name)
        if target is None:
            return None
        beside[target] = member
    return EditableParts(tuple(inside.values()), beside)


def stubs_of(files: Iterable[Path]) -> dict[Path, Member]:
    """For each generated package, the stub that the project has for it: `_kernels.pyi` for `_kernels/__init__.py`.

    Type checkers look into the folder first, and would not see the stub beside it any more.
    """
    stubs = {}
    for path in files:
        stub = path.parent.with_suffix(".pyi")
        if path.name == "__init__.py" and stub.is_file():
            stubs[path.with_suffix(".pyi")] = Member(path.with_suffix(".pyi").name, stub.read_bytes())
    return stubs


def write_members(files: Mapping[Path, Member], *, ours: Iterable[Path], root: Path) -> list[Path]:
    """Write what is not there yet, each whole or not at all; return which files changed.

    Args:
        files: what to write, by its path.
        ours: paths that gpuwheel may replace: what it wrote before, or is known to write.
        root: the project, for messages.

    Raises:
        ConfigError: a file of the project's is in the way, or cannot be written.
    """
    known, changed = frozenset(ours), []
    for path, member in files.items():
        # Not touched: tools that compare times would take it for new.
        if path.is_file() and path.read_bytes() == member.data:
            continue
        shown = path.relative_to(root) if path.is_relative_to(root) else path
        # lexists: a link that leads nowhere is in the way as well.
        if os.path.lexists(path) and path not in known:
            msg = f"{shown} is a file of the project, and the build makes another (expected nothing of that name)"
            raise ConfigError(msg, hint=f"delete {shown} if an earlier build left it, or rename one of the two")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(path) as file:
                file.write(member.data)
            if member.executable:
                path.chmod(0o755)
        except OSError as error:
            msg = f"{shown} cannot be written ({error.strerror}); compiled files go beside the package's sources"
            raise ConfigError(msg, hint="make the folder writable, or install without --editable") from error
        changed.append(path)
    return changed


def tell_git(session: Session, files: Sequence[Path]) -> None:
    """A word where git would add compiled files."""
    root = session.config.project.root
    inside = [str(path.relative_to(root)) for path in files if path.is_relative_to(root)]
    if not inside:
        return
    try:
        # By standard input, with NUL between: any name, and more of them than a command line holds.
        words, names = ["git", "check-ignore", "--stdin", "-z"], "\0".join(inside)
        asked = run(words, cwd=root, env=session.environ, stdin=names, check=False)
    except (OSError, ProcessFailedError):
        return
    if asked.returncode not in {0, 1}:  # 128: not a repository
        return
    seen = sorted(set(inside) - set(asked.stdout.split("\0")))
    if seen:
        more = f" and {len(seen) - 1} more" if len(seen) > 1 else ""
        pattern = f"*{Path(seen[0]).suffix}" if seen[0].endswith(".so") else f"/{seen[0]}"
        session.reporter.warn(f"git does not ignore {seen[0]}{more}, which the build made: add {pattern} to .gitignore")
