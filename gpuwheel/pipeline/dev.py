"""`gpuwheel dev`: what changed is compiled, in a folder that stays, and put beside the sources.

It goes the way of an editable install up to CMake, and from then on lets Ninja do what is left to do. A wheel takes
nothing from here: its libraries and objects have keys of their own.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuwheel._environment import reaching, uncovered
from gpuwheel._files import write_if_changed
from gpuwheel.compile.cmake.kept_build import KeptBuild
from gpuwheel.errors import ConfigError
from gpuwheel.model.choices import Mode
from gpuwheel.pipeline.editable import bare_editable, own_products
from gpuwheel.pipeline.in_place import Places, search_folders, stubs_of, tell_git, write_members
from gpuwheel.wheel import Member, read_members

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from typing_extensions import TypeIs

    from gpuwheel.pipeline.embed_mode import EmbedBuild
    from gpuwheel.pipeline.kernels_mode import KernelsBuild
    from gpuwheel.pipeline.nvcc_mode import NvccBuild
    from gpuwheel.pipeline.session import Session

__all__ = ["DevBuild", "build_in_place"]

_COMMANDS = "compile_commands.json"


@dataclass(frozen=True)
class DevBuild:
    """What one turn did."""

    files: tuple[Path, ...]
    """What lies beside the sources, and was compiled."""
    changed: tuple[Path, ...]
    """Those of them that are new."""


def build_in_place(session: Session, mode: EmbedBuild | NvccBuild | KernelsBuild) -> DevBuild:
    """Compile what changed and put it beside the sources.

    Raises:
        CompileError: something does not compile; what was built before stays in place.
        ConfigError: a file has no place beside the sources, or one of the project's is in the way.
    """
    root, cache = session.config.project.root, session.cache
    with (
        cache.workspace(f"dev {root} {session.cell.python_tag}", on_wait=lambda: _say_waiting(session)) as work,
        cache.scratch() as scratch,
    ):
        record = _Record(work / "installed.json")
        if _makes_files(mode, session):
            made = {name: Member(name, data) for name, data in mode.files(work).items()}
        else:
            with mode.prepared(work) as settings:
                kept = KeptBuild(session.inside, work, settings, _variables(session))
                # Before Ninja runs. A turn that ends between Ninja and the writing leaves objects that are up to date
                # and files that are not: the next one must not take "nothing to do" for "all in place".
                begun = record.begin()
                if not kept.update(scratch, session.reporter) and not begun and record.holds():
                    record.end()
                    return DevBuild(record.files, ())
                installed = kept.installed(scratch / "stage")
                made = {name: Member(name, file.read_bytes(), os.access(file, os.X_OK)) for name, file in installed}
                made |= {member.name: member for member in mode.companions(made)}
            _link_commands(root, kept.commands, session)
        placed = _placed(session, work, scratch, made)
        # What an earlier turn wrote is ours too, even if the configuration no longer names it.
        known = (*own_products(session, placed), *record.files)
        changed = write_members(placed, ours=known, root=root)
        gone = record.replaced_by(placed)
        # Of the others an earlier turn told, and turns follow each other by the minute.
        tell_git(session, [path for path in changed if path not in record.files])
        record.write(placed)
        record.end()
        return DevBuild(tuple(placed), (*changed, *gone))


def _makes_files(mode: EmbedBuild | NvccBuild | KernelsBuild, session: Session) -> TypeIs[KernelsBuild]:
    """Whether CMake has no part in it; the class itself is imported for its own projects alone."""
    del mode
    return session.cell.mode is Mode.KERNELS


def _say_waiting(session: Session) -> None:
    session.reporter.warn("another gpuwheel dev builds this project: waiting for its end")


def _placed(session: Session, work: Path, scratch: Path, made: Mapping[str, Member]) -> dict[Path, Member]:
    """Where each file goes.

    Raises:
        ConfigError: one has no place.
    """
    places = Places(session.config.project.root, _folders(session, work, scratch, made))
    placed = {}
    for name, member in made.items():
        path = places.of(name)
        if path is None:
            top = name.partition("/")[0]
            msg = f"{name} has no place beside the sources (expected a writable folder {top} of a package)"
            raise ConfigError(msg, hint="wheel.packages in [tool.scikit-build] names the packages; or pip install -e .")
        placed[path] = member
    return placed | stubs_of(own_products(session, placed))


def _folders(session: Session, work: Path, scratch: Path, made: Iterable[str]) -> tuple[Path, ...]:
    """What holds the packages, as scikit-build-core finds them; asked again where a file of `made` has no place."""
    config, kept = session.config, work / "folders.json"
    words = [(config.project.root / "pyproject.toml").read_bytes().hex(), dict(config.inner)]
    # scikit-build-core takes settings from these variables too.
    words.append({name: value for name, value in session.environ.items() if name.startswith("SKBUILD_")})
    key = hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()
    with suppress(OSError, ValueError, KeyError):
        document = json.loads(kept.read_bytes())
        noted = Places(config.project.root, tuple(map(Path, document["folders"])))
        # The key does not see folders that come and go, hence the second question.
        if document["key"] == key and all(noted.of(name) for name in made):
            return noted.folders
    found = search_folders(read_members(bare_editable(session, scratch)))
    write_if_changed(kept, json.dumps({"key": key, "folders": list(map(str, found))}).encode())
    return found


def _variables(session: Session) -> dict[str, str]:
    """Those that reach compilers, and those that change what CMake is told."""
    environ, mode = session.environ, session.cell.mode.value
    return {**reaching(environ, mode), **{name: environ[name] for name in uncovered(environ, mode)}}


def _link_commands(root: Path, commands: Path, session: Session) -> None:
    """`compile_commands.json` of the project leads to the one of the build, unless the project has its own."""
    link = root / _COMMANDS
    if not commands.is_file() or (os.path.lexists(link) and not link.is_symlink()):
        return
    if link.is_symlink() and link.readlink() == commands:
        return
    with suppress(OSError):  # a project that cannot be written to: editors go without
        link.unlink(missing_ok=True)
        link.symlink_to(commands)
        session.reporter.info(f"editors   {_COMMANDS} leads to how the sources are compiled")
        tell_git(session, [link])


class _Record:
    """What was put beside the sources, and how it looked then."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begun = path.with_suffix(".begun")
        self._states: dict[str, list[int]] = {}
        with suppress(OSError, ValueError):
            found: Any = json.loads(path.read_bytes())
            self._states = dict(found)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files."""
        return tuple(map(Path, self._states))

    def holds(self) -> bool:
        """Whether they are there, untouched."""
        return bool(self._states) and all(_state(Path(path)) == state for path, state in self._states.items())

    def begin(self) -> bool:
        """A turn begins: until its end, what was built need not be in place. Whether one before did not end."""
        before = self._begun.exists()
        self._begun.touch()
        return before

    def end(self) -> None:
        """What was built is in place."""
        self._begun.unlink(missing_ok=True)

    def replaced_by(self, files: Iterable[Path]) -> list[Path]:
        """Delete those that are not among `files` any more and untouched; return which."""
        gone = []
        for path in set(self.files) - set(files):
            # One that somebody has changed since is theirs.
            if _state(path) == self._states[str(path)]:
                path.unlink()
                gone.append(path)
        return gone

    def write(self, files: Iterable[Path]) -> None:
        """Note how `files` look."""
        states = {str(path): _state(path) for path in files}
        write_if_changed(self._path, json.dumps(states).encode())


def _state(path: Path) -> list[int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    # The inode too: an atomic replacement may keep size and time, and never keeps that.
    return [found.st_size, found.st_mtime_ns, found.st_ino]
