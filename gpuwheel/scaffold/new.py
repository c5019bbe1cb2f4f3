"""Makes a project from a template: whole, or not at all."""

from __future__ import annotations

import os
import platform
import re
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name, is_normalized_name

from gpuwheel._toml import read_toml
from gpuwheel.errors import ScaffoldError
from gpuwheel.scaffold.git import Git, users_environment
from gpuwheel.scaffold.rendering import Rendering, ask, render
from gpuwheel.scaffold.repository import open_repository
from gpuwheel.scaffold.template_questions import check_answers, need_copier, refuse_unasked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gpuwheel._cache import Cache

__all__ = ["NewProject", "Wanted", "make_project"]

_GIT_FOLDER = ".git"
_SCRATCH = re.compile(r"\.gpuwheel-new-(?P<host>[0-9a-f]+)-(?P<process>\d+)-[a-z0-9_]+")


@dataclass(frozen=True)
class Wanted:
    """What was asked for."""

    target: Path
    answers: Mapping[str, object] = field(default_factory=dict)
    """Answers given in advance; the others have defaults, or are asked for."""
    asks: bool = False
    git: bool = True
    """Whether the project becomes a git repository, unless it is inside one."""
    dry_run: bool = False


@dataclass(frozen=True)
class NewProject:
    """What was made."""

    path: Path
    version: str
    """Of the templates."""
    answers: Mapping[str, str | bool]
    files: tuple[str, ...]
    """Relative to the project, sorted."""
    is_repository: bool
    """Whether a git repository was begun for it."""
    test_requirements: tuple[str, ...]
    """What its dependency group `test` holds: only pip from 25.1 on installs a group by its name."""


def make_project(
    wanted: Wanted, *, cache: Cache, environ: Mapping[str, str], finish: Callable[[Path], None] | None = None
) -> NewProject:
    """Render a template into a folder beside the target and rename that; an error or an interrupt leaves nothing.

    Args:
        wanted: what was asked for.
        cache: for the templates' repository.
        environ: the environment.
        finish: what else there is to do in the folder, before anybody sees it.

    Raises:
        ScaffoldError: the target is there and not empty, an answer is not valid, or copier or git is missing.
        CacheError: the cache cannot be written.
    """
    need_copier()
    _refuse_full(wanted.target)
    given = check_answers(wanted.answers)
    repository = open_repository(cache, environ)
    git = Git(users_environment(environ))
    parent = _existing(wanted.target)
    defaults = {}
    if not wanted.asks or is_normalized_name(canonicalize_name(wanted.target.name)):
        defaults["project_name"] = wanted.target.name
    # In the folder above: a conditional include of git may choose the name by it (git-config(1), "includeIf").
    if author := git.tried("config", "--get", "user.name", cwd=parent).stdout.strip():
        defaults["author"] = author
    answers = ask(wanted.target, given, defaults) if wanted.asks else given
    with _named_errors(wanted.target), _staged(wanted.target, write=not wanted.dry_run) as folder:
        asked = render(Rendering(folder, answers, defaults), repository, environ)
        refuse_unasked(given, asked)
        if finish is not None:
            finish(folder)
        files = tuple(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()))
        tests = _test_requirements(folder / "pyproject.toml")
        begins = wanted.git and git.top_level(parent) is None
        if begins:
            git("init", "--quiet", "--initial-branch=main", ".", cwd=folder)
    return NewProject(wanted.target, repository.current.removeprefix("v"), asked, files, begins, tests)


def _test_requirements(pyproject: Path) -> tuple[str, ...]:
    """The dependency group `test`; nothing where a template has none."""
    document = read_toml(pyproject) if pyproject.is_file() else {}
    return tuple(document.get("dependency-groups", {}).get("test", ()))


def _refuse_full(target: Path) -> None:
    """A folder may be there if it is empty, or holds an empty git repository's `.git` alone."""
    if not target.is_dir():
        if os.path.lexists(target):
            msg = f"{target} is not a folder (expected an empty one, or nothing)"
            raise ScaffoldError(msg, hint="choose another path")
        return
    names = sorted({path.name for path in target.iterdir()} - {_GIT_FOLDER})
    if not names:
        return
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""  # noqa: PLR2004 (enough to know the folder by)
    msg = f"{target} is not empty (found {', '.join(names[:3])}{more}; expected an empty folder, or nothing)"
    hint = "choose another path"
    if "setup.py" in names:
        hint = f"it has a setup.py: gpuwheel init {target} adds gpuwheel to a project that is there"
    raise ScaffoldError(msg, hint=hint)


def _existing(path: Path) -> Path:
    """The nearest folder above that is there, or `path` itself."""
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def _refuse_there(path: Path) -> None:
    if os.path.lexists(path):
        msg = f"{path} appeared meanwhile (expected an empty folder)"
        raise ScaffoldError(msg, hint="choose another path")


@contextmanager
def _named_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"{target} cannot be made ({error.strerror}: {error.filename})"
        raise ScaffoldError(msg, hint="choose another path") from error


@contextmanager
def _staged(target: Path, *, write: bool) -> Iterator[Path]:
    """A folder of the target's name to write into, which takes the target's place at the end of the block.

    Nothing is left of it after an error or an interrupt, nor where `write` is not set. What a killed process left
    beside the target goes at the next call.
    """
    beside = _existing(target) if write else None
    if beside is not None:
        _clear_leftovers(beside)
    with TemporaryDirectory(prefix=_scratch_prefix(), dir=beside) as scratch:
        folder = Path(scratch, target.name)
        folder.mkdir()
        yield folder
        if not write:
            return
        if target.is_dir():
            _move_contents(folder, target)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(target)


def _move_contents(source: Path, target: Path) -> None:
    """Move everything, or nothing."""
    names = sorted(path.name for path in source.iterdir())
    try:
        for name in names:
            _refuse_there(target / name)
            (source / name).rename(target / name)
    except BaseException:
        for name in names:
            if not os.path.lexists(source / name):
                (target / name).rename(source / name)
        raise


def _scratch_prefix() -> str:
    """How names of folders to render in begin, which say whose they are; short, whatever the project is called."""
    return f".gpuwheel-new-{_host()}-{os.getpid()}-"


def _clear_leftovers(parent: Path) -> None:
    """Delete folders to render in whose process, on this machine, is not there any more: it was killed."""
    try:
        names = os.listdir(parent)  # noqa: PTH208 (names)
    except OSError:
        return
    for name in names:
        match = _SCRATCH.fullmatch(name)
        if match and match["host"] == _host() and not _runs(int(match["process"])):
            shutil.rmtree(parent / name, ignore_errors=True)


def _host() -> str:
    """This machine's name, in characters for a file: on a network disk other machines' folders lie beside ours."""
    return platform.node().encode().hex()[:24] or "0"


def _runs(process: int) -> bool:
    with suppress(PermissionError, OverflowError):  # somebody else's process has the number
        try:
            # Signal 0 only asks whether there is such a process (kill(2)).
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    return True
